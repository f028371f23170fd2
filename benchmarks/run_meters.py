"""Meters run for real on this machine: beside neighbours, with children that die, in studies side by side.

Prints JSON; `docs/meters.md` quotes it.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from greenshift.energy import CgroupMeter, CpuTimeMeter, Reading, best_meter, cgroup_probe, meter
from greenshift.energy.clocks import machine_busy_s
from greenshift.store import Store

WATTS = 4.0
TURNS = 12_000_000
REPEATS = 5
CHILDREN = 5
SPIN = "while True: pass"
WORK = f"sum(range({TURNS}))"
STUDY = ("--data", "digits", "--model", "tiny_cnn", "--epochs", "2", "--train-limit", "200", "--no-baselines")


def main() -> int:
    """Run all of it."""
    alone, beside = beside_neighbours()
    found = {
        "meter of this machine": of(best_meter(WATTS)).method,
        "alone_j": alone,
        "beside_two_spinners_j": beside,
        "ratio": beside / alone,
        "children_waited_for": children(wait=True),
        "children_never_waited_for": children(wait=False),
        "two_studies": two_studies(),
    }
    print(json.dumps(found, indent=2))
    return 0


def of(instrument: Any) -> Reading:
    """Return what some work in this process takes."""
    with meter(instrument=instrument) as metered:
        sum(range(TURNS))
    return metered.reading


def beside_neighbours() -> tuple[float, float]:
    """Return the median energy of the same work alone and beside a spinner on every core, in turns."""
    alone, beside = [], []
    for _ in range(REPEATS):
        alone.append(of(CpuTimeMeter(WATTS)).energy_j or 0.0)
        spinners = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
        try:
            beside.append(of(CpuTimeMeter(WATTS)).energy_j or 0.0)
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
    return statistics.median(alone), statistics.median(beside)


def children(wait: bool) -> dict[str, float | None]:
    """Return what short-lived children take by processes and by the control group, everything in it included."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL if wait else signal.SIG_IGN)
    meters: dict[str, Any] = {"cpu-time": CpuTimeMeter(WATTS)}
    if cgroup_probe().available:
        meters["cgroup"] = CgroupMeter(WATTS)
    for instrument in meters.values():
        instrument.start()
    for _ in range(CHILDREN):
        subprocess.Popen([sys.executable, "-c", WORK]).wait()
    signal.signal(signal.SIGCHLD, before)
    return {name: instrument.stop().energy_j for name, instrument in meters.items()}


def two_studies() -> dict[str, float]:
    """Return what two searches side by side count, and what the machine's whole CPU time comes to meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder) / name for name in ("a", "b")]
        begun_s = machine_busy_s()
        command = [
            sys.executable,
            "-m",
            "greenshift",
            "search",
            *STUDY,
            "--budget",
            "2trials",
            "--cpu-watts",
            str(WATTS),
        ]
        runs = [subprocess.Popen([*command, "--store", str(s), "--json"], stdout=subprocess.DEVNULL) for s in stores]
        ended = [run.wait() for run in runs]
        if any(ended):
            raise SystemExit("a search failed")
        busy_j = (machine_busy_s() - begun_s) * WATTS
        counted = []
        for path in stores:
            with Store.open(path) as store:
                counted.append(store.consumed().energy_j or 0.0)
    return {"one_j": counted[0], "other_j": counted[1], "sum_j": sum(counted), "whole_machine_j": busy_j}


if __name__ == "__main__":
    sys.exit(main())
