import dataclasses
import json
import math
import os
import sqlite3
import subprocess
import sys

import pytest

from greenshift.config import StudyConfig
from greenshift.design import Design, Recipe
from greenshift.energy import Reading
from greenshift.errors import InputError
from greenshift.records import DataChoice, EpochMetrics, Evaluation, Task
from greenshift.schemes import Depth, Shift
from greenshift.store import Store, add_up

CONFIG = StudyConfig(seed=3)
DESIGN = Design("m", schemes=((Depth(2), Shift("Q", 4)),), recipe=Recipe(epochs=9))


def reading(energy_j=5.0, provenance="estimated", source="test", coverage=("cpu",)):
    return Reading(2.0, 1.0, energy_j, provenance, source, coverage)


def task(trial=0, fidelity=None, label=None):
    return Task(
        trial=trial,
        label=label,
        configuration={"lr": 0.1, "optimizer": "SGD"},
        design=DESIGN,
        epochs=3,
        fidelity=fidelity or {},
        data=DataChoice("digits"),
        objectives=("error",),
        target="cortex-m4",
        seed=0,
    )


def evaluation(trial=0, fidelity=None, outcome="ok", label=None):
    return Evaluation(
        trial=trial,
        label=label,
        configuration={"lr": 0.1, "optimizer": "SGD"},
        design=DESIGN,
        fidelity=fidelity or {},
        outcome=outcome,
        objectives={"error": 0.1},
        provenance={"error": "measured"},
        reading=reading(),
        cost={"energy_j": 1e-6, "fits": True},
        curve=(EpochMetrics(1, 0.5, 0.2, None, 0.1, 0.01),),
        finished_at=12.5,
    )


def test_evaluations_survive_the_round_trip(tmp_path):
    recorded = [evaluation(0, {"epochs": 3.0}), evaluation(-1, label="float32"), evaluation(1, outcome="failed")]
    with Store.create(tmp_path / "run", CONFIG) as store:
        for one in recorded:
            store.record(one)
    with Store.open(tmp_path / "run") as store:
        assert store.evaluations() == recorded
        assert store.config() == CONFIG


def test_a_learning_curve_that_ran_into_nan_can_be_kept(tmp_path):
    diverged = dataclasses.replace(
        evaluation(outcome="failed"), curve=(EpochMetrics(1, math.nan, 0.9, None, 0.1, 0.01),)
    )
    with Store.create(tmp_path, CONFIG) as store:
        store.record(diverged)
        assert math.isnan(store.evaluations()[0].curve[0].train_loss)


def test_claims_are_found_until_they_are_settled(tmp_path):
    with Store.create(tmp_path, CONFIG) as store:
        store.claim(task(0, {"epochs": 3.0}))
        store.claim(task(0, {"epochs": 9.0}))
        store.claim(task(1))
        store.record(evaluation(0, {"epochs": 3}))
        store.record(evaluation(1, outcome="interrupted"))
        orphans = store.orphans()
        assert [(c.trial, c.fidelity) for c in orphans] == [(0, {"epochs": 9.0}), (1, {})]
        assert orphans[1].configuration == {"lr": 0.1, "optimizer": "SGD"}
        store.claim(task(1))
        store.record(evaluation(1))
        assert [c.sequence for c in store.orphans()] == [orphans[0].sequence]


def test_evaluations_in_the_order_of_their_start(tmp_path):
    with Store.create(tmp_path, CONFIG) as store:
        for trial in range(3):
            store.claim(task(trial))
        for trial in (2, 0):
            store.record(evaluation(trial))
        store.record(evaluation(7, outcome="infeasible"))
        store.record(evaluation(1, outcome="interrupted"))
        store.claim(task(1))
        store.record(evaluation(1))
        assert [e.trial for e in store.evaluations()] == [2, 0, 7, 1, 1]
        assert [e.trial for e in store.evaluations(order="start")] == [0, 1, 1, 2, 7]


def test_sessions_add_up_and_a_killed_one_is_known(tmp_path):
    with Store.create(tmp_path, CONFIG) as store:
        store.begin_session(CONFIG)
        store.update_session(reading(5.0))
        store.update_session(reading(7.0))
    later = dataclasses.replace(CONFIG, budget="99trials", workers=2)
    with Store.create(tmp_path, later) as store:
        store.begin_session(later)
        store.update_session(reading(3.0), "finished")
        assert [s.state for s in store.sessions()] == ["killed", "finished"]
        assert store.sessions()[1].config["workers"] == 2
        assert store.consumed().energy_j == 10.0
        assert store.consumed().wall_s == 4.0
        assert store.config() == later


def test_a_session_that_never_said_anything_consumed_nothing_known(tmp_path):
    with Store.create(tmp_path, CONFIG) as store:
        store.begin_session(CONFIG)
        assert store.sessions()[0].reading is None
        assert store.consumed().wall_s == 0


def test_sums_keep_what_is_not_measured_and_where_it_comes_from():
    total = add_up([reading(5.0, "measured", "rapl", ("cpu", "ram")), reading(None, "estimated", "none", ("cpu",))])
    assert total.energy_j is None
    assert total.cpu_s == 2.0
    assert total.provenance == "estimated"
    assert total.source == "rapl; none"
    assert total.coverage == ("cpu",)
    assert add_up([reading(5.0, "measured")]).provenance == "measured"
    assert add_up([]).energy_j == 0


def test_facts_and_selections(tmp_path):
    with Store.create(tmp_path, CONFIG) as store:
        assert store.facts() == {}
        store.set_facts({"float32": {"energy_j": 1e-6}})
        store.record_selection({"trial": 3})
        store.record_selection({"trial": 4})
    with Store.open(tmp_path) as store:
        assert store.facts() == {"float32": {"energy_j": 1e-6}}
        assert store.selections() == [{"trial": 3}, {"trial": 4}]


def test_readers_see_a_running_search_and_do_not_stop_it(tmp_path):
    with Store.create(tmp_path, CONFIG) as writer, Store.open(tmp_path) as reader:
        writer.record(evaluation(0))
        assert len(reader.evaluations()) == 1
        assert reader.is_running()
        writer.record(evaluation(1))
        assert len(reader.evaluations()) == 2
    assert not Store.open(tmp_path).is_running()


def test_readers_cannot_write(tmp_path):
    Store.create(tmp_path, CONFIG).close()
    with Store.open(tmp_path) as reader, pytest.raises(InputError, match="readonly"):
        reader.record(evaluation())


def test_one_writer_at_a_time(tmp_path):
    with (
        Store.create(tmp_path, CONFIG) as first,
        pytest.raises(InputError, match=rf"another search writes to it \(process {os.getpid()}\)"),
    ):
        Store.create(tmp_path, CONFIG)
    assert first.folder == tmp_path
    Store.create(tmp_path, CONFIG).close()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path):
    code = (
        "import os, sys, pathlib; from greenshift.store import Store; from greenshift.config import StudyConfig;"
        "s = Store.create(pathlib.Path(sys.argv[1]), StudyConfig(seed=3)); s.begin_session(StudyConfig(seed=3));"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with Store.open(tmp_path) as reader:
        assert not reader.is_running()
        assert reader.sessions()[0].state == "running"
    Store.create(tmp_path, CONFIG).close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnet20"}, "holds another study: model is 'tiny_cnn' there and 'resnet20' here"),
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"max_energy": "60%"}, "max_energy is None there and '60%' here"),
        ({"objectives": ("error", "emissions_g")}, "objectives is"),
    ],
)
def test_another_study_is_refused(tmp_path, change, message):
    Store.create(tmp_path, CONFIG).close()
    with pytest.raises(InputError, match=message):
        Store.create(tmp_path, dataclasses.replace(CONFIG, **change))
    Store.create(tmp_path, CONFIG).close()  # and the refusal let go of the lock


def test_what_is_no_study_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="is a file"):
        Store.open(file)
    with pytest.raises(InputError, match="name a folder that can be written"):
        Store.create(file, CONFIG)
    with pytest.raises(InputError, match="does not exist"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no study\.db"):
        Store.open(tmp_path)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that even root cannot write to")
def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="name a folder that can be written"):
        Store.create(tmp_path.__class__("/proc/self/run"), CONFIG)


def test_a_read_only_folder(tmp_path, monkeypatch):
    Store.create(tmp_path, CONFIG).close()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and may(path, mode))
    with pytest.raises(InputError, match="read-only"):
        Store.create(tmp_path, CONFIG)
    with Store.open(tmp_path) as reader:  # reading needs no right to write
        assert reader.config() == CONFIG
    assert not (tmp_path / "study.db-shm").exists()


def test_a_damaged_database(tmp_path):
    (tmp_path / "study.db").write_bytes(b"this is no database, it only looks like one" * 100)
    for attempt in (lambda: Store.open(tmp_path), lambda: Store.create(tmp_path, CONFIG)):
        with pytest.raises(InputError, match=r"study\.db cannot be used \(file is not a database\)"):
            attempt()


def test_an_empty_database_can_be_begun_but_not_read(tmp_path):
    (tmp_path / "study.db").touch()
    with pytest.raises(InputError, match=r"study\.db cannot be used"):
        Store.open(tmp_path)
    Store.create(tmp_path, CONFIG).close()
    assert Store.open(tmp_path).config() == CONFIG


def test_a_database_of_something_else(tmp_path):
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("create table cats (name text)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="not a study"):
        Store.create(tmp_path, CONFIG)


def test_a_database_of_another_version(tmp_path):
    Store.create(tmp_path, CONFIG).close()
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("update study set schema_version = 99")
    connection.commit()
    connection.close()
    for attempt in (lambda: Store.open(tmp_path), lambda: Store.create(tmp_path, CONFIG)):
        with pytest.raises(InputError, match="another version of greenshift"):
            attempt()


def test_a_configuration_of_a_later_version_is_named(tmp_path):
    Store.create(tmp_path, CONFIG).close()
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("update study set config = ?", [json.dumps({"warp": 9})])
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="unknown key 'warp'"):
        Store.open(tmp_path)


def test_reading_a_store_needs_no_torch(tmp_path):
    Store.create(tmp_path, CONFIG).close()
    code = (
        "import sys, pathlib; from greenshift.store import Store; import greenshift.front, greenshift.study;"
        "Store.open(pathlib.Path(sys.argv[1])).evaluations(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
