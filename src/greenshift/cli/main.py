"""Assembles the commands and turns errors into one line and an exit code."""

import os
import sys

import typer

from greenshift import __version__
from greenshift.cli import doctor, front, network, search, select
from greenshift.errors import InputError, StudyError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="greenshift",
    help="Which network should I ship, if every joule counts?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (doctor, search, front, select, network):
    module.add_to(app)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"greenshift {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version


def main() -> None:
    """Run the command line; the process ends with 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        app()
    except InputError as error:
        _end(str(error), EXIT_BAD_INPUT)
    except StudyError as error:
        _end(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        _end("stopped; what had finished is stored, and the same command goes on", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int) -> None:
    sys.stdout.flush()
    print(f"greenshift: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
