"""Where evaluations run: in this process, or in worker processes, behind `concurrent.futures.Executor`."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# A worker is replaced now and then, so that memory that a training library does not give back cannot pile up.
_TASKS_PER_WORKER = 50
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def make_executor(workers: int) -> Executor:
    """Return an executor for so many evaluations at a time.

    `shutdown(wait=False, cancel_futures=True)` stops at once what is running.

    Args:
        workers: 1 for this process; more for as many processes of their own.
    """
    return InProcessExecutor() if workers == 1 else WorkerProcesses(workers)


class InProcessExecutor(Executor):
    """Runs a call when it is submitted and returns its finished future.

    Exceptions end up in the future. KeyboardInterrupt leaves `submit`, so Ctrl-C ends a training at once.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the call now."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class WorkerProcesses(Executor):
    """Runs calls in processes that are started afresh (`spawn`), one pool per worker.

    Each worker has a pool to itself, so that one that dies (out of memory, killed) takes down its own call
    only: that call's future raises BrokenProcessPool and the worker is replaced before the next call.
    Workers leave Ctrl-C and SIGTERM to this process, and end when it ends, however it ends: they hold the reading
    end of a pipe whose only writing end is here.
    """

    def __init__(self, workers: int) -> None:
        """Prepare the workers; a process starts with its first call.

        Args:
            workers: Number of processes, at least 1.
        """
        self._context = multiprocessing.get_context("spawn")
        self._end_of_life, self._lifeline = self._context.Pipe(duplex=False)
        self._idle = [self._new_pool() for _ in range(workers)]
        self._pools = list(self._idle)
        self._change = threading.Condition()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the call on an idle worker; wait for one if all are busy."""
        with self._change:
            self._change.wait_for(lambda: self._idle)
            pool = self._idle.pop()
        with _signals_held():  # a worker is born with them held and never sees the Ctrl-C meant for this process
            try:
                future = pool.submit(fn, *args, **kwargs)
            except BrokenProcessPool:  # it died while idle
                pool = self._replace(pool)
                future = pool.submit(fn, *args, **kwargs)
        future.add_done_callback(lambda done: self._release(pool, done))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: after their calls, or at once if neither is waited for nor kept."""
        if cancel_futures and not wait:
            self._lifeline.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=cancel_futures)
        self._lifeline.close()
        self._end_of_life.close()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=self._context,
            initializer=_begin_worker,
            initargs=(self._end_of_life,),
            max_tasks_per_child=_TASKS_PER_WORKER,
        )

    def _replace(self, pool: ProcessPoolExecutor) -> ProcessPoolExecutor:
        pool.shutdown(wait=False)
        fresh = self._new_pool()
        self._pools[self._pools.index(pool)] = fresh
        return fresh

    def _release(self, pool: ProcessPoolExecutor, done: "Future[Any]") -> None:
        broken = not done.cancelled() and isinstance(done.exception(), BrokenProcessPool)
        with self._change:
            self._idle.append(self._replace(pool) if broken else pool)
            self._change.notify()


@contextmanager
def _signals_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(end_of_life: Connection) -> None:
    for stop in _STOP_SIGNALS:
        signal.signal(stop, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    threading.Thread(target=_end_with_parent, args=(end_of_life,), daemon=True).start()


def _end_with_parent(end_of_life: Connection) -> None:
    try:
        end_of_life.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
