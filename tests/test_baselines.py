"""The networks that fronts are held against: alike but for the paper's, and trainable."""

import pytest

from greenshift.baselines import baseline_designs
from greenshift.networks import profile_design, train_design
from greenshift.records import DataChoice

DIGITS = DataChoice("digits", train_limit=200)


def test_baselines_are_what_a_front_is_held_against():
    designs = baseline_designs("tiny_cnn", DIGITS, epochs=2, depth=5)
    assert next(iter(designs)) == "float32"
    assert designs.keys() == {"float32", "int8", "paper default", "expert default", "float32 half width"}
    assert all(design.recipe.epochs == 2 for design in designs.values()), "trained for as long as the front"
    sizes = {label: profile_design(design, DIGITS).size_bytes for label, design in designs.items()}
    assert sizes["int8"] < 0.35 * sizes["float32"]
    assert sizes["expert default"] < sizes["int8"]
    kinds = {"int8": "int", "paper default": "shift", "expert default": "shift", "float32": "float"}
    for label, kind in kinds.items():
        layers = profile_design(designs[label], DIGITS).layers
        assert {layer.arithmetic for layer in layers if layer.macs} == {kind}, label
    same = {label: d.recipe for label, d in designs.items() if label != "paper default"}
    assert len(set(same.values())) == 1, "trained alike"
    paper = designs["paper default"].recipe
    assert (paper.optimization.name, paper.optimization.lr, paper.augment) == ("SGD", 0.1, "none")


def test_a_model_from_elsewhere_has_no_narrow_baseline():
    assert "float32 half width" not in baseline_designs("mine:net", DIGITS, epochs=2, depth=5)


@pytest.mark.parametrize("label", ["float32", "int8", "paper default", "expert default", "float32 half width"])
def test_every_baseline_trains(label):
    design = baseline_designs("tiny_cnn", DIGITS, epochs=1, depth=99)[label]
    _, _, curve = train_design(design, DIGITS, epochs=1, seed=0)
    assert [epoch.epoch for epoch in curve] == [1]
    assert 0 <= curve[0].val_error <= 1
    assert curve[0].train_loss > 0
