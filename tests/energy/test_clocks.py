"""CPU time: of workers that run and have ended, of control groups of both versions, of the machine."""

import multiprocessing
import time

import pytest
from energy_fakes import cpu_account

from greenshift.energy import cgroup_probe, control_group
from greenshift.energy.clocks import family_cpu_s, machine_busy_s, own_cpu_s
from greenshift.errors import InputError


def spin(seconds, done, leave):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    done.set()
    leave.wait()


def test_a_worker_counts_while_it_runs_and_just_once_when_it_has_ended():
    context = multiprocessing.get_context("spawn")
    done, leave = context.Event(), context.Event()
    before_s, own_before_s = family_cpu_s(), own_cpu_s()
    worker = context.Process(target=spin, args=(0.3, done, leave))
    worker.start()
    assert done.wait(60)
    running_s = family_cpu_s() - before_s - (own_cpu_s() - own_before_s)
    assert running_s >= 0.28, "the kernel counts in ticks of 10 ms"
    leave.set()
    worker.join()
    ended_s = family_cpu_s() - before_s - (own_cpu_s() - own_before_s)
    assert running_s - 0.02 <= ended_s < running_s + 0.25


def group(tmp_path, membership, **files):
    for name, text in files.items():
        file = tmp_path / "cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "self").write_text(membership)
    return tmp_path / "cgroup", tmp_path / "self"


V2 = "usage_usec 2500000\nuser_usec 2000000\n"


@pytest.mark.parametrize(
    ("membership", "files", "seconds", "name"),
    [
        ("0::/job\n", {"job__cpu_dot_stat": V2}, 2.5, "/job"),
        ("2:cpuacct:/old\n0::/\n", {"cpuacct__old__cpuacct_dot_usage": "3000000000\n"}, 3.0, "/old"),
        ("2:cpu,cpuacct:/old\n", {"cpu,cpuacct__old__cpuacct_dot_usage": "3000000000\n"}, 3.0, "/old"),
        ("1:name=systemd:/\n0::/job\n", {"unified__job__cpu_dot_stat": V2}, 2.5, "/job"),
        ("2:cpuacct:/old\n0::/job\n", {"unified__job__cpu_dot_stat": "nr_periods 0\n",
                                       "cpuacct__old__cpuacct_dot_usage": "1000000000"}, 1.0, "/old"),
    ],
)  # fmt: skip
def test_the_account_of_the_group_is_found(tmp_path, membership, files, seconds, name):
    found = control_group(*group(tmp_path, membership, **files))
    assert found.cpu_s() == pytest.approx(seconds)
    assert found.name == name


def test_the_probe_says_what_else_is_in_the_group(tmp_path):
    root, self = group(tmp_path, "0::/\n", cpu_dot_stat=V2)
    assert "holds everything that runs here" in cgroup_probe(root, self).reason
    self.write_text("0::/elsewhere\n")
    assert not cgroup_probe(root, self).available
    with pytest.raises(InputError, match="none of this process"):
        control_group(root, self)
    self.unlink()
    assert "cannot be read" in cgroup_probe(root, self).reason


def test_the_machines_cpu_time_is_all_but_idling(tmp_path):
    file = tmp_path / "stat"
    file.write_text("cpu  100 20 30 5000 600 7 8 35 0 0\ncpu0 1 1 1 1\n")
    assert machine_busy_s(file) == pytest.approx(2.0)
    cpu_account(file, 100)
    assert machine_busy_s(file) == pytest.approx(1.0)
    file.write_text("intr 5\n")
    with pytest.raises(ValueError, match="does not begin"):
        machine_busy_s(file)
