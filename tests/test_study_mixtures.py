"""Mixtures of schemes that a sensitivity table promises most of: against all mixtures there are, and in a search."""

import itertools
import json

import numpy as np
import pytest

from full_samples import full_space, scope
from greenshift.design import Recipe
from greenshift.errors import InputError
from greenshift.networks import profile_design
from greenshift.pareto import non_dominated
from greenshift.records import DataChoice
from greenshift.schemes import PowerOfTwo, Shift, Ternary, Uniform
from greenshift.sensitivity_table import Sensitivity, SensitivityTable, load_sensitivity
from greenshift.study.mixtures import MOST, best_mixtures
from greenshift.targets import cost, load_target

SCHEMES = (Uniform(8, 8), PowerOfTwo(4), Ternary())
FIELDS = {"target": "cortex-m4", "techniques": ("uniform", "shift", "ternary")}
SCOPE, SPACE = scope(**FIELDS), full_space(**FIELDS)


def design_of(configuration):
    return SPACE.to_design(configuration, backbone="resnet20", quantities={}, epochs=None, base=Recipe())


def energy_j(configuration):
    return cost(profile_design(design_of(configuration), DataChoice("cifar10")), load_target("cortex-m4")).energy_j


def table_of(loss, schemes=SCHEMES, groups=SCOPE.groups):
    rows = [Sensitivity(key, s, loss(group.name, s), 0.0) for group in groups for key in group.keys for s in schemes]
    return SensitivityTable(0.1, 1000, tuple(rows))


def some_losses(seed):
    rng = np.random.default_rng(seed)
    drawn = {(g.name, s): float(rng.uniform(0.0, 1.0)) for g in SCOPE.groups for s in SCHEMES}
    return lambda group, scheme: drawn[group, scheme]


def scheme_by_group(configuration):
    schemes = dict(design_of(configuration).schemes)
    return {g.name: schemes.get(g.keys[0], schemes.get("*")) for g in SCOPE.groups}


def same_grid(scheme):
    return PowerOfTwo(4) if isinstance(scheme, PowerOfTwo) else scheme


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_mixture_that_there_is_beats_one_of_them(seed):
    loss = some_losses(seed)
    found = best_mixtures(table_of(loss), SCOPE, SPACE, energy_j)
    assert 3 <= len(found) <= MOST
    names = {None: "float", SCHEMES[0]: "int8", SCHEMES[1]: "shift", SCHEMES[2]: "ternary"}
    points = {}
    for mixture in itertools.product(names, repeat=len(SCOPE.groups)):
        values = {f"scheme_{g.name}": names[s] for g, s in zip(SCOPE.groups, mixture, strict=True)}
        score = sum(loss(g.name, s) for g, s in zip(SCOPE.groups, mixture, strict=True) if s is not None)
        points[mixture] = (score, energy_j(SPACE.complete(values)))
    free = dict(zip(points, non_dominated(list(points.values())), strict=True))
    energies = []
    for configuration in found:
        mixture = tuple(map(same_grid, scheme_by_group(configuration).values()))
        assert free[mixture], mixture
        energies.append(points[mixture][1])
    assert energies == sorted(energies)
    assert energies[-1] == max(energy for (_, energy), kept in zip(points.values(), free.values(), strict=True) if kept)


def test_what_the_table_does_not_tell_of_has_its_default():
    default = SPACE.complete({})
    for configuration in best_mixtures(table_of(some_losses(0)), SCOPE, SPACE, energy_j):
        assert configuration == SPACE.validate(configuration)
        assert {configuration[name] for name in configuration if name.startswith("act_bits")} <= {8}
        assert all(configuration[name] == default[name] for name in ("lr", "optimizer", "batch_size"))


def test_rows_of_single_layers_are_added_up_for_their_group():
    loss = some_losses(1)
    of_layers = [
        Sensitivity(layer, s, loss(group.name, s) / len(group.layers), 0.0)
        for group in SCOPE.groups
        for layer in group.layers
        for s in SCHEMES
    ]
    by_layer = SensitivityTable(0.1, 1000, tuple(of_layers))
    by_group = best_mixtures(table_of(loss), SCOPE, SPACE, energy_j)
    assert best_mixtures(by_layer, SCOPE, SPACE, energy_j) == by_group


def test_where_only_one_scheme_is_told_of_float_is_the_other():
    found = best_mixtures(table_of(lambda *_: 0.5, schemes=SCHEMES[:1]), SCOPE, SPACE, energy_j)
    kinds = {configuration[f"scheme_{group.name}"] for configuration in found for group in SCOPE.groups}
    assert kinds == {"int8", "float"}


@pytest.mark.parametrize(
    ("schemes", "groups"), [((Shift("Q", 4, 8, 8),), SCOPE.groups), (SCHEMES, SCOPE.groups[:-1]), (SCHEMES, ())]
)
def test_a_table_that_says_nothing_of_a_group_is_refused(schemes, groups):
    with pytest.raises(InputError, match=r"tells nothing of group \w+ \(.*\) under a scheme of this space; measure"):
        best_mixtures(table_of(lambda *_: 0.5, schemes, groups), SCOPE, SPACE, energy_j)


def test_tables_are_read_as_they_are_written(tmp_path):
    table = table_of(some_losses(2))
    (tmp_path / "table.json").write_text(json.dumps(table.to_json()))
    assert load_sensitivity(tmp_path / "table.json") == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is no table of `greenshift sensitivity --json`; write one with it"),
        ("[]", "is no table"),
        ('{"rows": [{"layers": "a"}], "float_loss": 1, "images": 2}', "is no table"),
        ('{"rows": [{"scheme": {"scheme": "half"}}], "float_loss": 1, "images": 2}', "unknown scheme 'half'"),
    ],
)
def test_other_files_are_no_tables(tmp_path, text, message):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_sensitivity(tmp_path / "table.json")
    assert "table.json" in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        load_sensitivity(tmp_path)
