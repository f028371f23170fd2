"""NVML by replay: a recorded trace through a library that is not there."""

import os
import sys
import threading
import time

import pytest
from energy_fakes import NvmlError, fake_nvml, replayed, unsupported

from greenshift.energy import NvmlMeter, nvml_probe
from greenshift.energy.nvml import gpu_present, usable_gpu_probe
from greenshift.errors import InputError

# Millijoules and milliwatts of a GPU that takes 70 W idle and 300 W busy, one value every 100 ms.
COUNTER_MJ = (81_000_000, 81_007_000, 81_037_000, 81_067_000)
POWER_MW = (70_000, 300_000, 300_000, 300_000)


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def use(module):
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return use


def metered(period_s=60.0, seconds=0.0, **options):
    """A reading of an interval, looked at in its beginning and its end unless the period is short."""
    meter = NvmlMeter(period_s=period_s, contiguous=True, **options)
    meter.start()
    time.sleep(seconds)
    return meter.stop()


@pytest.mark.parametrize(
    ("module", "available", "reason"),
    [
        (None, False, "nvidia-ml-py is not installed"),
        (fake_nvml(), True, "GPU 0, GPU 1"),
        (fake_nvml(nvmlDeviceGetName=lambda _: b"in bytes"), True, "in bytes, in bytes"),
        (fake_nvml(nvmlInit=unsupported), False, "does not start: Not Supported"),
        (fake_nvml(nvmlDeviceGetCount=unsupported), False, "does not list its GPUs: Not Supported"),
        (fake_nvml(nvmlDeviceGetCount=lambda: 0), False, "finds no GPU"),
    ],
)
def test_nvml_is_asked_and_says_why_not(nvml, module, available, reason):
    nvml(module)
    probe = nvml_probe()
    assert probe.available == available
    assert reason in probe.reason


def test_the_counter_counts(nvml):
    # The meter tries the counter once before the first interval.
    nvml(replayed([COUNTER_MJ[0], *COUNTER_MJ[::3]], "nvmlDeviceGetTotalEnergyConsumption"))
    reading = metered(idle_w=0.0)
    assert reading.energy_j == pytest.approx(67.0)
    assert reading.net_energy_j == pytest.approx(67.0)
    assert reading.provenance == "measured"
    assert reading.coverage == ("gpu",)
    assert (reading.method, reading.source) == ("nvml", "NVML energy counter of GPU 0")
    assert reading.interval_j[0] < 67.0 < reading.interval_j[1]


def test_without_a_counter_power_is_integrated_and_the_source_says_so(nvml):
    clock = iter([0.0, 0.1, 0.2, 0.3])
    nvml(replayed(POWER_MW, "nvmlDeviceGetPowerUsage"))
    meter = NvmlMeter(period_s=60.0, contiguous=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("greenshift.energy.nvml.time.monotonic", lambda: next(clock))
        for _ in range(4):
            meter._sample()
    assert meter._trace.energy_j == pytest.approx(0.1 * (70 + 300) / 2 + 0.2 * 300)
    nvml(replayed([200_000], "nvmlDeviceGetPowerUsage"))
    reading = metered(period_s=0.005, seconds=0.1)
    assert reading.energy_j == pytest.approx(200.0 * reading.wall_s, rel=0.2)
    assert "power samples" in reading.source
    assert reading.method == "nvml-power"


@pytest.mark.parametrize("kind", ["nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"])
def test_a_gpu_that_is_shared_is_not_counted(nvml, kind):
    module = nvml(replayed(COUNTER_MJ, "nvmlDeviceGetTotalEnergyConsumption"))
    stranger = replayed([1], "nvmlDeviceGetPowerUsage", pids=(1,)).nvmlDeviceGetComputeRunningProcesses
    own = module.nvmlDeviceGetComputeRunningProcesses
    setattr(module, kind, lambda handle: own(handle) + stranger(handle))
    reading = metered()
    assert reading.energy_j is None
    assert "process 1 was on it too" in reading.source


def test_a_neighbour_who_comes_and_goes_is_seen_by_the_watching_thread(nvml):
    module = nvml(replayed(COUNTER_MJ, "nvmlDeviceGetTotalEnergyConsumption"))
    own, stranger = (replayed([1], "nvmlDeviceGetPowerUsage", pids=(pid,)) for pid in (os.getpid(), 1))
    looks, seen = [], threading.Event()

    def running(handle):
        looks.append(1)
        if len(looks) == 3:
            seen.set()
        return (stranger if len(looks) == 2 else own).nvmlDeviceGetComputeRunningProcesses(handle)

    module.nvmlDeviceGetComputeRunningProcesses = running
    meter = NvmlMeter(period_s=0.001, contiguous=True)
    meter.start()
    assert seen.wait(10)
    assert "process 1 was on it too" in meter.stop().source
    assert not any(thread.name == "nvml" for thread in threading.enumerate())


def test_an_idle_gpu_is_nobodys(nvml):
    nvml(replayed(COUNTER_MJ, "nvmlDeviceGetTotalEnergyConsumption", pids=()))
    reading = metered()
    assert reading.energy_j is None
    assert "this process was not on the GPU" in reading.source


def test_an_interval_too_short_for_the_sensor_is_refused(nvml):
    nvml(replayed(COUNTER_MJ, "nvmlDeviceGetTotalEnergyConsumption"))
    meter = NvmlMeter()
    meter.start()
    reading = meter.stop()
    assert reading.energy_j is None
    assert "too short" in reading.source


@pytest.mark.parametrize(
    ("trace", "reason"),
    [
        ([*COUNTER_MJ[:2], NvmlError("GPU is lost")], "it stopped answering (GPU is lost)"),
        ([*COUNTER_MJ[:2], 5], "its counter started again"),
    ],
)
def test_a_gpu_that_vanishes_is_a_failed_reading(nvml, trace, reason):
    nvml(replayed(trace, "nvmlDeviceGetTotalEnergyConsumption"))
    reading = metered()
    assert reading.energy_j is None
    assert reason in reading.source


def test_the_first_gpu_that_cuda_shows_is_the_one(nvml, monkeypatch):
    module = nvml(replayed(COUNTER_MJ, "nvmlDeviceGetTotalEnergyConsumption"))
    module.nvmlDeviceGetHandleByUUID = lambda uuid: uuid.decode()
    for visible, name in (("1,0", "GPU 1"), ("GPU-7f", "GPU GPU-7f")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert metered().source.partition(" of ")[2].startswith(name)
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        with pytest.raises(InputError, match="hides every GPU"):
            NvmlMeter()


def test_what_cannot_be_metered_is_bad_input(nvml):
    nvml(fake_nvml())
    with pytest.raises(InputError, match="GPU x cannot be used: Not Supported"):
        NvmlMeter("x")
    with pytest.raises(InputError, match="idle power"):
        NvmlMeter(idle_w=float("nan"))
    nvml(None)
    with pytest.raises(InputError, match="NVML: the package nvidia-ml-py is not installed"):
        NvmlMeter()


# ---- whether this process could count it


@pytest.mark.parametrize(
    ("functions", "visible", "available", "reason"),
    [
        ({"nvmlDeviceGetTotalEnergyConsumption": lambda _handle: 1}, "1", True, "GPU 1, by its energy counter"),
        ({"nvmlDeviceGetPowerUsage": lambda _handle: 1}, "0", True, "GPU 0, by its power"),
        ({}, "0", False, "GPU 0 gives neither energy nor power: Not Supported"),
        ({}, "MIG-7", False, "GPU 0, GPU 1 is there, but NVML: GPU MIG-7 cannot be used"),
        ({}, "", False, "CUDA_VISIBLE_DEVICES hides every GPU"),
    ],
    ids=["counter", "power", "slice", "slice by name", "hidden"],
)
def test_whether_the_gpu_could_be_counted(nvml, monkeypatch, functions, visible, available, reason):
    nvml(fake_nvml(**functions))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    probe = usable_gpu_probe()
    assert probe.available is available
    assert reason in probe.reason


def test_a_gpu_is_seen_by_its_device_file(tmp_path):
    assert not gpu_present(tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert not gpu_present(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert gpu_present(tmp_path)
