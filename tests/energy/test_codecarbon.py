"""The CodeCarbon adapter, by a stand-in with CodeCarbon's habits; and by the real one where it is installed."""

import importlib.util
import os
import time

import pytest
from energy_fakes import fake_codecarbon, install_codecarbon

from greenshift.energy import CodeCarbonMeter, codecarbon_probe
from greenshift.errors import InputError


@pytest.fixture
def codecarbon(monkeypatch):
    return lambda module: install_codecarbon(monkeypatch, module)


def test_the_figure_is_an_estimate_with_its_constants(codecarbon):
    made = []
    codecarbon(fake_codecarbon(made=made))
    meter = CodeCarbonMeter(95.0, 12.5)
    meter.start()
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(36.0)
    assert reading.provenance == "estimated"
    assert reading.coverage == ("cpu", "ram")
    assert "CodeCarbon 3.3 of the whole machine: load x 95 W CPU, 12.5 W RAM" in reading.source
    assert (made[0]["output_methods"], made[0]["tracking_mode"]) == ([], "machine")
    assert (made[0]["force_cpu_power"], made[0]["force_ram_power"]) == (95.0, 12.5)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"emissions": None}, "gave no energy"),
        ({"data": {"energy_consumed": 0.0}}, "gave no energy"),
        ({"start": ValueError("no psutil")}, "ValueError: no psutil"),
        ({"stop": OSError("output_dir is gone")}, "OSError: output_dir is gone"),
        ({"data": {"energy_consumed": None}}, "gave no energy"),
    ],
)
def test_a_tracker_without_a_result_is_a_failed_reading(codecarbon, behaviour, reason):
    codecarbon(fake_codecarbon(**behaviour))
    meter = CodeCarbonMeter(95.0, 12.5)
    meter.start()
    reading = meter.stop()
    assert reading.energy_j is None
    assert reason in reading.source
    codecarbon(fake_codecarbon())
    meter.start()
    assert meter.stop().energy_j == pytest.approx(36.0), "the next tracker is not kept out"


def test_two_trackers_at_a_time_would_count_twice(codecarbon):
    codecarbon(fake_codecarbon())
    first, second = CodeCarbonMeter(95.0, 12.5), CodeCarbonMeter(95.0, 12.5)
    first.start()
    second.start()
    assert "another CodeCarbon tracker runs" in second.stop().source
    assert first.stop().energy_j == pytest.approx(36.0)


def test_bad_constants_and_a_missing_package_are_bad_input(codecarbon):
    codecarbon(fake_codecarbon())
    with pytest.raises(InputError, match="ram_watts must be above 0 W"):
        CodeCarbonMeter(95.0, 0.0)
    codecarbon(None)
    assert "pip install 'greenshift[codecarbon]'" in codecarbon_probe().reason
    with pytest.raises(InputError, match="CodeCarbon is not installed"):
        CodeCarbonMeter(95.0, 12.5)


@pytest.mark.skipif(importlib.util.find_spec("codecarbon") is None, reason="needs CodeCarbon")
def test_the_real_one_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meter = CodeCarbonMeter(50.0, 10.0)
    meter.start()
    time.sleep(1.5)
    reading = meter.stop()
    assert reading.energy_j is not None, reading.source
    assert reading.energy_j >= 10.0 * 1.0
    assert "ram" in reading.coverage
    assert os.listdir(tmp_path) == []
