"""Assembles the commands and turns errors into one line and an exit code."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from greenshift import __version__
from greenshift.errors import InputError, StoppedError, StudyError

# What typer raises for options and arguments that do not fit; it has no public name of its own.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

# The modules of this package with the commands that each adds, in the order of the help.
_COMMANDS = {
    "doctor": ("doctor",),
    "search": ("init", "search"),
    "status": ("status",),
    "front": ("front", "report"),
    "select": ("select",),
    "ledger": ("ledger", "plan", "card"),
    "pack": ("pack",),
    "inspect": ("inspect",),
    "export": ("export",),
    "network": ("cost", "evaluate"),
    "sensitivity": ("sensitivity",),
    "targets": ("targets",),
    "techniques": ("techniques",),
    "calibrate": ("calibrate",),
    "measure": ("measure",),
    "bench": ("bench",),
}


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the app with the module of the command that is asked for, or with all of them.

    A command answers sooner if the others are not imported.

    Args:
        arguments: The command line without the program.
    """
    app = typer.Typer(
        name="greenshift",
        help="Which network should I ship, if every joule counts?",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    asked = [module for module, commands in _COMMANDS.items() if arguments and arguments[0] in commands]
    for module in asked or _COMMANDS:
        importlib.import_module(f"greenshift.cli.{module}").add_to(app)
    app.callback(invoke_without_command=True)(_root)
    return app


def _version(show: bool) -> None:
    if show:
        typer.echo(f"greenshift {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; the process ends with 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        # typer would print usage errors in several lines, and drop what an interrupt has to say.
        code = make_app(sys.argv[1:])(prog_name="greenshift", standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            _end("interrupted", EXIT_INTERRUPTED)
    except _UsageError as error:
        _end(_usage(error), EXIT_BAD_INPUT)
    except InputError as error:
        _end(str(error), EXIT_BAD_INPUT)
    except StudyError as error:
        _end(str(error), EXIT_FAILED)
    except StoppedError as stopped:
        _end(str(stopped), EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: Any) -> str:
    """Say what was wrong with the command line, and whose help to read."""
    path = error.ctx.command_path if error.ctx is not None else "greenshift"
    return f"{error.format_message().rstrip('.')}; see {path} --help"


def _end(message: str, code: int) -> None:
    sys.stdout.flush()
    print(f"greenshift: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
