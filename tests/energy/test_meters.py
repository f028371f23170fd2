import subprocess
import sys
import time

import pytest

from greenshift.energy import (
    CpuTimeMeter,
    NullMeter,
    RaplMeter,
    Reading,
    ReplayMeter,
    best_meter,
    carbon_g,
    meter,
)
from greenshift.energy import meters as meters_module
from greenshift.energy.rapl import Probe
from greenshift.errors import InputError

RECORDED = Reading(2.0, 1.5, 12.0, "measured", "a recorded counter", ("cpu", "gpu"))


def powercap(root, package_uj=1000, dram_uj=500):
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
        (folder / "max_energy_range_uj").write_text("9999999\n")
    return root


METERS = {
    "cpu-time": lambda _root: CpuTimeMeter(),
    "cpu-time of this process": lambda _root: CpuTimeMeter(7.0, 2.0, children=False),
    "null": lambda _root: NullMeter(),
    "replay": lambda _root: ReplayMeter([RECORDED, RECORDED]),
    "rapl": lambda root: RaplMeter(powercap(root)),
}


@pytest.fixture(params=METERS, ids=METERS)
def any_meter(request, tmp_path):
    return METERS[request.param](tmp_path / "powercap")


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
        assert reading.cpu_s is None or reading.cpu_s >= 0.01
        assert reading.energy_j is None or reading.energy_j >= 0
        assert reading.provenance in ("measured", "estimated")
        assert reading.source
        assert Reading.from_json(reading.to_json()) == reading


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
    assert ("finished children" in metered.reading.source) == children


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


def test_the_best_meter_is_rapl_where_it_can_be_read(monkeypatch, tmp_path):
    monkeypatch.setattr(meters_module, "rapl_probe", lambda: Probe(False, "no counter"))
    assert isinstance(best_meter(), CpuTimeMeter)
    monkeypatch.setattr(meters_module, "rapl_probe", lambda: Probe(True, "counter"))
    made = []
    monkeypatch.setattr(
        meters_module, "RaplMeter", lambda children: made.append(children) or RaplMeter(powercap(tmp_path))
    )
    assert isinstance(best_meter(3.0, children=False), RaplMeter)
    assert made == [False]
    with pytest.raises(InputError):
        best_meter(-1.0)


def test_carbon():
    assert carbon_g(3.6e6, 381.0) == pytest.approx(381.0)
    assert carbon_g(0.0, 381.0) == 0
    with pytest.raises(InputError, match="carbon intensity"):
        carbon_g(1.0, -1.0)
