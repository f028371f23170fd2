import os
import signal
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest

from greenshift.executors import InProcessExecutor, WorkerProcesses, make_executor


def process_id(delay_s: float = 0.0) -> int:
    time.sleep(delay_s)
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(message: str) -> None:
    raise ValueError(message)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_one_worker_is_this_process():
    with make_executor(1) as executor:
        assert isinstance(executor, InProcessExecutor)
        assert executor.submit(process_id).result() == os.getpid()
        assert str(executor.submit(fail, "no").exception()) == "no"
        with pytest.raises(KeyboardInterrupt):
            executor.submit(interrupt)


def test_workers_are_processes_of_their_own_at_the_same_time():
    with make_executor(2) as executor:
        assert isinstance(executor, WorkerProcesses)
        futures = [executor.submit(process_id, 0.5) for _ in range(2)]
        first, second = (future.result(timeout=30) for future in futures)
        assert len({first, second, os.getpid()}) == 3
        assert executor.submit(process_id).result(timeout=30) in (first, second)
        assert str(executor.submit(fail, "no").exception(timeout=30)) == "no"


def test_a_worker_that_dies_takes_down_its_own_call_only_and_is_replaced():
    with make_executor(2) as executor:
        survivor = executor.submit(process_id, 1.0)
        victim = executor.submit(die)
        assert isinstance(victim.exception(timeout=30), BrokenProcessPool)
        assert survivor.result(timeout=30) != os.getpid()
        pids = {executor.submit(process_id).result(timeout=30) for _ in range(4)}
        assert os.getpid() not in pids


def test_a_worker_that_died_idle_is_replaced():
    with make_executor(2) as executor:
        futures = [executor.submit(process_id, 0.5) for _ in range(2)]
        workers = [psutil.Process(future.result(timeout=30)) for future in futures]
        assert len(workers) == len({worker.pid for worker in workers})
        for worker in workers:
            worker.kill()
            worker.wait(timeout=10)
        # A pool needs a moment to notice; a call that comes earlier is lost with it.
        deadline = time.monotonic() + 20
        done = None
        while time.monotonic() < deadline and (done is None or done.exception() is not None):
            done = executor.submit(process_id)
            wait([done], timeout=20, return_when=FIRST_COMPLETED)
        assert done is not None
        assert done.result(timeout=1) != os.getpid()


def test_shutdown_at_once_stops_what_is_running():
    executor = make_executor(2)
    running = executor.submit(process_id, 60.0)
    time.sleep(0.5)
    executor.shutdown(wait=False, cancel_futures=True)
    executor.shutdown(wait=False, cancel_futures=True)  # again does no harm
    assert isinstance(running.exception(timeout=5), BrokenProcessPool)


SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
import test_executors
from greenshift.executors import make_executor

if __name__ == "__main__":
    executor = make_executor(2)
    print(executor.submit(test_executors.process_id).result(), flush=True)
    executor.submit(test_executors.process_id, 60.0)
    executor.submit(test_executors.process_id, 60.0)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, str(path), os.path.dirname(__file__)], check=False, text=True, capture_output=True, timeout=60
    )
    assert run.returncode == -signal.SIGKILL
    worker = int(run.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alive(worker):
        time.sleep(0.05)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_leave_signals_to_the_parent():
    with make_executor(2) as executor:
        pid = executor.submit(process_id).result(timeout=30)
        busy = executor.submit(process_id, 1.0)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert busy.result(timeout=30) > 0
        assert alive(pid)
