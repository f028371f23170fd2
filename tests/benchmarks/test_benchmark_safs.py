"""The benchmark of activation searches: every arm ends in a tested network, and a cut run goes on the same."""

import json

import pytest

import safs
from greenshift.activations import ACTIVATIONS

SMALL = "--data digits --train-limit 60 --dense-train-limit 60 --dense-epochs 1 --epochs 1 --sparsity 0.5"
SMALL += " --steps1 2 --steps2 2 --batch 16"
TIMED = ("wall_s", "energy_j")


def run(monkeypatch, file, *more):
    monkeypatch.setattr("sys.argv", ["safs.py", *SMALL.split(), "--out", str(file), *more])
    safs.main()
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def test_every_arm_ends_in_a_tested_network_and_a_cut_run_goes_on(monkeypatch, tmp_path):
    file = tmp_path / "safs.jsonl"
    whole = run(monkeypatch, file)
    results = {row["arm"]: row for row in whole if "arm" in row}
    assert list(results) == ["dense", *safs.ARMS]
    assert {arm: row["evaluations"] for arm, row in results.items() if arm != "dense"} == {
        **{"relu": 0, "stage1": 2, "two-stage": 4, "stage2": 2, "joint": 4, "joint-stages": 4}
    }
    assert all(0 <= row["test_accuracy"] <= 1 for row in results.values())
    for row in whole:
        functions = {v for k, v in row.get("configuration", {}).items() if k.startswith("act ")}
        assert functions <= set(ACTIVATIONS)
    lines = file.read_text().splitlines(keepends=True)
    for kept in (1, 4, len(lines) - 2):
        file.write_text("".join(lines[:kept]))
        assert run(monkeypatch, file) == whole


def test_settings_are_not_mixed_in_one_file(monkeypatch, tmp_path):
    file = tmp_path / "safs.jsonl"
    run(monkeypatch, file, "--arms", "relu")
    with pytest.raises(SystemExit, match="other settings"):
        run(monkeypatch, file, "--epochs", "2")
