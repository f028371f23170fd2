"""Studies that are cut short: signals, kill -9, dying workers; and several workers at a time."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

import study_fakes
from greenshift.config import StudyConfig
from greenshift.optimize import Proposal
from greenshift.store import Store
from greenshift.study import StudyInterrupted, run_study
from study_fakes import fake_evaluator

CONFIG = {"optimizer": "random", "fidelity": "epochs", "budget": "4trials"}


def start(folder, config=CONFIG, **behaviour):
    asked = json.dumps({"config": config, "folder": str(folder), "behaviour": behaviour})
    return subprocess.Popen([sys.executable, study_fakes.__file__, asked], stdout=subprocess.DEVNULL)


def wait_for(marker: Path, line: str):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if marker.exists() and line in marker.read_text().splitlines():
            return
        time.sleep(0.02)
    raise AssertionError(f"{line} never came")


def finish(folder, **changes):
    config = StudyConfig(**{**CONFIG, **changes})
    return run_study(config, folder, on_event=study_fakes.ignore, evaluator=fake_evaluator())


def proposals(folder):
    with Store.open(folder) as store:
        done = [e for e in store.evaluations() if e.role == "trial" and e.outcome != "interrupted"]
    return sorted(((e.trial, e.configuration, e.fidelity) for e in done), key=lambda item: item[0])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    finish(folder)
    return proposals(folder)


def test_kill_9_loses_the_running_evaluation_only_and_it_is_evaluated_again(tmp_path, uninterrupted):
    folder, marker = tmp_path / "run", tmp_path / "marker"
    process = start(folder, stuck=2, marker=str(marker))
    wait_for(marker, "2 9")
    process.kill()
    process.wait()
    with Store.open(folder) as store:
        assert [e.trial for e in store.evaluations()] == [-1, -2, 0, 1]
        assert [claim.trial for claim in store.orphans()] == [2]
        assert store.consumed().energy_j > 0
        assert not store.is_running()
    assert len(list((folder / "checkpoints").iterdir())) == 1
    summary = finish(folder)
    assert summary.progress.finished == 4
    assert proposals(folder) == uninterrupted
    assert list((folder / "checkpoints").iterdir()) == []
    with Store.open(folder) as store:
        assert [s.state for s in store.sessions()] == ["killed", "finished"]
        assert store.orphans() == []


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_signal_keeps_what_finished_and_counts_what_did_not(tmp_path, uninterrupted, number, workers):
    folder, marker = tmp_path / "run", tmp_path / "marker"
    process = start(folder, {**CONFIG, "workers": workers}, stuck=1, marker=str(marker))
    wait_for(marker, "1 9")
    wait_for(marker, "0 9")
    if workers == 2:  # trial 0 has finished once its successor cannot start: the window waits for trial 1
        wait_for(marker, "2 9")
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
    with Store.open(folder) as store:
        cut = [e for e in store.evaluations() if e.outcome == "interrupted"]
        assert 1 in [e.trial for e in cut]
        assert cut[0].reason == "stopped by a signal"
        assert 0 < cut[0].reading.wall_s < 60
        assert {-1, -2, 0} <= {e.trial for e in store.evaluations() if e.outcome == "ok"}
        assert {c.trial for c in store.orphans()} == {e.trial for e in cut}
        assert store.sessions()[0].state == "interrupted"
    summary = finish(folder)
    assert summary.progress.finished == 4
    assert proposals(folder) == uninterrupted


def test_ctrl_c_reaches_workers_that_are_just_starting_without_a_word_from_them(tmp_path):
    config = {**CONFIG, "workers": 2, "baselines": False}
    asked = json.dumps({"config": config, "folder": str(tmp_path), "behaviour": {}})
    process = subprocess.Popen(
        [sys.executable, study_fakes.__file__, asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while "started" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    errors = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert errors == ""


def test_a_signal_in_a_baseline(tmp_path, uninterrupted):
    folder, marker = tmp_path / "run", tmp_path / "marker"
    process = start(folder, stuck=-2, marker=str(marker))
    wait_for(marker, "-2 9")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    summary = finish(folder)
    assert summary.progress.baselines == 2
    assert proposals(folder) == uninterrupted


def test_a_signal_while_recording_waits_for_the_record(tmp_path):
    """The signal comes from the listener, right after trial 1 was recorded and before it was told."""
    seen = []

    def interrupt(event):
        seen.append(event.kind)
        if event.kind == "finished" and event.evaluation.trial == 1:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StudyInterrupted) as caught:
        run_study(StudyConfig(**CONFIG), tmp_path, on_event=interrupt, evaluator=fake_evaluator())
    assert signal.getsignal(signal.SIGINT) is before
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.summary.progress.finished == 2
    assert caught.value.summary.reason == "interrupted"
    assert seen[-2:] == ["finished", "ended"]
    with Store.open(tmp_path) as store:
        assert store.orphans() == []
        assert store.sessions()[0].state == "interrupted"


def test_a_signal_that_a_library_takes_for_an_error_of_its_own(tmp_path, uninterrupted):
    def evaluate(task, cpu_watts):
        try:
            if task.trial == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
        except KeyboardInterrupt as error:
            raise RuntimeError("the backward pass failed") from error
        return study_fakes.evaluate(task, cpu_watts)

    evaluator = fake_evaluator()
    object.__setattr__(evaluator, "evaluate", evaluate)
    with pytest.raises(StudyInterrupted):
        run_study(StudyConfig(**CONFIG), tmp_path, on_event=study_fakes.ignore, evaluator=evaluator)
    with Store.open(tmp_path) as store:
        assert [claim.trial for claim in store.orphans()] == [1]
    assert finish(tmp_path).progress.failed == 0
    assert proposals(tmp_path) == uninterrupted


def test_a_study_in_another_thread_leaves_signals_alone(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=finish, args=(tmp_path,))
    thread.start()
    thread.join(timeout=30)
    assert len(proposals(tmp_path)) == 4
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_that_dies_is_one_failed_evaluation(tmp_path):
    config = StudyConfig(**{**CONFIG, "workers": 2, "baselines": False})
    summary = run_study(config, tmp_path, on_event=study_fakes.ignore, evaluator=fake_evaluator(dies=1))
    assert (summary.progress.ok, summary.progress.failed) == (3, 1)
    with Store.open(tmp_path) as store:
        failed = [e for e in store.evaluations() if e.outcome == "failed"]
    assert [(e.trial, e.reason) for e in failed] == [(1, "its worker process died (killed, or out of memory)")]
    assert failed[0].reading.energy_j is None
    assert summary.consumption.cpu_s > 0.3  # what the workers took to start and to import is in the books


class Chained:
    """Proposes by what it was told so far, in that order, so that any change of order shows."""

    def __init__(self, configuration):
        self._configuration = configuration
        self._told = []
        self._next = 0

    def ask(self, n=1):
        assert n == 1
        lr = 0.001 + 0.098 * (hash(tuple(self._told)) % 1000) / 1000
        self._next += 1
        return [Proposal(self._next - 1, {**self._configuration, "lr": lr}, 9.0)]

    def tell(self, *, trial, fidelity, objectives, cost_s, status="ok", configuration=None):  # noqa: ARG002
        self._told.append((trial, fidelity, round(objectives["error"], 9), status, configuration["lr"]))


def test_with_several_workers_timing_changes_nothing(tmp_path, monkeypatch, uninterrupted):
    configuration = uninterrupted[0][1]
    monkeypatch.setattr("greenshift.study.plan.Plan.optimizer", lambda *_: Chained(configuration))
    monkeypatch.setattr("greenshift.study.loop.make_executor", ThreadPoolExecutor)
    delays = {"a": [0.0] * 12, "b": [0.05, 0.0, 0.02] * 4, "c": [0.0, 0.04] * 6}
    seen = {}
    for name, delay in delays.items():

        def evaluate(task, cpu_watts, delay=delay):
            time.sleep(delay[task.trial])
            return study_fakes.evaluate(task, cpu_watts)

        evaluator = fake_evaluator()
        object.__setattr__(evaluator, "evaluate", evaluate)
        config = StudyConfig(optimizer="random", fidelity="epochs", budget="12trials", workers=3, baselines=False)
        events = []
        run_study(config, tmp_path / name, on_event=events.append, evaluator=evaluator)
        seen[name] = proposals(tmp_path / name)
        assert max(e.progress.running for e in events) == 3
    assert seen["a"] == seen["b"] == seen["c"]
    assert len({json.dumps(p[1], sort_keys=True) for p in seen["a"]}) == 10  # the first three were asked for blind


def test_workers_may_not_exceed_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr("greenshift.study.loop.make_executor", ThreadPoolExecutor)
    config = StudyConfig(**{**CONFIG, "workers": 3, "budget": "4trials"})
    summary = run_study(config, tmp_path, on_event=study_fakes.ignore, evaluator=fake_evaluator(delay_s=0.01))
    assert summary.progress.finished == 4
    with Store.open(tmp_path) as store:
        assert len(store.evaluations()) == 6
    assert asdict(summary.progress)["running"] == 0
