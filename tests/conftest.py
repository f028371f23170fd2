"""What tests of several parts share: one finished study, and the command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread each: the suite shares its cores with others, and results must not depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The contract's command, cut to seconds. Only what the contract leaves open is changed.
CONTRACT = (
    *("search", "--data", "digits", "--model", "tiny_cnn", "--space", "paper", "--optimizer", "random"),
    *("--fidelity", "epochs", "--seed", "0"),
)
QUICK = ("--max-fidelity", "2", "--train-limit", "200")

Process = subprocess.CompletedProcess
Run = Callable[..., "Process[str]"]


def run_greenshift(*arguments: object, cwd: Path | None = None, **environment: str) -> "Process[str]":
    """Run the command line in a real process and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "greenshift", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def greenshift() -> Run:
    """The command line in a real process."""
    return run_greenshift


@pytest.fixture(scope="session")
def contract() -> tuple[str, ...]:
    """The contract's search on digits, without budget and store, quick."""
    return (*CONTRACT, *QUICK)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, contract: tuple[str, ...]) -> tuple[Path, "Process[str]"]:
    """A finished study with baselines, and what its search printed. Tests must not change the folder."""
    folder = tmp_path_factory.mktemp("finished") / "store"
    process = run_greenshift(*contract, "--budget", "4trials", "--store", folder)
    assert process.returncode == 0, process.stderr
    return folder, process


@pytest.fixture(scope="session")
def finished_store(finished_run: tuple[Path, "Process[str]"]) -> Path:
    """The folder of a finished study. Tests must not change it."""
    return finished_run[0]
