"""An exported C network on this machine: compiled with all warnings as errors, and its self-test run."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from greenshift.errors import StudyError

_FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-DGREENSHIFT_TRACE")
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class HostCheck:
    """Whether an export does here what the reference does.

    Attributes:
        compiler: What compiled it; None if there is no C compiler, so that nothing was checked.
        passed: Whether the self-test found every byte and logit equal; None if nothing was checked.
    """

    compiler: str | None
    passed: bool | None


def check_on_host(folder: Path) -> HostCheck:
    """Compile an exported network with its self-test and run it.

    Args:
        folder: Folder of `export_c`.

    Raises:
        StudyError: If the compiler refuses the code or the self-test does not end.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        return HostCheck(None, None)
    with tempfile.TemporaryDirectory() as place:
        program = Path(place) / "selftest"
        sources = [str(folder / name) for name in ("network.c", "selftest.c")]
        built = _run([compiler, *_FLAGS, *sources, "-o", str(program)], folder)
        if built.returncode:
            raise StudyError(f"{folder}: {compiler} refuses the exported C: {' '.join(built.stderr.split())[:300]}")
        return HostCheck(compiler, _run([str(program)], folder).returncode == 0)


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StudyError(f"{folder}: the check of the exported C failed: {error}") from error
