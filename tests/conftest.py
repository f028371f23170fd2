"""What tests of several parts share: a finished study, and the command line, in a process of its own or in this one."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# One thread each: the suite shares its cores with others, and results must not depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The contract's command, cut to seconds: only what the contract leaves open is changed.
CONTRACT = (
    *("search", "--data", "digits", "--model", "tiny_cnn", "--space", "paper", "--optimizer", "random"),
    *("--fidelity", "epochs", "--seed", "0", "--max-fidelity", "2", "--train-limit", "200"),
)


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last line on stderr, which is the error's if there was one."""
        return self.err.splitlines()[-1] if self.err else ""


Command = Callable[..., Said]


def in_process_of_its_own(*arguments: object, cwd: Path | None = None, **environment: str) -> Said:
    """Run the command line as users do; keywords are environment variables."""
    process = subprocess.run(
        [sys.executable, "-m", "greenshift", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )
    return Said(process.returncode, process.stdout, process.stderr)


@pytest.fixture(scope="session")
def greenshift() -> Command:
    """The command line in a process of its own."""
    return in_process_of_its_own


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in this process, which has torch already: for the many cases of one kind.

    Anything but an orderly end, such as a traceback, fails the test.
    """
    from greenshift.cli import main

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["greenshift", *map(str, arguments)])
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(bool(end.code))
        return Said(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def contract() -> tuple[str, ...]:
    """The contract's search on digits, without budget and store, quick."""
    return CONTRACT


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """A finished study with baselines, and what its search said. Tests must not change the folder."""
    folder = tmp_path_factory.mktemp("finished") / "store"
    said = in_process_of_its_own(*CONTRACT, "--budget", "4trials", "--store", folder)
    assert said.code == 0, said.err
    return folder, said


@pytest.fixture(scope="session")
def finished_store(finished_run: tuple[Path, Said]) -> Path:
    """The folder of a finished study of 4 trials and 5 baselines. Tests must not change it."""
    return finished_run[0]


@pytest.fixture
def own_store(finished_store: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to change."""
    return Path(shutil.copytree(finished_store, tmp_path / "own store"))


@pytest.fixture(scope="session")
def selected(finished_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """A copy of the finished study from which a point was selected, and what `select --json` said."""
    folder = Path(shutil.copytree(finished_store, tmp_path_factory.mktemp("selected") / "store"))
    said = in_process_of_its_own("select", folder, "--seeds", "2", "--json")
    assert said.code == 0, said.err
    return folder, said
