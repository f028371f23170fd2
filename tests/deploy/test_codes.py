import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import BINARY, INT8, SHIFT4, SHIFT5, STORAGES, TERNARY, random_weights

from greenshift.deploy.codes import (
    pack_multipliers,
    pack_weights,
    packed_size,
    unpack_multipliers,
    unpack_weights,
    weight_codes,
)
from greenshift.errors import InputError


def packed(values, storage):
    return pack_weights(np.array(values, np.int16), storage).tolist()


@pytest.mark.parametrize(
    ("values", "storage", "data"),
    [
        ([0, 1, 64, -1, -64], SHIFT4, [0x10, 0x97, 0x0F]),
        ([0, 1, 8192, -1, -8192], SHIFT5, [0x10, 0x1E, 0x0E, 0b11000]),
        ([0, 1, 127, -1, -127], INT8, [0, 1, 127, 255, 129]),
        ([0, 1, -1, 1, -1], TERNARY, [0b01_11_01_00, 0b11]),
        ([1, -1, -1, 1, 1, 1, 1, 1, -1, 1], BINARY, [0b11111001, 0b10]),
    ],
)
def test_codes_are_what_the_format_says(values, storage, data):
    assert packed(values, storage) == data


@given(
    st.sampled_from(STORAGES),
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)),
    st.integers(0, 2**32 - 1),
)
def test_unpacking_is_the_exact_inverse(storage, shape, seed):
    weight = random_weights(np.random.default_rng(seed), shape, storage)
    data = pack_weights(weight, storage)
    assert data.dtype == np.uint8
    assert len(data) == packed_size(weight.size, storage)
    found = unpack_weights(data, shape, storage)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, weight)


@given(st.sampled_from(STORAGES), st.integers(1, 40), st.binary(min_size=40, max_size=40))
def test_bytes_are_refused_or_come_back(storage, count, text):
    data = np.frombuffer(text, np.uint8)[: packed_size(count, storage)]
    try:
        weight = unpack_weights(data, (count,), storage)
    except InputError:
        return
    np.testing.assert_array_equal(pack_weights(weight, storage), data)


@pytest.mark.parametrize("storage", STORAGES)
def test_every_code_stands_for_one_weight_or_none(storage):
    found = []
    for code in range(1 << storage.bits):
        data = [code & 15, code >> 4] if storage.bits == 5 else [code]
        try:
            found.append(int(unpack_weights(np.array(data, np.uint8), (1,), storage)[0]))
        except InputError:
            continue
    sizes = {"shift": {0, *(1 << k for k in range(storage.largest.bit_length()))}, "binary": {1}}
    expected = sizes.get(storage.kind, set(range(storage.largest + 1)))
    assert sorted(found) == sorted(expected | {-size for size in expected})


@pytest.mark.parametrize(
    ("value", "storage"),
    [(3, SHIFT4), (128, SHIFT4), (16384, SHIFT5), (-(2**15), SHIFT5), (-128, INT8), (2, TERNARY), (0, BINARY)],
)
def test_a_weight_without_a_code_is_refused(value, storage):
    with pytest.raises(InputError, match=f"weight of {value} does not fit"):
        weight_codes(np.array([[1, value]], np.int16), storage)


@pytest.mark.parametrize("storage", STORAGES)
def test_bytes_of_another_number_of_weights_are_refused(storage):
    with pytest.raises(InputError, match="do not take 9 bytes"):
        unpack_weights(np.zeros(9, np.uint8), (3,), storage)


@given(st.lists(st.tuples(st.integers(1024, 2047), st.integers(-30, -3)), min_size=1), st.integers(-50, 60))
def test_multipliers_come_back_exactly(parts, offset):
    values = np.array([np.ldexp(mantissa, exponent + offset) for mantissa, exponent in parts], np.float32)
    halves, exponent = pack_multipliers(values)
    assert halves.dtype == np.float16
    np.testing.assert_array_equal(unpack_multipliers(halves, exponent), values)


@pytest.mark.parametrize("values", [[0.0], [-1.0], [np.inf], [np.nan], [1 + 2**-11], [1.0, 1.001 * 2.0**-30]])
def test_multipliers_that_two_bytes_cannot_hold_are_refused(values):
    with pytest.raises(InputError, match="multipliers"):
        pack_multipliers(np.array(values, np.float32))
