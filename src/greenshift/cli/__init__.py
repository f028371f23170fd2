"""The command line: thin calls into the package, one line per error, an exit code that tells."""

from greenshift.cli.main import main

__all__ = ["main"]
