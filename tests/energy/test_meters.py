"""The contract of every meter, and the meters that need no counter."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

import pytest
from energy_fakes import fake_codecarbon, install_codecarbon, powercap, replayed

from greenshift.energy import (
    CgroupMeter,
    CodeCarbonMeter,
    ControlGroup,
    CpuTimeMeter,
    HostMeter,
    NullMeter,
    NvmlMeter,
    RaplMeter,
    Reading,
    ReplayMeter,
    ShareMeter,
    carbon_g,
    in_sequence,
    meter,
    side_by_side,
)
from greenshift.errors import InputError

RECORDED = Reading(2.0, 1.5, 12.0, "measured", "a recorded counter", ("cpu", "gpu"), "nvml", (11.0, 13.0), 7.0)


def cgroup(root):
    file = root / "cpu.stat"
    root.mkdir()
    file.write_text("usage_usec 5000000\nuser_usec 1\n")
    return CgroupMeter(group=ControlGroup(file, "/job"))


def share(root, *, contiguous):
    return ShareMeter(RaplMeter(powercap(root), contiguous=contiguous), contiguous=contiguous)


METERS = {
    "cpu-time": lambda _root: CpuTimeMeter(),
    "cpu-time of this process": lambda _root: CpuTimeMeter(7.0, 2.0, children=False),
    "cgroup": cgroup,
    "null": lambda _root: NullMeter(),
    "replay": lambda _root: ReplayMeter([RECORDED, RECORDED]),
    "rapl": lambda root: RaplMeter(powercap(root)),
    "share of rapl": lambda root: share(root, contiguous=False),
    "share of rapl in laps": lambda root: share(root, contiguous=True),
    "nvml counter": lambda _root: NvmlMeter(),
    "nvml power": lambda _root: NvmlMeter(contiguous=True),
    "host": lambda root: HostMeter(CpuTimeMeter(), share(root, contiguous=True), NvmlMeter(contiguous=True)),
    "codecarbon": lambda _root: CodeCarbonMeter(100.0, 20.0),
}
LIBRARIES = {
    "nvml power": ("pynvml", replayed([5000, 6000], "nvmlDeviceGetPowerUsage")),
    "nvml counter": ("pynvml", replayed([5, 6, 7], "nvmlDeviceGetTotalEnergyConsumption")),
    "host": ("pynvml", replayed([5000, 6000], "nvmlDeviceGetPowerUsage")),
}


@pytest.fixture(params=METERS, ids=METERS)
def any_meter(request, tmp_path, monkeypatch):
    if request.param in LIBRARIES:
        monkeypatch.setitem(sys.modules, *LIBRARIES[request.param])
    install_codecarbon(monkeypatch, fake_codecarbon())
    return METERS[request.param](tmp_path / "fake")


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_contract_a_reading_is_complete_and_meters_can_be_used_again(any_meter):
    for _ in range(2):
        any_meter.start()
        spin(0.01)
        reading = any_meter.stop()
        assert reading.wall_s > 0
        assert reading.cpu_s is None or reading.cpu_s >= 0.01 or reading.method == "cgroup"
        assert reading.energy_j is None or reading.energy_j >= 0
        assert reading.provenance in ("measured", "estimated")
        assert reading.source
        assert reading.method
        if reading.energy_j is None:
            assert reading.interval_j is None
            assert reading.net_energy_j is None
        elif reading.interval_j is not None:
            assert reading.interval_j[0] <= reading.energy_j <= reading.interval_j[1]
        assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


def test_contract_stop_before_start_raises(any_meter):
    with pytest.raises(RuntimeError, match="stopped before it was started"):
        any_meter.stop()
    any_meter.start()
    any_meter.stop()
    with pytest.raises(RuntimeError, match="stopped before it was started"):
        any_meter.stop()


def test_contract_start_twice_raises_and_the_first_interval_goes_on(any_meter):
    any_meter.start()
    with pytest.raises(RuntimeError, match="started twice"):
        any_meter.start()
    assert any_meter.stop().wall_s > 0


def test_contract_a_block_is_metered_also_when_it_fails(any_meter):
    def fail():
        with metered:
            raise ValueError("diverged")

    metered = meter(instrument=any_meter)
    with pytest.raises(RuntimeError, match="no reading"):
        _ = metered.reading
    with pytest.raises(ValueError, match="diverged"):
        fail()
    assert metered.reading.wall_s > 0


def test_cpu_time_is_charged_not_waiting():
    with meter(instrument=CpuTimeMeter(10.0)) as busy:
        spin(0.05)
    with meter(instrument=CpuTimeMeter(10.0)) as asleep:
        time.sleep(0.05)
    assert busy.reading.energy_j == pytest.approx(10.0 * busy.reading.cpu_s)
    assert busy.reading.cpu_s >= 0.05
    assert asleep.reading.cpu_s < 0.04
    assert busy.reading.provenance == "estimated"
    assert busy.reading.coverage == ("cpu",)


def test_idle_watts_are_charged_by_the_clock():
    with meter(instrument=CpuTimeMeter(0.0, 3.0)) as metered:
        time.sleep(0.02)
    assert metered.reading.energy_j == pytest.approx(3.0 * metered.reading.wall_s)
    assert "3 W idle" in metered.reading.source


CHILD = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"


@pytest.mark.parametrize("children", [True, False])
def test_finished_children_count_if_asked(children):
    with meter(children=children, instrument=CpuTimeMeter(1.0, children=children)) as metered:
        subprocess.run([sys.executable, "-c", CHILD], check=True)
    assert (metered.reading.energy_j >= 0.1) == children
    assert ("its children" in metered.reading.source) == children


def test_the_source_names_the_watts_and_where_they_come_from():
    def source(*watts):
        with meter(instrument=CpuTimeMeter(*watts)) as metered:
            pass
        return metered.reading.source

    assert "4 W per hardware thread, as CodeCarbon" in source()
    assert "2.5 W per hardware thread, as given" in source(2.5)


@pytest.mark.parametrize("watts", [(-1.0,), (1.0, -2.0), (float("nan"),)])
def test_negative_watts_are_refused(watts):
    with pytest.raises(InputError, match="at least 0 W"):
        CpuTimeMeter(*watts)


def test_the_null_meter_does_not_know_energy():
    with meter(instrument=NullMeter()) as metered:
        pass
    assert metered.reading.energy_j is None
    assert metered.reading.coverage == ()


def test_replay_gives_its_readings_in_order_and_then_refuses():
    other = Reading(1.0, None, None, "measured", "lost", ())
    replay = ReplayMeter([RECORDED, other])
    for expected in (RECORDED, other):
        replay.start()
        assert replay.stop() == expected
    with pytest.raises(RuntimeError, match="no recorded reading is left"):
        replay.start()


# Both on one hardware thread, where they compete for time and for nothing else.
FIXED_WORK = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from greenshift.energy import CpuTimeMeter, meter
with meter(instrument=CpuTimeMeter(10.0)) as metered:
    total = 0
    for i in range(8_000_000):
        total += i * i % 7
print(metered.reading.energy_j, metered.reading.method)
"""
SPIN = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(flush=True)
while True:
    pass
"""


def fixed_work():
    """Energy of the same work in a process of its own."""
    run = subprocess.run([sys.executable, "-c", FIXED_WORK], capture_output=True, text=True, check=True)
    energy_j, method = run.stdout.split()
    assert method == "cpu-time"
    return float(energy_j)


@contextlib.contextmanager
def spinner():
    process = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_neighbours_load_does_not_change_the_energy_of_a_trial():
    """In turns, so that other changes of the machine fall on both sides; their number does not depend on the result."""
    alone, beside = [], []
    for _ in range(5):
        alone.append(fixed_work())
        with spinner():
            beside.append(fixed_work())
    quiet_j, loaded_j = statistics.median(alone), statistics.median(beside)
    assert quiet_j / 10.0 > 0.3, "CPU seconds: too little work to tell"
    assert loaded_j == pytest.approx(quiet_j, rel=0.10)


def test_many_short_lived_children_count():
    with meter(instrument=CpuTimeMeter(1.0)) as metered:
        for _ in range(3):
            subprocess.run([sys.executable, "-c", CHILD], check=True)
    assert metered.reading.cpu_s >= 0.3


def test_a_control_group_counts_what_its_account_says(tmp_path):
    instrument = cgroup(tmp_path / "group")
    instrument.start()
    (tmp_path / "group" / "cpu.stat").write_text("usage_usec 7500000\n")
    reading = instrument.stop()
    assert reading.cpu_s == pytest.approx(2.5)
    assert reading.energy_j == pytest.approx(10.0)
    assert "control group /job" in reading.source


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_control_group_that_vanishes_is_a_failed_reading(tmp_path, moment):
    instrument = cgroup(tmp_path / "group")
    file = tmp_path / "group" / "cpu.stat"
    if moment == "before":
        file.unlink()
    instrument.start()
    file.unlink(missing_ok=True)
    reading = instrument.stop()
    assert (reading.energy_j, reading.cpu_s) == (None, None)
    assert "cannot be read" in reading.source
    file.write_text("usage_usec 1\n")
    instrument.start()
    assert instrument.stop().energy_j == 0


def test_given_watts_are_surer_than_assumed_ones():
    def width(*watts):
        with meter(instrument=CpuTimeMeter(*watts)) as metered:
            spin(0.01)
        low_j, high_j = metered.reading.interval_j
        assert low_j < metered.reading.energy_j < high_j
        return high_j / low_j

    assert width(5.0) == pytest.approx(1.4**2)
    assert width() == pytest.approx(9.0)


def test_energy_above_idle_is_known_if_the_idle_watts_are():
    with meter(instrument=CpuTimeMeter(10.0, 3.0)) as metered:
        spin(0.01)
    assert metered.reading.net_energy_j == pytest.approx(10.0 * metered.reading.cpu_s)
    with meter(instrument=CpuTimeMeter(10.0)) as metered:
        spin(0.01)
    assert metered.reading.net_energy_j is None


def test_readings_of_older_stores_can_be_read():
    old = {"wall_s": 2.0, "cpu_s": 1.0, "energy_j": 4.0, "provenance": "estimated", "source": "x", "coverage": ["cpu"]}
    assert Reading.from_json(old) == Reading(2.0, 1.0, 4.0, "estimated", "x", ("cpu",), None, None, None)


def test_readings_in_sequence_add_up():
    other = Reading(1.0, 0.5, 3.0, "estimated", "a formula", ("cpu",), "cpu-time", (2.0, 5.0))
    both = in_sequence(RECORDED, other)
    assert (both.wall_s, both.cpu_s, both.energy_j) == (3.0, 2.0, 15.0)
    assert both.interval_j == (13.0, 18.0)
    assert both.net_energy_j is None, "a part of it is not known"
    assert both.provenance == "estimated", "not all of it was measured"
    assert both.coverage == ("cpu",), "what all of it covers"
    assert (both.method, both.source) == ("nvml+cpu-time", "a recorded counter | a formula")
    assert in_sequence(both, other).source == both.source
    assert in_sequence(RECORDED, RECORDED).provenance == "measured"
    assert in_sequence(both, other.failed("gone")).energy_j is None


def test_readings_side_by_side_cover_more():
    processor = Reading(2.0, 1.5, 3.0, "measured", "RAPL", ("cpu", "ram"), "rapl", (2.0, 4.0), 1.0)
    graphics = Reading(2.0, 1.5, 40.0, "measured", "NVML", ("gpu",), "nvml", (30.0, 50.0), 20.0)
    both = side_by_side(processor, graphics)
    assert (both.wall_s, both.cpu_s, both.energy_j, both.net_energy_j) == (2.0, 1.5, 43.0, 21.0)
    assert both.coverage == ("cpu", "ram", "gpu")
    assert both.interval_j == (32.0, 54.0)
    assert both.provenance == "measured"


def test_carbon():
    assert carbon_g(3.6e6, 381.0) == pytest.approx(381.0)
    assert carbon_g(0.0, 381.0) == 0
    with pytest.raises(InputError, match="carbon intensity"):
        carbon_g(1.0, -1.0)
