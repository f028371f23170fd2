import json
import sys
from types import SimpleNamespace

import pytest

from greenshift.energy import machine, nvml_probe


def test_this_machine_is_described():
    here = machine()
    assert here.cpu
    assert 1 <= here.usable_cores <= here.cores
    assert here.ram_bytes > 2**28
    assert here.rapl.reason
    assert here.nvml.reason
    assert json.loads(json.dumps(here.to_json()))["cores"] == here.cores


def test_the_processor_is_read_from_the_kernels_file(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: fpu amx_int8 avx2 avx512_vnni\n")
    here = machine(cpuinfo)
    assert here.cpu == "Fast CPU"
    assert here.isa == ("avx2", "avx512_vnni", "amx_int8")


def test_without_the_kernels_file_the_processor_is_named_by_its_architecture(tmp_path):
    here = machine(tmp_path / "none")
    assert here.cpu
    assert here.isa == ()


class NvmlError(Exception):
    pass


def fake_nvml(**functions):
    calls = {
        "NVMLError": NvmlError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: f"GPU {handle}",
    }
    return SimpleNamespace(**{**calls, **functions})


def fail():
    raise NvmlError("no driver")


@pytest.mark.parametrize(
    ("module", "available", "reason"),
    [
        (None, False, "nvidia-ml-py is not installed"),
        (fake_nvml(), True, "GPU 0, GPU 1"),
        (fake_nvml(nvmlInit=fail), False, "does not start: no driver"),
        (fake_nvml(nvmlDeviceGetCount=fail), False, "does not list its GPUs: no driver"),
        (fake_nvml(nvmlDeviceGetCount=lambda: 0), False, "finds no GPU"),
    ],
)
def test_nvml_is_asked_and_says_why_not(monkeypatch, module, available, reason):
    monkeypatch.setitem(sys.modules, "pynvml", module)
    probe = nvml_probe()
    assert probe.available == available
    assert reason in probe.reason
