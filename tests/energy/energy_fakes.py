"""Counters that are not there: a powercap tree in a folder, a management library that replays a recorded trace."""

import os
import sys
from types import SimpleNamespace

RANGE_UJ = 9_999_999_999
KWH = 3.6e6


def powercap(root, package_uj=1000, dram_uj=500):
    """Write a powercap tree; returns its root."""
    for name, label, value in (
        ("intel-rapl:0", "package-0", package_uj),
        ("intel-rapl:0:0", "core", 77),
        ("intel-rapl:0:1", "dram", dram_uj),
        ("intel-rapl:1", "psys", 99),
        ("intel-rapl-mmio:0", "package-0", 55),
    ):
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{label}\n")
        (folder / "energy_uj").write_text(f"{value}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return root


def set_package(root, energy_uj):
    """Move the processor's counter."""
    (root / "intel-rapl:0" / "energy_uj").write_text(f"{energy_uj}\n")


def cpu_account(file, busy_ticks, idle_ticks=0):
    """Write the kernel's account of the machine's CPU time."""
    file.write_text(f"cpu  {busy_ticks} 0 0 {idle_ticks} 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    return file


class NvmlError(Exception):
    """What the library raises."""


def fake_nvml(**functions):
    """A management library of two idle GPUs without counters; keywords replace its functions."""
    calls = {
        "NVMLError": NvmlError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetHandleByUUID": unsupported,
        "nvmlDeviceGetName": lambda handle: f"GPU {handle}",
        "nvmlDeviceGetTotalEnergyConsumption": unsupported,
        "nvmlDeviceGetPowerUsage": unsupported,
        "nvmlDeviceGetComputeRunningProcesses": lambda _handle: [],
        "nvmlDeviceGetGraphicsRunningProcesses": lambda _handle: [],
    }
    return SimpleNamespace(**{**calls, **functions})


def unsupported(*_):
    """Answer as a GPU that does not know."""
    raise NvmlError("Not Supported")


def replayed(trace, name, *, pids=None):
    """A management library that gives the values of a recorded trace, the last one over and over.

    Args:
        trace: Values of one function, an exception among them to be raised.
        name: The function.
        pids: Processes that are on the GPU; this one if left out.
    """
    values = list(trace)

    def look(_handle):
        value = values.pop(0) if len(values) > 1 else values[0]
        if isinstance(value, Exception):
            raise value
        return value

    running = [SimpleNamespace(pid=pid) for pid in ([os.getpid()] if pids is None else pids)]
    return fake_nvml(**{name: look, "nvmlDeviceGetComputeRunningProcesses": lambda _handle: running})


def fake_codecarbon(emissions=1e-6, made=None, **behaviour):
    """A module whose trackers take 36 J: 30 of the processor, 6 of the memory."""

    class Tracker:
        def __init__(self, **options):
            if made is not None:
                made.append(options)
            parts = {"cpu_energy": 30 / KWH, "ram_energy": 6 / KWH, "gpu_energy": 0.0, "energy_consumed": 36 / KWH}
            self.final_emissions_data = SimpleNamespace(**{**parts, **behaviour.get("data", {})})

        def start(self):
            if "start" in behaviour:
                raise behaviour["start"]

        def stop(self):
            if "stop" in behaviour:
                raise behaviour["stop"]
            return emissions

    return SimpleNamespace(OfflineEmissionsTracker=Tracker)


def install_codecarbon(monkeypatch, module):
    """Let a module be the installed CodeCarbon, or None be there."""
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    monkeypatch.setattr("greenshift.energy.codecarbon.importlib.metadata.version", lambda _: "3.3")
    monkeypatch.setattr("greenshift.energy.codecarbon.importlib.util.find_spec", lambda _: module)
