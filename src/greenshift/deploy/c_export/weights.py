"""The ways to run a layer's weights in C, as C text and as flash bytes.

`generated`: straight code, one addition per power of two of a weight, shared shifts; a zero costs nothing.
`lists`: distances between inputs, sorted by power of two; no multiplier, small.
`loops`: int8 or int16 weights and a multiplication each; smallest where a multiplier is fast.
`popcount`: one bit a weight against one bit a value, for signs on both sides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import Convolution

Weights = NDArray[np.int64]
_BLOCK = 4


@dataclass(frozen=True)
class Code:
    """A layer's weights in C.

    Attributes:
        text: Definitions.
        function: Name of the function that gives the sums of a patch.
        weights: Name of its array, or `0`.
        levels: Powers of two that lists go through, 0 for others.
    """

    text: str
    function: str
    weights: str = "0"
    levels: int = 0


def powers_of_two(weight: int) -> list[tuple[int, bool]]:
    """Return the fewest powers of two whose signed sum is a weight, as pairs of exponent and whether it is negative.

    The canonical signed digits (Reitwieser, 1960): no two neighbouring exponents.
    """
    found, rest, exponent = [], abs(weight), 0
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            found.append((exponent, (digit < 0) != (weight < 0)))
            rest -= digit
        rest >>= 1
        exponent += 1
    return found


def terms(layer: Convolution) -> int:
    """Additions of a layer's weights per output pixel."""
    values, counts = np.unique(layer.weight, return_counts=True)
    return sum(len(powers_of_two(int(value))) * int(count) for value, count in zip(values, counts, strict=True))


def inputs_of(layer: Convolution, output: int, channels: int) -> Weights:
    """Place in the patch of each weight of an output, int64 (kernel height, kernel width, inputs)."""
    per_group = layer.weight.shape[3]
    group = output // (layer.weight.shape[0] // layer.groups)
    taps = np.arange(layer.kernel[0] * layer.kernel[1]).reshape(*layer.kernel, 1)
    return np.asarray(taps * channels + group * per_group + np.arange(per_group), dtype=np.int64)


def generated(layer: Convolution, channels: int, index: int) -> Code:
    """Straight code for the sums of one patch, in blocks of four outputs that share what they load."""
    name = f"sums_{index}"
    lines = [f"static void {name}(const uint8_t *p, const convolution *layer, uint32_t *sums)", "{"]
    per_group = layer.weight.shape[0] // layer.groups
    for group in range(layer.groups):
        for first in range(0, per_group, _BLOCK):
            outputs = range(group * per_group + first, group * per_group + min(first + _BLOCK, per_group))
            lines += _block(layer, channels, outputs)
    return Code("\n".join(["", *lines, "    (void)layer;", "}", ""]), name)


def _block(layer: Convolution, channels: int, outputs: range) -> Iterator[str]:
    variables = "abcd"[: len(outputs)]
    places = inputs_of(layer, outputs[0], channels).ravel()
    weight = layer.weight[outputs.start : outputs.stop].reshape(len(outputs), -1)
    yield "    {"
    yield f"        uint32_t x, t, {', '.join(f'{name} = 0' for name in variables)};"
    for place, column in zip(places.tolist(), weight.T.tolist(), strict=True):
        by_exponent: dict[int, str] = {}
        for name, value in zip(variables, column, strict=True):
            for exponent, negative in powers_of_two(value):
                add = f"{name} {'-' if negative else '+'}= {'t' if exponent else 'x'};"
                by_exponent[exponent] = f"{by_exponent.get(exponent, '')} {add}"
        if by_exponent:
            shifted = (f" t = x << {e};{adds}" if e else adds for e, adds in sorted(by_exponent.items()))
            yield f"        x = p[{place}];{''.join(shifted)}"
    yield from (f"        sums[{output}] = {name};" for output, name in zip(outputs, variables, strict=True))
    yield "        (void)x, (void)t;" if not weight.any() else "        (void)t;"
    yield "    }"


def lists_entries(layer: Convolution, channels: int) -> tuple[NDArray[np.int64], int]:
    """Return counts and distances of all outputs in the order in which C reads them, and the number of powers."""
    digits = {int(value): powers_of_two(int(value)) for value in np.unique(layer.weight)}
    levels = 1 + max((exponent for found in digits.values() for exponent, _ in found), default=0)
    entries: list[int] = []
    for output, weight in enumerate(layer.weight):
        lists: dict[tuple[int, bool], list[int]] = {}
        for place, value in zip(
            inputs_of(layer, output, channels).ravel().tolist(), weight.ravel().tolist(), strict=True
        ):
            for term in digits[value]:
                lists.setdefault(term, []).append(place)
        for exponent in range(levels - 1, -1, -1):
            for negative in (False, True):
                places = lists.get((exponent, negative), [])
                entries += [len(places), *np.diff(places, prepend=0).tolist()]
    return np.array(entries), levels


def lists(layer: Convolution, channels: int, index: int) -> Code:
    """Lists of inputs."""
    entries, levels = lists_entries(layer, channels)
    bits = 8 * entry_bytes(entries)
    name = f"weights_{index}"
    return Code(array(f"uint{bits}_t", name, entries.tolist()), f"lists{bits}", name, levels)


def entry_bytes(entries: NDArray[np.int64]) -> int:
    """Bytes of one entry of lists."""
    return 1 if int(entries.max()) < 256 else 2


def loops(layer: Convolution, index: int) -> Code:
    """Weights as they are: of four outputs side by side, or output by output if there are groups."""
    bits, name = 8 * weight_bytes(layer), f"weights_{index}"
    values = layer.weight.reshape(len(layer.weight), -1)
    if layer.groups > 1:
        return Code(array(f"int{bits}_t", name, values.ravel().tolist()), f"grouped_loops{bits}", name)
    padded = np.pad(values, ((0, -len(values) % _BLOCK), (0, 0)))
    blocked = padded.reshape(-1, _BLOCK, values.shape[1]).transpose(0, 2, 1)
    return Code(array(f"int{bits}_t", name, blocked.ravel().tolist()), f"loops{bits}", name)


def loops_bytes(layer: Convolution) -> int:
    """Flash of a layer's weights in loops."""
    outputs = len(layer.weight) + (-len(layer.weight) % _BLOCK if layer.groups == 1 else 0)
    return weight_bytes(layer) * outputs * int(layer.weight[0].size)


def popcount(layer: Convolution, index: int) -> Code:
    """Signs of the weights as bits, output by output, each filled up with zeros to whole words."""
    name = f"weights_{index}"
    bits = np.packbits(layer.weight.reshape(len(layer.weight), -1) > 0, axis=1, bitorder="little")
    values = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 4))).ravel()
    rows = array("uint8_t", name, values.tolist()).partition(" = ")[2].rstrip(";\n")
    union = f"\nstatic const union {{ uint8_t bytes[{len(values)}]; uint32_t words[{len(values) // 4}]; }} {name} = "
    return Code(f"{union}{{{rows}}};\n", "popcount", f"{name}.words")


def popcount_bytes(layer: Convolution) -> int:
    """Flash of a layer's weights as bits."""
    return 4 * -(-int(layer.weight[0].size) // 32) * len(layer.weight)


def weight_bytes(layer: Convolution) -> int:
    """Bytes of one weight in loops."""
    return 1 if layer.storage.largest <= 127 else 2


def array(kind: str, name: str, values: Sequence[object]) -> str:
    """Definition of a constant C array."""
    rows = (", ".join(map(str, values[at : at + 24])) for at in range(0, len(values), 24))
    return f"\nstatic const {kind} {name}[] = {{\n    " + ",\n    ".join(rows) + "\n};\n"
