"""Ctrl-C, SIGTERM and `kill -9` in the middle of a real search: nothing that had finished is lost."""

import json
import signal
import subprocess
import sys
import time

import pytest

from greenshift.errors import InputError
from greenshift.store import Store


def finished_trials(folder):
    try:
        with Store.open(folder) as store:
            return [e for e in store.evaluations() if e.outcome in ("ok", "failed")]
    except InputError:  # the search has not made it yet
        return []


def wait_for_trials(process, folder, count, patience_s=120.0):
    """Wait until so many trials are in the store. The search has far more to do, so it cannot be over by then."""
    deadline = time.monotonic() + patience_s
    while len(finished_trials(folder)) < count:
        assert process.poll() is None, f"the search ended by itself: {process.communicate()}"
        assert time.monotonic() < deadline, "no trial was recorded"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_search_is_resumed(stop, code, tmp_path, contract, call):
    folder = tmp_path / "store"
    asked = (*contract, "--no-baselines", "--store", str(folder))
    process = subprocess.Popen(
        [sys.executable, "-m", "greenshift", *asked, "--budget", "100000trials"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_trials(process, folder, 2)
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    if code == 130:
        assert out == ""
        assert err.splitlines()[-1].startswith("greenshift: stopped by a signal; the same command goes on")
        assert str(folder) in err.splitlines()[-1]
    kept = finished_trials(folder)
    assert len(kept) >= 2
    status = json.loads(call("status", folder, "--json").out)
    assert status["running"] is False
    total = len(kept) + 2
    said = call(*asked, "--budget", f"{total}trials", "--json")
    assert said.code == 0, said.err
    resumed = finished_trials(folder)
    assert resumed[: len(kept)] == kept, "what had finished is still there, as it was"
    assert sorted(e.trial for e in resumed) == list(range(total)), "the one that was cut short was made up for"


def test_a_second_search_on_a_busy_store_is_refused(tmp_path, contract, call):
    folder = tmp_path / "store"
    with Store.create(folder, study(contract)):
        said = call(*contract, "--store", folder, "--budget", "1trials")
    assert said.code == 2
    assert "another search writes to it" in said.complaint


def study(contract):
    """The configuration that the contract's command stands for."""
    from greenshift.config import StudyConfig

    named = dict(zip(contract[1::2], contract[2::2], strict=True))
    return StudyConfig(
        data=named["--data"],
        model=named["--model"],
        fidelity=named["--fidelity"],
        fidelity_max=int(named["--max-fidelity"]),
        train_limit=int(named["--train-limit"]),
    )
