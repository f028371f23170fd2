"""Weights as packed bits, and multipliers as two-byte floats: what a packed file holds of a layer.

A weight is a code of as many bits as its storage has. Codes follow each other in C order, the first in the lowest bits
of a byte; every layer begins on a byte. Five-bit codes are two planes: first the low four bits of all, then the fifth.

===============  ====================================================================================
shift, 4 bits    bits 0..2: 0 for zero, else m for the magnitude 2^(m-1); bit 3: the sign
shift, 5 bits    bits 0..3: 0 for zero, else m for the magnitude 2^(m-1), m at most 14; bit 4: the sign
int8, 8 bits     two's complement, -128 left out
ternary, 2 bits  two's complement, -2 left out
binary, 1 bit    1 for 1, 0 for -1
===============  ====================================================================================
"""

import math
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import Bytes, Storage
from greenshift.errors import InputError

STORAGES = (Storage("shift", 4), Storage("shift", 5), Storage("int8", 8), Storage("ternary", 2), Storage("binary", 1))

_UNUSED = -(2**15)


def weight_codes(weight: NDArray[np.int16], storage: Storage) -> Bytes:
    """Return the code of every weight, uint8 in the same shape.

    Raises:
        InputError: If the storage has no code for a weight.
    """
    largest = storage.largest
    codes = _codes(storage)[np.clip(weight, -largest - 1, largest + 1) + np.int32(largest + 1)]
    if codes.size and codes.min() < 0:
        worst = weight[np.unravel_index(int(codes.argmin()), codes.shape)]
        raise InputError(f"a weight of {worst} does not fit {storage.bits}-bit {storage.kind} storage")
    return cast(Bytes, codes.astype(np.uint8))


def pack_weights(weight: NDArray[np.int16], storage: Storage) -> Bytes:
    """Return weights as packed bytes.

    Raises:
        InputError: If the storage has no code for a weight.
    """
    codes = weight_codes(weight, storage).reshape(-1)
    return np.concatenate([_pack_plane(codes >> shift, bits) for shift, bits in _planes(storage)])


def unpack_weights(data: Bytes, shape: tuple[int, ...], storage: Storage) -> NDArray[np.int16]:
    """Return the weights of packed bytes: the exact inverse of `pack_weights`.

    Args:
        data: As many bytes as `packed_size` says.
        shape: Of the weights.
        storage: How they are stored.

    Raises:
        InputError: If the bytes are too few or too many, or hold a code that no weight has.
    """
    count = math.prod(shape)
    if len(data) != packed_size(count, storage):
        raise InputError(f"{count} weights of {storage.bits} bits do not take {len(data)} bytes")
    codes = np.zeros(count, np.uint8)
    start = 0
    for shift, bits in _planes(storage):
        end = start + -(-count * bits // 8)
        codes |= _unpack_plane(data[start:end], bits, count) << shift
        start = end
    weight = _values(storage)[codes]
    if count and weight.min() == _UNUSED:
        raise InputError(f"a code that no {storage.bits}-bit {storage.kind} weight has")
    return weight.reshape(shape)


def packed_size(count: int, storage: Storage) -> int:
    """Return the bytes that weights take."""
    return sum(-(-count * bits // 8) for _, bits in _planes(storage))


def pack_multipliers(multiplier: NDArray[np.float32]) -> tuple[NDArray[np.float16], int]:
    """Return the multipliers of a layer as float16, and the exponent of the power of two that was taken out.

    Raises:
        InputError: If one is not positive and finite, has more than 11 significant bits, or if the largest is
            beyond 2^28 times the smallest: what two bytes cannot hold exactly.
    """
    if not (np.isfinite(multiplier).all() and (multiplier > 0).all()):
        raise InputError("multipliers must be positive and finite")
    exponent = int(np.frexp(multiplier.max(initial=1e-30))[1]) - 15
    halves = np.ldexp(multiplier.astype(np.float64), -exponent).astype(np.float16)
    if not (unpack_multipliers(halves, exponent) == multiplier).all():
        raise InputError("multipliers need at most 11 significant bits, and a range of at most 2^28 within a layer")
    return halves, exponent


def unpack_multipliers(halves: NDArray[np.float16], exponent: int) -> NDArray[np.float32]:
    """Return the multipliers that `pack_multipliers` packed.

    Raises:
        InputError: If one is not finite.
    """
    if not np.isfinite(halves).all():
        raise InputError("multipliers must be positive and finite")
    return np.ldexp(halves.astype(np.float64), exponent).astype(np.float32)


def _planes(storage: Storage) -> tuple[tuple[int, int], ...]:
    """Lowest bit and width of the planes in which codes are stored: widths that fill bytes."""
    return ((0, 4), (4, 1)) if storage.bits == 5 else ((0, storage.bits),)


def _pack_plane(codes: NDArray[Any], bits: int) -> Bytes:
    per_byte = 8 // bits
    padded = np.zeros(-(-len(codes) // per_byte) * per_byte, np.uint8)
    padded[: len(codes)] = codes & (1 << bits) - 1
    packed = np.zeros(len(padded) // per_byte, np.uint8)
    for place in range(per_byte):
        packed |= padded[place::per_byte] << (bits * place)
    return packed


def _unpack_plane(data: Bytes, bits: int, count: int) -> Bytes:
    per_byte = 8 // bits
    codes = np.empty(len(data) * per_byte, np.uint8)
    for place in range(per_byte):
        codes[place::per_byte] = data >> (bits * place) & (1 << bits) - 1
    if codes[count:].any():
        raise InputError("bits that belong to no weight are not 0")
    return codes[:count]


@cache
def _values(storage: Storage) -> NDArray[np.int16]:
    """Weight of every code; a mark where no weight has the code."""
    codes = np.arange(1 << storage.bits)
    half = 1 << storage.bits - 1
    if storage.kind == "binary":
        values = 2 * codes - 1
    elif storage.kind == "shift":
        size = (codes % half > 0) << np.maximum(codes % half - 1, 0)
        # A zero has no sign, and no magnitude is above the largest.
        bad = (codes == half) | (size > storage.largest)
        values = np.where(bad, _UNUSED, np.where(codes < half, size, -size))
    else:
        values = np.where(codes < half, codes, codes - 2 * half)
        values[half] = _UNUSED
    return values.astype(np.int16)


@cache
def _codes(storage: Storage) -> NDArray[np.int16]:
    """Code of every weight from -largest - 1 to largest + 1; -1 where there is none."""
    values = _values(storage)
    used = np.flatnonzero(values != _UNUSED)
    codes = np.full(2 * storage.largest + 3, -1, np.int16)
    codes[values[used].astype(np.int32) + storage.largest + 1] = used
    return codes
