"""Each layer by itself under a scheme: what it loses, against what is known, and the sums of it."""

import json

import pytest
import torch

from greenshift.artifacts import save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import train_design
from greenshift.records import DataChoice
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform, named_scheme
from greenshift.sensitivity import measure_sensitivity

DIGITS = DataChoice("digits")
INT8, INT2 = Uniform(8, 8), Uniform(2, 8)
DESIGN = Design("tiny_cnn", recipe=Recipe(4, 32, Optimization("Adam", 0.01)))


@pytest.fixture(scope="module")
def network():
    torch.set_num_threads(1)
    return train_design(DESIGN, DIGITS, epochs=4, seed=3)[0]


@pytest.fixture(scope="module")
def table(network):
    return measure_sensitivity(network, DIGITS, [INT8, INT2], images=500, batches=3)


def test_one_row_for_every_layer_and_scheme_in_the_networks_order(table, network):
    layers = [name for name, m in network.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert [(row.layers, row.scheme) for row in table.rows] == [(n, s) for n in layers for s in (INT8, INT2)]
    assert table.images == 500
    assert all(row.standard_error >= 0 for row in table.rows)


def test_eight_bits_cost_next_to_nothing_and_two_bits_cost_more(table):
    total = {s: sum(row.loss_increase for row in table.rows if row.scheme == s) for s in (INT8, INT2)}
    assert all(abs(row.loss_increase) < 0.02 for row in table.rows if row.scheme == INT8)
    assert total[INT2] > max(0.05, 5 * abs(total[INT8]))


def test_it_repeats_itself_and_leaves_the_network_alone(network, table):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    again = measure_sensitivity(network, DIGITS, [INT8, INT2], images=500, batches=3)
    assert again == table
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_group_is_one_row(network):
    found = measure_sensitivity(network, DIGITS, [INT2], layers=["*", Depth(1)], images=200, batches=2)
    assert [row.layers for row in found.rows] == ["*", "@output:1"]
    assert found.rows[0].loss_increase > found.rows[1].loss_increase
    assert json.loads(json.dumps(found.to_json()))["rows"][0]["scheme"]["scheme"] == "uniform"


def test_more_images_than_there_are_means_all_of_them(network):
    found = measure_sensitivity(network, DIGITS, [INT8], layers=["*"], images=10**6, batches=1)
    assert found.images == len(train_design(DESIGN, DIGITS, epochs=0, seed=0)[1].train)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"schemes": []}, "at least one scheme"),
        ({"schemes": [INT8], "images": 1}, "two images"),
        ({"schemes": [INT8], "batches": 0}, "one batch"),
        ({"schemes": [INT8], "layers": ["nowhere"]}, "nowhere"),
    ],
)
def test_impossible_questions(network, asked, message):
    with pytest.raises(InputError, match=message):
        measure_sensitivity(network, DIGITS, **asked)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("int8", Uniform()),
        ("int3", Uniform(3, 8)),
        ("shift", Shift("Q", 4, 8, 8)),
        ("shift3", Shift("Q", 3, 8, 8)),
        ("ternary", Ternary()),
        ("binary", Binary()),
        ("uniform5", Uniform(5, 8)),
    ],
)
def test_schemes_have_short_names(name, scheme):
    assert named_scheme(name) == scheme


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int9", "weight_bits is 2 to 8"),
        ("4bit", "is no name of a scheme"),
        ("", "is no name"),
        ("half", "unknown scheme 'half'"),
        ("ternary3", "scheme ternary: .*weight_bits"),
    ],
)
def test_names_of_no_scheme(name, message):
    with pytest.raises(InputError, match=message):
        named_scheme(name)


def test_the_command(network, call, tmp_path):
    path = tmp_path / "float.safetensors"
    save_artifact(path, network, DESIGN, load_dataset("digits"), {})
    asked = ("sensitivity", path, "--data", "digits", "--schemes", "int8,int2", "--images", "500", "--batches", "3")
    said = call(*asked, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == measure_sensitivity(network, DIGITS, [INT8, INT2], images=500, batches=3).to_json()
    shown = call(*asked, "--layers", "*")
    assert "float loss" in shown.out
    assert shown.out.splitlines()[-1].startswith("next: greenshift search --init")


def test_the_command_wants_a_float_network(call, tmp_path):
    design = Design("tiny_cnn", schemes=(("*", INT8),), recipe=DESIGN.recipe)
    model, _, _ = train_design(design, DIGITS, epochs=0, seed=0)
    save_artifact(tmp_path / "a.safetensors", model, design, load_dataset("digits"), {})
    said = call("sensitivity", tmp_path / "a.safetensors", "--data", "digits")
    assert (said.code, "is not the plain float32 tiny_cnn" in said.complaint) == (2, True)
