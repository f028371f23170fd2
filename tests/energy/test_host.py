"""The meter of this host: shares of a counter, the claim on it, and what stands in where there is none."""

import gc
import os
import subprocess
import sys
import threading
import time

import pytest
from energy_fakes import cpu_account, fake_nvml, powercap, replayed, set_package

from greenshift.energy import (
    CpuTimeMeter,
    HostMeter,
    NvmlMeter,
    Probe,
    RaplMeter,
    ReplayMeter,
    ShareMeter,
    best_meter,
    claim_counters,
    claim_probe,
    host,
    session_meter,
)
from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.study.ledger import Ledger


def counted(energy_j, cpu_s, wall_s=1.0, net_j=None):
    return Reading(wall_s, cpu_s, energy_j, "measured", "counter", ("cpu",), "rapl", (energy_j, energy_j), net_j)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A host with counters, no GPU, and a runtime folder of its own."""
    root = powercap(tmp_path / "powercap")
    monkeypatch.setattr(host, "rapl_probe", lambda: Probe(True, "counters"))
    monkeypatch.setattr(host, "RaplMeter", lambda **options: RaplMeter(root, **options))
    monkeypatch.setattr("greenshift.energy.claim.tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return root


# ---- shares


def test_two_processes_side_by_side_share_the_machines_joules(tmp_path):
    """100 J, of which one process used 3 of 5 CPU seconds, another 1.5, neighbours the rest."""
    shares = []
    for cpu_s in (3.0, 1.5):
        stat = cpu_account(tmp_path / "stat", 1000, 5000)
        meter = ShareMeter(ReplayMeter([counted(100.0, cpu_s, net_j=40.0)]), stat=stat)
        meter.start()
        cpu_account(stat, 1500, 9000)
        shares.append(meter.stop())
    assert [reading.energy_j for reading in shares] == pytest.approx([60.0, 30.0])
    assert [reading.net_energy_j for reading in shares] == pytest.approx([24.0, 12.0])
    assert {reading.provenance for reading in shares} == {"estimated"}
    assert shares[0].method == "rapl-share"
    assert "share of the machine's CPU time" in shares[0].source
    assert shares[0].interval_j[0] < 60.0 < shares[0].interval_j[1]


def test_a_share_is_at_most_the_whole(tmp_path):
    stat = cpu_account(tmp_path / "stat", 1000)
    meter = ShareMeter(ReplayMeter([counted(8.0, 0.5), counted(8.0, 0.0)]), stat=stat)
    meter.start()
    cpu_account(stat, 1049)  # the kernel's ticks lag behind
    assert meter.stop().energy_j == 8.0
    meter.start()
    assert meter.stop().energy_j == 0.0


def test_an_interval_too_short_for_clock_ticks_is_refused(tmp_path):
    meter = ShareMeter(ReplayMeter([counted(8.0, 0.05, wall_s=0.1)]), stat=cpu_account(tmp_path / "stat", 1000))
    meter.start()
    reading = meter.stop()
    assert reading.energy_j is None
    assert "too short" in reading.source


def test_laps_that_are_too_short_lose_nothing(tmp_path):
    stat = cpu_account(tmp_path / "stat", 1000)
    laps = [counted(2.0, 0.05, wall_s=0.05) for _ in range(8)]
    meter = ShareMeter(ReplayMeter(laps), contiguous=True, stat=stat)
    energies_j = []
    for lap in range(1, 9):
        meter.start()
        cpu_account(stat, 1000 + 10 * lap)  # two CPUs busy, one of them for us
        energies_j.append(meter.stop().energy_j)
    assert sum(energies_j) == pytest.approx(8.0)
    assert energies_j.count(0.0) == 6


@pytest.mark.parametrize("moment", ["start", "stop"])
def test_without_the_machines_cpu_time_there_is_no_share(tmp_path, moment):
    stat = tmp_path / "stat"
    if moment == "stop":
        cpu_account(stat, 1000)
    meter = ShareMeter(ReplayMeter([counted(8.0, 0.5)]), stat=stat)
    meter.start()
    stat.unlink(missing_ok=True)
    reading = meter.stop()
    assert reading.energy_j is None
    assert "the machine's CPU time" in reading.source


# ---- the counter comes and goes


def test_a_counter_that_vanishes_is_replaced_by_cpu_time_for_the_rest_and_the_source_says_so(machine):
    ledger = Ledger(session_meter(2.0))
    spin(0.25)
    set_package(machine, 3_000_000)
    before = ledger.run()
    assert 0 < before.energy_j <= 3.0
    assert before.method == "rapl-share"
    (machine / "intel-rapl:0" / "energy_uj").unlink()
    spin(0.1)
    after = ledger.run()
    assert after.energy_j - before.energy_j == pytest.approx(2.0 * (after.cpu_s - before.cpu_s))
    assert after.method == "rapl-share+cpu-time"
    assert "instead of RAPL" in after.source
    assert "No such file" in after.source
    assert after.provenance == "estimated"
    spin(0.05)
    assert ledger.run().source == after.source, "however many laps follow"
    ledger.end()
    assert ledger.run() == ledger.run()
    assert not any(thread.name == "rapl" for thread in threading.enumerate())


def test_a_counter_that_is_missing_from_the_start_is_no_failure(monkeypatch):
    monkeypatch.setattr(host, "rapl_probe", lambda: Probe(False, "none"))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert isinstance(best_meter(), CpuTimeMeter)
    with pytest.raises(InputError):
        best_meter(-1.0)


def test_a_short_interval_beside_a_counter_is_charged_by_cpu_time(machine):
    meter = best_meter(2.0)
    meter.start()
    set_package(machine, 9_000_000)
    reading = meter.stop()
    assert reading.method == "cpu-time"
    assert reading.energy_j == pytest.approx(2.0 * reading.cpu_s)
    assert "too short" in reading.source


# ---- the claim

HOLD = """
import sys
from pathlib import Path
from greenshift.energy import claim_counters
claim = claim_counters(Path(sys.argv[1]))
print(claim if isinstance(claim, str) else "held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stranger(tmp_path):
    """Another process, not of this family by its looks, that holds the counters of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / f"greenshift-{os.getuid()}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.communicate()


def test_two_meters_in_two_processes_never_count_the_same_joule(machine, stranger):
    """The first has the counter; the second is told whose it is and charges its own CPU time only."""
    second = session_meter(2.0)
    second.start()
    set_package(machine, 500_000_000)
    spin(0.25)
    reading = second.stop()
    assert reading.method == "cpu-time"
    assert reading.energy_j == pytest.approx(2.0 * reading.cpu_s)
    assert f"another greenshift process holds this machine's counters (process {stranger.pid})" in reading.source
    assert not claim_probe().available


def test_the_claim_ends_with_the_process_that_holds_it(machine, stranger):
    assert isinstance(claim_counters(), str)
    stranger.kill()
    stranger.wait()
    meter = session_meter()
    meter.start()
    set_package(machine, 500_000_000)
    spin(0.25)
    assert meter.stop().method == "rapl-share"


def test_workers_take_their_shares_under_their_sessions_claim(tmp_path):
    folder = tmp_path / "claims"
    claim = claim_counters(folder)
    worker = subprocess.run([sys.executable, "-c", HOLD, folder], input="", capture_output=True, text=True, check=True)
    assert worker.stdout == "held\n"
    assert claim_counters(folder) is claim, "all meters of a process share its claim"
    del claim
    gc.collect()
    assert not isinstance(claim_counters(folder), str)


def test_a_runtime_folder_that_cannot_be_used_leaves_the_counter_alone(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be opened" in claim_counters(tmp_path / "file" / "below")
    (tmp_path / "real").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "real")
    assert "not a folder of this user" in claim_counters(tmp_path / "planted")
    assert list((tmp_path / "real").iterdir()) == []


# ---- with a GPU


def test_a_gpu_adds_to_the_processor(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", replayed([0, 0, 50_000], "nvmlDeviceGetTotalEnergyConsumption"))
    meter = HostMeter(CpuTimeMeter(2.0), gpu=NvmlMeter(contiguous=True))
    meter.start()
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(50.0 + 2.0 * reading.cpu_s)
    assert reading.coverage == ("cpu", "gpu")
    assert reading.method == "cpu-time+nvml"
    assert reading.provenance == "estimated", "not all of it is measured"


def test_a_gpu_that_is_shared_is_not_covered_and_the_source_says_why(monkeypatch):
    trace = replayed([0, 0, 50_000], "nvmlDeviceGetTotalEnergyConsumption", pids=(1,))
    monkeypatch.setitem(sys.modules, "pynvml", trace)
    monkeypatch.setattr(host, "rapl_probe", lambda: Probe(False, "none"))
    meter = best_meter(2.0)
    meter.start()
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(2.0 * reading.cpu_s)
    assert reading.coverage == ("cpu",)
    assert "GPU not counted" in reading.source
    assert "process 1 was on it too" in reading.source


@pytest.mark.parametrize(
    ("visible", "reason"), [("MIG-1", "GPU MIG-1 cannot be used"), ("", "CUDA_VISIBLE_DEVICES hides every GPU")]
)
def test_a_gpu_that_cannot_be_used_is_not_covered_and_the_source_says_why(monkeypatch, visible, reason):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    monkeypatch.setattr(host, "rapl_probe", lambda: Probe(False, "none"))
    meter = best_meter(2.0)
    meter.start()
    reading = meter.stop()
    assert reading.energy_j == pytest.approx(2.0 * reading.cpu_s)
    assert reading.coverage == ("cpu",)
    assert "GPU not counted: NVML: " in reading.source
    assert reason in reading.source


def test_a_gpu_whose_library_is_missing_is_not_taken_for_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(host, "rapl_probe", lambda: Probe(False, "none"))
    monkeypatch.setattr(host, "gpu_present", lambda: True)
    ledger = Ledger(session_meter(2.0))
    first, second = ledger.run(), ledger.run()
    ledger.end()
    assert "GPU not counted: the package nvidia-ml-py is not installed" in first.source
    assert second.source == first.source
    assert second.energy_j == pytest.approx(2.0 * second.cpu_s)


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
