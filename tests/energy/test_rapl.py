import threading
import time

import pytest

from greenshift.energy import RaplMeter, idle_power_w, rapl_probe
from greenshift.errors import InputError

RANGE_UJ = 1_000_000


def zone(root, name, label, value=0):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{label}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (folder / "energy_uj").write_text(f"{value}\n")
    return folder / "energy_uj"


def test_packages_and_memory_add_up_and_nothing_is_counted_twice(tmp_path):
    package0, package1 = zone(tmp_path, "intel-rapl:0", "package-0"), zone(tmp_path, "intel-rapl:1", "package-1")
    core, dram = zone(tmp_path, "intel-rapl:0:0", "core"), zone(tmp_path, "intel-rapl:1:0", "dram")
    psys, mmio = zone(tmp_path, "intel-rapl:2", "psys"), zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    meter = RaplMeter(tmp_path, contiguous=True)
    meter.start()
    for counter, value in ((package0, 100), (package1, 20), (core, 3000), (dram, 5), (psys, 50_000), (mmio, 700_000)):
        counter.write_text(str(value))
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(125e-6)
    assert reading.provenance == "measured"
    assert reading.coverage == ("cpu", "ram")
    assert reading.source == "RAPL counters package-0, package-1, 1-dram of the whole machine"


def test_without_memory_counters_the_memory_is_not_covered(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path, contiguous=True)
    meter.start()
    assert meter.stop().coverage == ("cpu",)


def test_a_wrap_is_seen_and_every_interval_starts_at_zero(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 9)
    meter = RaplMeter(tmp_path, contiguous=True)
    meter.start()
    counter.write_text("10")
    assert meter.stop().energy_j == pytest.approx(20e-6)
    meter.start()
    counter.write_text("13")
    assert meter.stop().energy_j == pytest.approx(3e-6)


class Counter:
    """Stands in for a counter file: every look at it adds 60 % of the range."""

    def __init__(self):
        self.looks = 0
        self.enough = threading.Event()

    def look(self):
        value = self.looks * 600_000 % (RANGE_UJ + 1)
        self.looks += 1
        if self.looks > 5:
            self.enough.set()
        return value


def test_several_wraps_are_seen_by_the_watching_thread(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path, poll_s=0.001, contiguous=True)
    counter = Counter()
    monkeypatch.setattr("greenshift.energy.rapl._Zone.read_uj", lambda _zone: counter.look())
    meter.start()
    assert counter.enough.wait(10)
    assert meter.stop().energy_j == pytest.approx((counter.looks - 1) * 0.6)


def test_the_thread_ends_with_the_interval(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path, contiguous=True)
    meter.start()
    assert any(thread.name == "rapl" for thread in threading.enumerate())
    meter.stop()
    assert not any(thread.name == "rapl" for thread in threading.enumerate())


def test_a_counter_that_vanishes_makes_the_energy_unknown_and_the_next_interval_is_clean(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 5)
    meter = RaplMeter(tmp_path, contiguous=True)
    meter.start()
    counter.unlink()
    reading = meter.stop()
    assert reading.energy_j is None
    assert "failed: " in reading.source
    assert reading.wall_s > 0
    counter.write_text("7")
    meter.start()
    counter.write_text("9")
    assert meter.stop().energy_j == pytest.approx(2e-6)


def test_the_probe_says_why(tmp_path):
    assert "does not exist" in rapl_probe(tmp_path / "none").reason
    assert "no intel-rapl package zone" in rapl_probe(tmp_path).reason
    counter = zone(tmp_path, "intel-rapl:0", "package-0")
    assert rapl_probe(tmp_path).available
    assert rapl_probe(tmp_path).reason == "counters package-0"
    counter.write_text("much")
    assert "cannot be read" in rapl_probe(tmp_path).reason
    with pytest.raises(InputError, match="RAPL: a counter under"):
        RaplMeter(tmp_path)


def test_a_counter_for_root_only_is_explained(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")

    def refuse(_zone):
        raise PermissionError(13, "Permission denied", "/sys/energy_uj")

    monkeypatch.setattr("greenshift.energy.rapl._Zone.read_uj", refuse)
    probe = rapl_probe(tmp_path)
    assert not probe.available
    assert "/sys/energy_uj is readable by root only" in probe.reason


def test_an_interval_too_short_for_the_counters_is_refused(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path)
    meter.start()
    counter.write_text("5000")
    reading = meter.stop()
    assert reading.energy_j is None
    assert reading.interval_j is None
    assert "too short" in reading.source


def test_total_and_net_of_idle_lie_within_their_interval(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path, idle_w=1.0)
    meter.start()
    time.sleep(0.03)
    counter.write_text("900000")
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(0.9)
    assert reading.net_energy_j == pytest.approx(0.9 - reading.wall_s)
    low_j, high_j = reading.interval_j
    assert low_j < 0.9 / 1.1 < 0.9 * 1.1 < high_j
    assert reading.method == "rapl"
    with pytest.raises(InputError, match="idle power"):
        RaplMeter(tmp_path, idle_w=-1.0)


def test_counters_that_stand_still_are_no_zero(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 77)
    for contiguous in (True, False):
        meter = RaplMeter(tmp_path, contiguous=contiguous)
        meter.start()
        time.sleep(0.03)
        reading = meter.stop()
        assert reading.energy_j is None
        assert "stand still" in reading.source


def test_the_idle_power_is_what_the_counters_take_meanwhile(tmp_path, monkeypatch):
    counter = zone(tmp_path, "intel-rapl:0", "package-0")
    sleep = time.sleep

    def rest(seconds):
        sleep(seconds)
        counter.write_text("400000")

    monkeypatch.setattr("greenshift.energy.rapl.time.sleep", rest)
    assert 0 < idle_power_w(0.04, tmp_path) <= 0.4 / 0.04
    assert idle_power_w(0.0, tmp_path) is None
    with pytest.raises(InputError):
        idle_power_w(0.0, tmp_path / "none")
