import dataclasses

import numpy as np
import pytest
from random_networks import BINARY, INT8, SHIFT5, Builder, everything, residual

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Storage,
    Subsampling,
)
from greenshift.deploy.validity import check
from greenshift.errors import InputError


def changed(kind, **values):
    """The network of every kind of step, with other values in the first step of one kind."""
    steps = list(everything().steps)
    index = next(i for i, step in enumerate(steps) if isinstance(step, kind))
    steps[index] = dataclasses.replace(steps[index], **values)
    return index, Network(tuple(steps))


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_are_valid(seed):
    check(everything(seed))
    check(residual(seed, blocks=1))


ONES = np.ones((16, 3, 3, 3), np.int16)


@pytest.mark.parametrize(
    ("kind", "values", "problem"),
    [
        (Input, {"name": ""}, "a name is 1 to 200"),
        (Input, {"name": "two\nlines"}, "a name is 1 to 200"),
        (Input, {"grid": Grid(-6, 7)}, "zero is the byte 7"),
        (Input, {"grid": Grid(-60)}, "its step is 2\\^-60"),
        (Input, {"table": np.zeros((3, 255), np.uint8)}, "its table must be uint8 \\(3, 256\\)"),
        (Input, {"shape": (20000, 20000, 3)}, "is out of range"),
        (Input, {"shape": (9000, 9000, 3)}, "takes more than"),
        (Convolution, {"sources": (1,)}, "earlier ones only"),
        (Convolution, {"sources": (-1,)}, "earlier ones only"),
        (Convolution, {"sources": (0, 0)}, "reads 2 steps instead of 1"),
        (Convolution, {"shape": (13, 11, 17)}, "but \\(13, 11, 16\\) follows"),
        (Convolution, {"grid": None}, "only that one"),
        (Convolution, {"groups": 2}, "2 groups do not divide 3 inputs"),
        (Convolution, {"groups": 0}, "0 groups"),
        (Convolution, {"weight": ONES.astype(np.int32)}, "its weight must be int16"),
        (Convolution, {"weight": ONES[..., :2]}, "its weight must be int16"),
        (Convolution, {"weight": ONES * 0, "storage": BINARY}, "weight of 0 does not fit 1-bit binary"),
        (Convolution, {"weight": ONES * 3, "storage": SHIFT5}, "weight of 3 does not fit 5-bit shift"),
        (Convolution, {"storage": Storage("int8", 4)}, "no storage is int8 with 4 bits"),
        (Convolution, {"bias": np.zeros(15, np.int32)}, "its bias must be int32"),
        (Convolution, {"bias": np.full(16, -(2**31), np.int32)}, "output channel \\d+ can reach"),
        (Convolution, {"multiplier": np.zeros(16, np.float32)}, "positive and finite"),
        (Convolution, {"multiplier": np.full(16, 1.0001, np.float32)}, "11 significant bits"),
        (Convolution, {"multiplier": np.full(16, 2.0**-100, np.float32)}, "outside of 2\\^-64"),
        (Convolution, {"stride": (0, 1)}, "out of range"),
        (Convolution, {"stride": (1,)}, "have 2 numbers"),
        (Convolution, {"padding": (-1, 1, 1, 1)}, "out of range"),
        (Convolution, {"low": 200, "high": 100}, "clips to 200..100"),
        (Convolution, {"high": 256}, "clips to 0..256"),
        (Addition, {"grid": Grid(20)}, "differ by more than 14"),
        (Addition, {"sources": (0, 1)}, "follows from its sources"),
        (Addition, {"low": -1}, "clips to -1"),
        (MaxPooling, {"grid": Grid(-9)}, "grid must be that of what it reads"),
        (MaxPooling, {"kernel": (1, 1), "shape": (8, 7, 16)}, "without a pixel"),
        (MaxPooling, {"kernel": (99, 99)}, "does not fit the padded map"),
        (AveragePooling, {"shape": (1, 1, 1)}, "follows from its sources"),
        (Lookup, {"table": np.zeros(255, np.uint8)}, "its table must be uint8 \\(256,\\)"),
        (Subsampling, {"before": 99}, "channels after 99 do not fit"),
        (Subsampling, {"stride": 0}, "stride of 0"),
        (Subsampling, {"grid": Grid(-9)}, "grid must be that of what it reads"),
        (Concatenation, {"grid": Grid(-9)}, "grid must be that of what it reads"),
        (Concatenation, {"sources": ()}, "reads no step"),
    ],
)
def test_a_broken_rule_is_named_with_its_step(kind, values, problem):
    index, network = changed(kind, **values)
    with pytest.raises(InputError, match=problem) as caught:
        check(network)
    assert str(caught.value).startswith(f"step {index} (")
    assert "\n" not in str(caught.value)


def test_sums_reach_up_to_2_to_the_31():
    network = everything()
    step = network.steps[1]
    size = int(np.abs(step.weight[3].astype(int)).sum()) * 255
    for bias, fits in ((2**31 - 1 - size, True), (2**31 - size, False)):
        steps = list(network.steps)
        steps[1] = dataclasses.replace(step, bias=np.where(np.arange(16) == 3, bias, 0).astype(np.int32))
        if fits:
            check(Network(tuple(steps)))
        else:
            with pytest.raises(InputError, match="channel 3 can reach 2147483648"):
                check(Network(tuple(steps)))


def test_the_last_step_gives_the_logits():
    steps = everything().steps
    with pytest.raises(InputError, match="the last step"):
        check(Network(steps[:-1]))
    with pytest.raises(InputError, match="no other one is"):
        check(Network((steps[0], steps[0], *steps[1:])))
    with pytest.raises(InputError, match="2 to 10000 steps"):
        check(Network(steps[:1]))


def test_logits_are_one_pixel_and_not_clipped():
    b = Builder(np.random.default_rng(0))
    b.conv(b.input(3, 3, 1), 2, grid=None)
    with pytest.raises(InputError, match="a map of 3x3, not 1x1"):
        check(b.network())
    b = Builder(np.random.default_rng(0))
    b.linear(b.input(3, 3, 1), 2, storage=INT8)
    b.steps[1] = dataclasses.replace(b.steps[1], high=100)
    with pytest.raises(InputError, match="not clipped"):
        check(b.network())
