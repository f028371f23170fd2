"""What metering costs and how steady it is: start and stop of every meter here, and CPU time beside a neighbour.

The same work runs in a process of its own, alone and beside one spinning process per core, in turns.

    python benchmarks/meters.py --repeats 7
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from greenshift.energy import (
    CgroupMeter,
    CodeCarbonMeter,
    CpuTimeMeter,
    Meter,
    NullMeter,
    NvmlMeter,
    RaplMeter,
    best_meter,
    machine,
    session_meter,
)
from greenshift.errors import InputError

METERS: dict[str, Callable[[], Meter]] = {
    "null": NullMeter,
    "cpu-time": CpuTimeMeter,
    "cgroup": CgroupMeter,
    "rapl": RaplMeter,
    "nvml": NvmlMeter,
    "best_meter": best_meter,
    "session_meter": session_meter,
    "codecarbon": lambda: CodeCarbonMeter(100.0, 20.0),
}
WORK = """
from greenshift.energy import CpuTimeMeter, meter
total = 0
with meter(instrument=CpuTimeMeter(1.0)) as metered:
    for i in range(10_000_000):
        total += i * i % 7
print(metered.reading.cpu_s, metered.reading.wall_s)
"""
SPIN = "while True: pass"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and coefficient of variation."""
    mean = statistics.fmean(values)
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "cv": statistics.stdev(values) / mean if mean > 0 else 0.0,
    }


def overhead(make: Callable[[], Meter], rounds: int) -> dict[str, object]:
    """Milliseconds to make, start and stop one meter: the first time, and after that."""
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        marks = [time.perf_counter()]
        try:
            meter = make()
        except InputError as error:
            return {"not_here": str(error)}
        marks.append(time.perf_counter())
        meter.start()
        marks.append(time.perf_counter())
        meter.stop()
        marks.append(time.perf_counter())
        first, second, third = (1e3 * (b - a) for a, b in itertools.pairwise(marks))
        times.append((first, second, third))
    names = ("make_ms", "start_ms", "stop_ms")
    return {"first": dict(zip(names, times[0], strict=True)), **_medians(names, times[1:])}


def _medians(names: Sequence[str], times: Sequence[tuple[float, ...]]) -> dict[str, float]:
    return {name: statistics.median(column) for name, column in zip(names, zip(*times, strict=True), strict=True)}


def work() -> tuple[float, float]:
    """CPU seconds and elapsed seconds of the same work in a process of its own."""
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    cpu_s, wall_s = map(float, run.stdout.split())
    return cpu_s, wall_s


def neighbour(repeats: int) -> dict[str, object]:
    """CPU time of fixed work with and without neighbours that spin."""
    alone, beside = [], []
    for _ in range(repeats):
        alone.append(work())
        spinners = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
        try:
            beside.append(work())
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
    found: dict[str, object] = {"repeats": repeats, "spinners": os.cpu_count()}
    for index, name in enumerate(("cpu_s", "wall_s")):
        quiet, loaded = ([run[index] for run in runs] for runs in (alone, beside))
        change = statistics.median(loaded) / statistics.median(quiet) - 1
        found[name] = {"alone": spread(quiet), "beside": spread(loaded), "change_of_median": change}
    return found


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="runs of the work, alone and beside")
    parser.add_argument("--rounds", type=int, default=10, help="starts and stops of each meter")
    args = parser.parse_args()
    here = machine()
    found = {
        "cpu": here.cpu,
        "usable_cores": here.usable_cores,
        "load_before": os.getloadavg()[0],
        "overhead": {name: overhead(make, max(2, args.rounds)) for name, make in METERS.items()},
        "neighbour": neighbour(max(2, args.repeats)),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
