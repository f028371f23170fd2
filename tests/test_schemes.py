"""Schemes and layer keys: checked, frozen, and the same after a trip through JSON."""

import dataclasses
import json

import pytest
from hypothesis import given

from greenshift.errors import InputError
from greenshift.schemes import (
    Binary,
    Depth,
    PowerOfTwo,
    Shift,
    Ternary,
    Uniform,
    parse_key,
    register,
    scheme_from_json,
    scheme_to_json,
)
from value_strategies import depths, schemes, shifts


@given(schemes)
def test_json_gives_the_same_scheme(scheme):
    assert scheme_from_json(json.loads(json.dumps(scheme_to_json(scheme)))) == scheme


@given(depths)
def test_text_gives_the_same_depth(depth):
    assert parse_key(str(depth)) == depth


@pytest.mark.parametrize("text", ["conv1", "layer*.conv?", "", "output:3", "*"])
def test_other_keys_are_names_and_globs(text):
    assert parse_key(text) == text


@pytest.mark.parametrize("text", ["@", "@output", "@output:", "@output:-1", "@middle:3", "@output:1.5", "@output:3 "])
def test_depths_that_are_none(text):
    with pytest.raises(InputError, match="layer key"):
        parse_key(text)


@given(shifts)
def test_exponents_fill_the_bits(shift):
    """b bits hold a sign and 2^(b-1) codes; PS spends one of them on zero (Elhoushi et al., section 3)."""
    exponents = 1 - shift.min_exponent
    assert exponents == 2 ** (shift.weight_bits - 1) - (shift.kind == "PS")
    assert shift.act_bits == shift.act_integer_bits + shift.act_fraction_bits


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "R"},
        {"weight_bits": 1},
        {"weight_bits": 9},
        {"act_integer_bits": 0},
        {"act_integer_bits": 33},
        {"act_fraction_bits": -1},
        {"act_fraction_bits": 33},
        {"rounding": "nearest"},
    ],
)
def test_a_shift_outside_its_range(fields):
    with pytest.raises(InputError, match=f"shift: {next(iter(fields))}"):
        Shift(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        *({"weight_bits": 1}, {"weight_bits": 9}, {"act_bits": 1}, {"act_bits": 16}),
        *({"per_channel": "no"}, {"step": "ranges"}),
    ],
)
def test_a_uniform_outside_its_range(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        Uniform(**fields)


@pytest.mark.parametrize(
    "fields", [{"act_bits": 1}, {"act_bits": 9}, {"threshold": -0.1}, {"threshold": 1.0}, {"threshold": float("nan")}]
)
def test_a_ternary_outside_its_range(fields):
    with pytest.raises(InputError, match=f"ternary: {next(iter(fields))}"):
        Ternary(**fields)


@pytest.mark.parametrize("fields", [{"act_bits": 0}, {"act_bits": 9}, {"act_bits": 1, "sign_gradient": "steep"}])
def test_a_binary_outside_its_range(fields):
    with pytest.raises(InputError, match=f"binary: {list(fields)[-1]}"):
        Binary(**fields)


def test_the_usual_gradient_of_signs_leaves_no_trace_in_json():
    assert scheme_to_json(Binary(1)) == {"scheme": "binary", "act_bits": 1}
    assert scheme_from_json(scheme_to_json(Binary(1, "clipped"))) == Binary(1, "clipped")


def test_depths_outside_their_range():
    with pytest.raises(InputError, match="at least 0"):
        Depth(-1)
    with pytest.raises(InputError, match="'output' or 'input'"):
        Depth(1, "middle")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "unknown scheme 'None'"),
        ({"scheme": "octal"}, "unknown scheme 'octal'; known: .*binary.*shift.*ternary.*uniform"),
        ({"scheme": "shift", "bits": 4}, "bits"),
        ({"scheme": "uniform", "weight_bits": 20}, "weight_bits"),
    ],
)
def test_json_that_is_no_scheme(data, message):
    with pytest.raises(InputError, match=message):
        scheme_from_json(data)


def test_fields_added_later_are_written_when_they_say_something():
    assert scheme_to_json(Uniform(8, 8)) == {"scheme": "uniform", "weight_bits": 8, "act_bits": 8}
    written = scheme_to_json(Uniform(4, 8, per_channel=False, step="learned"))
    assert written == {
        **{"scheme": "uniform", "weight_bits": 4, "act_bits": 8},
        **{"per_channel": False, "step": "learned"},
    }


def test_reading_leaves_the_data_alone():
    data = {"scheme": "uniform", "weight_bits": 4, "act_bits": 4}
    scheme_from_json(data)
    assert data == {"scheme": "uniform", "weight_bits": 4, "act_bits": 4}


def test_a_new_scheme_needs_no_existing_file(monkeypatch):
    from greenshift.schemes import base

    monkeypatch.setattr(base, "_SCHEMES", dict(base._SCHEMES))

    @register
    @dataclasses.dataclass(frozen=True)
    class Ternary:
        threshold: float = 0.7

    assert scheme_from_json(scheme_to_json(Ternary(0.5))) == Ternary(0.5)


@given(schemes)
def test_schemes_are_frozen_and_hashable(scheme):
    assert hash(scheme) == hash(dataclasses.replace(scheme))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.weight_bits = 3


@pytest.mark.parametrize(
    ("scheme", "field"),
    [
        (Shift, "weight_bits"),
        (Shift, "act_integer_bits"),
        (Shift, "act_fraction_bits"),
        (PowerOfTwo, "weight_bits"),
        (PowerOfTwo, "act_bits"),
        (Uniform, "weight_bits"),
        (Uniform, "act_bits"),
        (Ternary, "act_bits"),
        (Binary, "act_bits"),
    ],
)
@pytest.mark.parametrize("value", [3.5, 3.0, "3", True])
def test_bits_are_whole_numbers(scheme, field, value):
    with pytest.raises(InputError, match=f"{scheme.__name__.lower()}: {field} is .* to .*, not {value}"):
        scheme_from_json({"scheme": scheme.__name__.lower(), field: value})
