"""What tests of exported C need of the machine, and what they do with an export."""

import shutil
import subprocess
from pathlib import Path

import pytest

# The README's test command fails without gcc (test_runtime.py), so that this is never a silent pass there.
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def is_clean_under_sanitizers(folder: Path) -> bool:
    """Build an export's self-test with the address and undefined-behaviour sanitizers, and run it."""
    flags = ["-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover", "-DGREENSHIFT_TRACE"]
    program = folder / "selftest"
    subprocess.run(["gcc", *flags, "-o", program, folder / "selftest.c", folder / "network.c"], check=True)
    return subprocess.run([program], check=False).returncode == 0
