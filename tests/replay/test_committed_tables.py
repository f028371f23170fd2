"""The tables that are in the repository answer for every configuration of their grids."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from greenshift.config import StudyConfig
from greenshift.front import comparable
from greenshift.replay import check_settings, load_table, with_table
from greenshift.store import Store

TABLES = Path(__file__).parent.parent.parent / "benchmarks" / "tables"
DIGITS = TABLES / "digits-tiny_cnn.json.gz"
ALL = sorted(TABLES.glob("*.json.gz"))


def test_there_are_at_least_three_hundred_trainings():
    assert {load_table(path).recording.study["data"] for path in ALL} == {"digits", "fashion-mnist"}
    assert sum(len(load_table(path).trainings) for path in ALL) >= 300
    assert sum(path.stat().st_size for path in ALL) < 2_000_000


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_table_is_complete(path):
    table = load_table(path)
    assert table.space.estimate_size() == len(table.trainings) == math.prod(map(len, table.grid.values()))
    assert len(table.targets) == 2
    for configuration in table.configurations():
        for target in table.targets:
            values = table.evaluate(configuration, table.epochs, target)
            failed = table.training(configuration).failure is not None
            assert (values is None) == failed
            assert failed or (0 <= values["error"] <= 1 and values["energy_j"] > 0)
        costs = [table.cost_s(configuration, epochs) for epochs in range(1, table.epochs + 1)]
        assert costs == sorted(costs)
        assert costs[0] > 0


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_table_is_priced_as_the_catalog_prices(path):
    """If figures of a target were changed: benchmarks/record_table.py --reprice TABLE."""
    table = load_table(path)
    for target in table.targets:
        check_settings(with_table(StudyConfig(target=target), table), table)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_shift_matters_on_both_targets(path):
    table = load_table(path)
    for target in table.targets:
        energies = [network.costs[target]["energy_j"] for network in table.networks]
        assert energies[0] == max(energies), "the float32 network is the dearest"
        assert max(energies) > 5 * min(energies)


def test_a_replayed_search_has_the_front_of_what_it_was_told(call, tmp_path):
    store = tmp_path / "store"
    said = call(
        *("search", "--replay", DIGITS, "--target", "asic-45nm", "--optimizer", "random", "--fidelity", "epochs"),
        *("--budget", "60trials", "--seed", "1", "--store", store, "--json"),
    )
    assert said.code == 0, said.err
    with Store.open(store) as opened:
        told = comparable(opened.evaluations())
    table = load_table(DIGITS)
    points = np.array(
        [
            [values["error"], values["energy_j"]]
            for values in (table.evaluate(e.configuration, table.epochs, "asic-45nm") for e in told)
        ]
    )
    assert len(points) + json.loads(said.out)["progress"]["failed"] == 60
    no_worse = (points[:, None] <= points[None]).all(2)
    better = (points[:, None] < points[None]).any(2)
    dominated = (no_worse & better).any(0)
    wanted = {tuple(point) for point in points[~dominated]}
    front = {e.trial: (e.objectives["error"], e.objectives["energy_j"]) for e in told}
    found = {front[trial] for trial in json.loads(said.out)["front"]}
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(wanted)))
    assert 2 <= len(found) < len(points)
