"""Requantisation in integers against NumPy's float32, in compiled C over the sums where they might differ."""

import ctypes
import subprocess

import numpy as np
import pytest
from exported_c import needs_gcc
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.deploy.c_export.requantise import channels, split
from greenshift.deploy.c_export.source import template
from greenshift.deploy.network import Convolution, Grid, Storage
from greenshift.errors import InputError

pytestmark = needs_gcc
_CALLS = """
int32_t byte_of(int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, int32_t);
uint32_t logit_of(int32_t, int32_t, int32_t);
int32_t byte_of(int32_t sum, int32_t low_at, int32_t high_at, int32_t multiplier, int32_t shift, int32_t align,
                int32_t zero, int32_t low, int32_t high)
{
    channel c = {0, 0, 0, 0, 0, 0};
    map out = {0, 0, 0, 0, 0, 0, 0};
    convolution layer = {0};
    uint32_t sums = (uint32_t)sum;
    uint8_t byte;
    c.low_at = low_at, c.high_at = high_at, c.multiplier = (uint16_t)multiplier;
    c.shift = (uint8_t)shift, c.align = (uint8_t)align;
    out.zero = (uint16_t)zero, layer.out = &out, layer.channel = &c, layer.outputs = 1;
    layer.low = (uint8_t)low, layer.high = (uint8_t)high;
    requantise(&layer, &sums, &byte);
    return byte;
}
uint32_t logit_of(int32_t sum, int32_t multiplier, int32_t shift)
{
    channel c = {0, 0, 0, 0, 0, 0};
    c.multiplier = (uint16_t)multiplier, c.shift = (uint8_t)shift;
    return float_bits(sum, &c);
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("requantise")
    sizes = "".join(f"#define {name} 4\n" for name in ("ARENA_BYTES", "PATCH_AT", "SUMS_AT", "MOST_KERNEL_ROWS"))
    parts = [template(name) for name in ("runtime.c", "rounding.c", "convolution.c")]
    (folder / "r.c").write_text("".join(["#include <stdint.h>\n#define SELDOM\n", sizes, *parts, _CALLS]))
    library = folder / "r.so"
    subprocess.run(["gcc", "-std=c99", "-O2", "-shared", "-fPIC", "-o", library, folder / "r.c"], check=True)
    found = ctypes.CDLL(str(library))
    found.logit_of.restype = ctypes.c_uint32
    return found


multipliers = st.builds(lambda whole, power: np.float32(whole * 2.0**power), st.integers(1, 2047), st.integers(-40, 3))
sums = st.integers(-(2**31) + 2, 2**31 - 2)


@settings(max_examples=600, deadline=None)
@given(multipliers, st.lists(sums, max_size=30), st.sampled_from([0, 128]), st.integers(0, 3), st.integers(1, 255))
def test_bytes_are_those_of_float32(compiled, multiplier, others, zero, low, high):
    low = min(low, high - 1)
    layer = Convolution(
        "layer",
        (0,),
        (1, 1, 1),
        Grid(0, zero),
        np.zeros((1, 1, 1, 1), np.int16),
        np.array([2**31 - 2], np.int32),  # any sum may come
        np.array([multiplier], np.float32),
        Storage("shift", 4),
        low=low,
        high=high,
    )
    numbers = channels(layer, Grid(0))
    fields = [int(getattr(numbers, name)[0]) for name in ("low_at", "high_at", "multiplier", "shift", "align")]
    # Around the ties between bytes, where the roundings of float32 decide.
    ties = [round((byte + 0.5) / float(multiplier)) + step for byte in range(-130, 256, 11) for step in (-1, 0, 1)]
    for total in [*others, *(tie for tie in ties if abs(tie) < 2**31 - 1)]:
        value = np.float32(total) * multiplier
        clipped = np.clip(value, np.float32(low - zero), np.float32(high - zero))
        expected = int(np.rint(clipped)) + zero
        assert compiled.byte_of(total, *fields, zero, low, high) == expected, total


@settings(max_examples=600, deadline=None)
@given(multipliers, sums)
def test_logits_are_those_of_float32_to_the_bit(compiled, multiplier, total):
    whole, shift = split(float(multiplier), "layer")
    expected = np.float32(total) * multiplier
    assert compiled.logit_of(total, whole, shift) == int(expected.view(np.uint32))


def test_a_case_where_float32_rounds_onto_a_tie(compiled):
    """The exact product is not a tie; float32's is, and goes to the even byte."""
    found = []
    for whole in range(1025, 2048, 2):
        multiplier = np.float32(whole * 2.0**-22)
        total = np.round(np.arange(60.5, 128) * 2**22 / whole)
        exact = total * whole / 2**22
        rounded = total.astype(np.float32) * multiplier
        found += [(whole, int(t)) for t in total[(rounded % 1 == 0.5) & (exact % 1 != 0.5)]]
    assert found, "no such case in range: the slow path is not reached"
    for whole, total in found:
        expected = int(np.rint(np.float32(total) * np.float32(whole * 2.0**-22)))
        limits = (-(2**31) + 1, 2**31 - 1)
        assert compiled.byte_of(total, *limits, whole, 22, 0, 0, 0, 255) == expected


@pytest.mark.parametrize("multiplier", [1e-30, 70000.0])
def test_a_multiplier_out_of_range_names_its_layer(multiplier):
    with pytest.raises(InputError, match="layer 'stem': multiplier"):
        split(multiplier, "stem")
