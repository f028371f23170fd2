"""Runs runtimes in turns, each in a process of its own, so that a change of the machine's speed falls on all alike."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import greenshift
from greenshift.deploy.bench.runners import Job
from greenshift.errors import InputError

_WINDOW_S = 0.03
_WARM_UP_RUNS = 3


class Contestant:
    """A worker process that runs one runtime. Use it as a context.

    Args:
        name: To tell it from others.
        job: What it runs.
        environment: Variables that differ from this process's.

    Raises:
        InputError: The runtime refuses the network or a batch, or its process ends.
    """

    def __init__(self, name: str, job: Job, environment: Mapping[str, str]) -> None:
        self.name = name
        self._clock = "cpu_s" if job.threads == 1 else "wall_s"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "greenshift.deploy.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**_environment(job.threads), **environment},
        )
        try:
            loaded = self._ask(asdict(job))
        except InputError:
            self._end()
            raise
        self.kernel: str = loaded["kernel"]
        self.version: str | None = loaded["version"]

    def __enter__(self) -> Self:
        """Use the running process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()

    def window_s(self, batch: int, count: int) -> float:
        """Run a batch some times and return the seconds that it took: CPU time on one thread, else wall time."""
        return float(self._ask({"batch": batch, "count": count})[self._clock])

    def warm_up(self, batch: int) -> int:
        """Run a batch until it is warm and return how many runs fill a window."""
        self.window_s(batch, _WARM_UP_RUNS)
        count = 1
        while (elapsed_s := self.window_s(batch, count)) < _WINDOW_S / 2:
            count = math.ceil(count * min(10.0, 1.2 * _WINDOW_S / max(elapsed_s, 1e-6)))
        return max(1, round(count * _WINDOW_S / elapsed_s))

    def save_logits(self, batch: int, path: Path) -> None:
        """Write the logits of a batch to a NumPy file."""
        self._ask({"batch": batch, "logits": str(path)})

    def _end(self) -> None:
        # With all that it started: OpenVINO leaves a process behind that would keep the pipes open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise InputError("its process ended") from error
        if "error" in answer:
            raise InputError(answer["error"])
        return answer


def take_turns(contestants: Sequence[Contestant], batch: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds per image of every contestant, one figure a round; who begins changes from round to round."""
    counts = {contestant.name: contestant.warm_up(batch) for contestant in contestants}
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for turn in range(rounds):
        first = turn % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            count = counts[contestant.name]
            times[contestant.name].append(contestant.window_s(batch, count) / (count * batch))
    return times


def _environment(threads: int) -> dict[str, str]:
    """This process's environment, with this very greenshift and as many threads as were asked for."""
    folders = [str(Path(greenshift.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "OMP_NUM_THREADS": str(threads),
    }
