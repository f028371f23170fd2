"""What the recorder writes down is what a study would have measured."""

import importlib.util
import sys
from pathlib import Path

import pytest

from greenshift.config import StudyConfig
from greenshift.evaluate import evaluate
from greenshift.replay import Replay, load_table, save_table, with_table
from greenshift.study.evaluator import replay_evaluator
from greenshift.study.plan import make_plan

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "record_table.py"
GRID = {"shift_type": ["Q", "PS"], "lr": [0.003, 0.1]}
FIXED = {"optimizer": "SGD", "act_fraction_bits": 4, "weight_bits": 4, "shift_depth": 3}


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """The script, cut to four trainings of two epochs on a hundred images."""
    spec = importlib.util.spec_from_file_location("record_table", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setitem(script.GRIDS, "digits", GRID)
    monkeypatch.setitem(script.FIXED, "digits", {**script.COMMON, **FIXED})
    monkeypatch.setitem(script.EPOCHS, "digits", 2)
    monkeypatch.setitem(script.TRAIN_LIMIT, "digits", 100)
    monkeypatch.setattr(script, "OUTPUT", tmp_path / "tables")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["record_table.py", *map(str, arguments)])
        script.main()

    return run


def test_a_replay_gives_what_a_real_evaluation_gives(recorder, tmp_path):
    recorder("digits", "--lines", tmp_path / "lines.jsonl")
    path = tmp_path / "tables" / "digits-tiny_cnn.json.gz"
    table = load_table(path)
    config = with_table(StudyConfig(optimizer="random", replay=str(path), target="asic-45nm", fidelity="epochs"), table)
    plan = make_plan(config, replay_evaluator(config), {})
    for configuration in table.configurations():
        for epochs in (1, 2):
            task = plan.trial_task(0, configuration, epochs)
            real, replayed = evaluate(task), Replay(table).evaluate(task, None)
            assert replayed.objectives == real.objectives
            assert replayed.cost == real.cost
            assert [e.val_error for e in replayed.curve] == [e.val_error for e in real.curve]
            assert [e.train_error for e in replayed.curve] == [e.train_error for e in real.curve]
            assert [e.lr for e in replayed.curve] == [e.lr for e in real.curve]
            assert [e.train_loss for e in replayed.curve] == pytest.approx([e.train_loss for e in real.curve], rel=1e-5)
            assert replayed.reading.energy_j > 0


def test_a_recording_that_was_cut_goes_on(recorder, tmp_path):
    lines = tmp_path / "lines.jsonl"
    recorder("digits", "--lines", lines)
    path = tmp_path / "tables" / "digits-tiny_cnn.json.gz"
    whole, table = lines.read_text(encoding="utf-8"), load_table(path)
    lines.write_text(whole[: whole.rindex("\n", 0, -1) + 40], encoding="utf-8")  # within the last line
    path.unlink()
    recorder("digits", "--lines", lines)
    again = load_table(path)
    assert [t.val_wrong for t in again.trainings] == [t.val_wrong for t in table.trainings]
    assert whole.splitlines()[:-1] == lines.read_text(encoding="utf-8").splitlines()[:-1]


def test_another_recording_is_not_gone_on_with(recorder, tmp_path):
    recorder("digits", "--lines", tmp_path / "lines.jsonl")
    with pytest.raises(SystemExit, match="another recording"):
        recorder("digits", "--seed", 1, "--lines", tmp_path / "lines.jsonl")


def test_a_table_is_priced_again_without_training(recorder, tmp_path):
    recorder("digits", "--lines", tmp_path / "lines.jsonl")
    path = tmp_path / "tables" / "digits-tiny_cnn.json.gz"
    written = path.read_bytes()
    table = load_table(path)
    table.networks[1].costs["asic-45nm"]["energy_j"] *= 2
    save_table(path, table)
    assert path.read_bytes() != written
    recorder("--reprice", path)
    assert path.read_bytes() == written
