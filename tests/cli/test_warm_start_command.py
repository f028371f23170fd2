"""`--warm-start` from one tiny real study to the next."""

import json
import shutil

from greenshift.store import Store


def test_a_search_goes_on_from_an_earlier_front(finished_store, contract, greenshift, call, tmp_path):
    earlier = shutil.copytree(finished_store, tmp_path / "earlier, on digits")
    front = json.loads(call("front", earlier, "--json").out)
    new = tmp_path / "new"
    command = [*contract, "--store", new, "--no-baselines", "--warm-start", earlier, "--seed", "3"]
    said = greenshift(*command, "--budget", f"{len(front)}trials")
    assert said.code == 0, said.err
    number = f"{len(front)} configuration{'' if len(front) == 1 else 's'}"
    assert f"warm start: {number} of earlier fronts" in said.err
    with Store.open(new) as store:
        begun = [evaluation.configuration for evaluation in store.evaluations(order="start")]
    assert begun == [point["configuration"] for point in front]

    shutil.rmtree(earlier)
    more = call(*command, "--budget", f"{len(front) + 1}trials", "--json")
    assert more.code == 0, more.err
    outcome = json.loads(more.out)
    assert outcome["warm_start"] == {"taken": len(front), "skipped": 0, "untried": 0}
    assert outcome["progress"]["ok"] + outcome["progress"]["failed"] == len(front) + 1


def test_init_writes_down_what_search_reads(tmp_path, call):
    file = tmp_path / "study.toml"
    said = call("init", "--output", file, "--warm-start", "runs/a", "--warm-start", "runs/b", "--prior", "lr=0.05")
    assert said.code == 0, said.err
    text = file.read_text(encoding="utf-8")
    assert 'warm_start = ["runs/a", "runs/b"]' in text
    assert 'prior = {"lr" = 0.05}' in text
    refused = call("search", file, "--store", tmp_path / "store")
    assert refused.code == 2
    assert "runs/a" in refused.complaint


def test_help_says_how_to_name_several_studies(call):
    text = " ".join(call("search", "--help").out.split())
    said = "tables of greenshift sensitivity --json, whose best the search begins with; repeat it for several"
    assert f"run folders of earlier studies, or {said}" in text
