"""Runs that are there are not made again, and a killed runner does no harm."""

import json

import pytest

from greenshift.errors import InputError
from optimizers.contestants import parse_contestant
from optimizers.runner import Job, append_record, missing, plan, read_records, run_all
from optimizers.simulator import Limits

LIMITS = Limits(cost=3)


def record(**changes):
    keys = {"problem": "p", "optimizer": "random", "seed": 0, "rule": "resume", "limit": 3, "workers": 1}
    return keys | changes


def test_an_optimizer_that_ignores_costs_runs_once_for_both_rules():
    jobs = list(plan(["p"], ["random", "smac"], [0], ["resume", "restart"], LIMITS))
    assert [job.rules for job in jobs] == [("resume", "restart")] * 2


def test_with_several_workers_each_rule_is_a_run():
    jobs = list(plan(["p"], ["random"], [0], ["resume", "restart"], Limits(cost=3, workers=2)))
    assert [job.rules for job in jobs] == [("resume",), ("restart",)]


def test_jobs_of_which_a_record_is_missing():
    both = Job("p", "random", 0, ("resume", "restart"), LIMITS)
    other = Job("p", "random", 1, ("resume",), LIMITS)
    assert missing([both, other], []) == [both, other]
    assert missing([both, other], [record()]) == [both, other]
    assert missing([both, other], [record(), record(rule="restart")]) == [other]
    assert missing([other], [record(seed=1, limit=4), record(seed=1, workers=2)]) == [other]


def test_half_a_line_is_left_out_and_not_glued_to_the_next(tmp_path):
    path = tmp_path / "runs" / "runs.jsonl"
    append_record(path, record())
    with path.open("a") as file:
        file.write('{"problem": "p", "opt')
    append_record(path, record(seed=1))
    append_record(path, record(seed=1))
    assert [found["seed"] for found in read_records([path, tmp_path / "absent.jsonl"])] == [0, 1]


def test_a_benchmark_goes_on_where_it_was(tmp_path):
    pytest.importorskip("pymoo")
    path = tmp_path / "runs.jsonl"
    jobs = list(plan(["pymoo-zdt1"], ["random"], [0, 1], ["resume", "restart"], LIMITS))
    first = list(run_all(jobs[:1], path, 1))
    rest = missing(jobs, read_records([path]))
    assert rest == jobs[1:]
    assert len(list(run_all(rest, path, 2))) == 2
    assert missing(jobs, read_records([path])) == []
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 0, 1, 1]
    assert {found["rule"]: found["evaluations"] for found in first} == {"resume": 3, "restart": 3}
    assert first[0]["versions"]["pymoo"]
    assert list(run_all([], path, 1)) == []


def test_specifications():
    contestant = parse_contestant('random:known=false+alpha=0.5+kind="x"')
    assert contestant.name == "random"
    assert contestant.settings == {"alpha": 0.5, "kind": "x"}
    assert contestant.told == {"known": False, "fidelity": True, "reference": True}


@pytest.mark.parametrize("text", ["nobody", "random:alpha", "random:alpha=x"])
def test_bad_specifications_are_one_line(text):
    with pytest.raises(InputError) as error:
        parse_contestant(text)
    assert "\n" not in str(error.value)
