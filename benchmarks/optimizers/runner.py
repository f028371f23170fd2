"""Runs what is missing, in parallel, and appends one JSON line per run."""

import fcntl
import functools
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contestants import Contestant, enter, parse_contestant
from .problem import BenchmarkProblem
from .registry import make_problem
from .simulator import Limits, Rule, Trace, restarted, simulate, volume_curve
from .warm import earlier_front

_LIBRARIES = ("numpy", "torch", "botorch", "gpytorch", "smac", "optuna", "pymoo", "ConfigSpace", "onnxruntime")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Record = dict[str, Any]
Key = tuple[str, str, int, str, float, int]


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        problem: Name of the problem.
        optimizer: Specification of the contestant.
        seed: Seed of the optimizer.
        rules: Cost rules to record; more than one only for a contestant that ignores costs.
        limits: When the run ends.
    """

    problem: str
    optimizer: str
    seed: int
    rules: tuple[Rule, ...]
    limits: Limits


def record_key(record: Record) -> Key:
    """What makes two records the same run."""
    problem, optimizer, seed = record["problem"], record["optimizer"], record["seed"]
    return problem, optimizer, seed, record["rule"], record["limit"], record["workers"]


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Read runs, each once; a line that was cut off while it was written is left out."""
    records: dict[Key, Record] = {}
    for path in paths:
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            records.setdefault(record_key(record), record)
    return list(records.values())


def append_record(path: Path, record: Record) -> None:
    """Append one line under a lock, so that several runners may share a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, 2)
        # A runner that was killed may have left half a line.
        broken = end > 0 and file.seek(end - 1) is not None and file.read(1) != b"\n"
        file.write((b"\n" if broken else b"") + json.dumps(record).encode() + b"\n")


def plan(
    problems: Sequence[str], optimizers: Sequence[str], seeds: Sequence[int], rules: Sequence[Rule], limits: Limits
) -> Iterator[Job]:
    """List the runs of a benchmark, seeds outermost, so that an unfinished one still compares all."""
    for seed in seeds:
        for problem in problems:
            for optimizer in optimizers:
                if parse_contestant(optimizer).cost_blind and limits.workers == 1:
                    yield Job(problem, optimizer, seed, tuple(rules), limits)
                else:
                    yield from (Job(problem, optimizer, seed, (rule,), limits) for rule in rules)


def missing(jobs: Iterable[Job], records: Iterable[Record]) -> list[Job]:
    """Return the jobs of which a record is missing."""
    done = {record_key(record) for record in records}

    def key(job: Job, rule: Rule) -> Key:
        return (job.problem, job.optimizer, job.seed, rule, job.limits.cost, job.limits.workers)

    return [job for job in jobs if any(key(job, rule) not in done for rule in job.rules)]


def run_job(job: Job, yahpo: Path | None = None) -> list[Record]:
    """Run one job and return a record for each of its rules."""
    problem = _problem(job.problem, yahpo)
    contestant = parse_contestant(job.optimizer)
    simulated: Rule = "resume" if len(job.rules) > 1 else job.rules[0]
    earlier = contestant.warm_from
    warm_start = () if earlier is None else earlier_front(earlier, yahpo, job.seed)
    trace = simulate(enter(contestant, problem, job.seed, warm_start), problem, simulated, job.limits)
    traces = {rule: trace if rule == simulated else restarted(trace, job.limits) for rule in job.rules}
    return [
        {
            "problem": job.problem,
            "optimizer": job.optimizer,
            "seed": job.seed,
            "rule": rule,
            "limit": job.limits.cost,
            "workers": job.limits.workers,
            "settings": _settings(contestant),
            **_figures(problem, traces[rule]),
            "versions": _versions(),
        }
        for rule in job.rules
    ]


def _settings(contestant: Contestant) -> dict[str, Any]:
    told = {f"told_{what}": told for what, told in contestant.told.items()}
    return contestant.settings | {"warm_from": contestant.warm_from} | told


def run_all(jobs: Sequence[Job], out: Path, processes: int, yahpo: Path | None = None) -> Iterator[Record]:
    """Run jobs in processes of one thread each; append and yield each record as it comes."""
    for variable in _THREADS:
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        for future in as_completed([pool.submit(run_job, job, yahpo) for job in jobs]):
            for record in future.result():
                append_record(out, record)
                yield record


def _figures(problem: BenchmarkProblem, trace: Trace) -> Record:
    steps = volume_curve(problem, trace)
    return {
        "curve": [(round(step.cost, 6), round(step.hypervolume, 9)) for step in steps],
        "points": [[float(f"{value:.9g}") for value in step.objectives] for step in steps],
        "evaluations": len(trace.observed),
        "trials": len({item.trial for item in trace.observed}),
        "ended": trace.ended,
        "ask_mean_s": statistics.fmean(trace.ask_s),
        "ask_max_s": max(trace.ask_s),
        "ask_total_s": sum(trace.ask_s),
        "ask_cpu_mean_s": statistics.fmean(trace.ask_cpu_s),
        "ask_cpu_max_s": max(trace.ask_cpu_s),
        "tell_total_s": trace.tell_s,
    }


@functools.lru_cache(maxsize=4)
def _problem(name: str, yahpo: Path | None) -> BenchmarkProblem:
    return make_problem(name, yahpo)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@functools.cache
def _versions() -> dict[str, str]:
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {"python": platform.python_version()} | {name: found[name] for name in _LIBRARIES if name in found}
