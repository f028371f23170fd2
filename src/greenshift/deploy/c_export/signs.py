"""Maps of signs in C: one bit for each value, where every layer that reads them counts bits.

A sum of products of signs is the number of values under the kernel less twice the number of those whose sign is not
that of the weight, so that a word of bits takes a dozen instructions instead of 32 multiplications (Rastegari et al.,
XNOR-Net, ECCV 2016). What lies outside of the map is neither sign: it is masked out.
"""

from dataclasses import dataclass

import numpy as np

from greenshift.deploy.network import Convolution, Lookup, Network, Step

_PER_BYTE = 8


@dataclass(frozen=True)
class Signs:
    """A map of signs.

    Attributes:
        threshold: Smallest byte of the map before that becomes 1; those below become -1.
        unit: What 1 is in the units of sums: the byte that stands for 1 less the one that stands for zero.
    """

    threshold: int
    unit: int


def sign_maps(network: Network) -> dict[int, Signs]:
    """Return the maps that are kept as bits, by the index of the look-up that makes them.

    Their channels fill whole bytes, and all who read them are convolutions of binary weights in one group.
    """
    found = {}
    for index, step in enumerate(network.steps):
        signs = _signs_of(step) if isinstance(step, Lookup) and step.shape[2] % _PER_BYTE == 0 else None
        readers = [reader for reader in network.steps if index in reader.sources]
        if signs and readers and all(_counts_bits(reader) for reader in readers):
            found[index] = signs
    return found


def pixel_bytes(step: Step, *, bits: bool) -> int:
    """Return what one pixel of a map takes."""
    return step.shape[2] // _PER_BYTE if bits else step.shape[2]


def _counts_bits(step: Step) -> bool:
    return isinstance(step, Convolution) and step.storage.kind == "binary" and step.groups == 1


def _signs_of(step: Lookup) -> Signs | None:
    """A look-up whose two bytes are as far from zero, the lower one for all bytes below a threshold; else None."""
    values = step.table.astype(np.int64) - step.grid.zero
    unit, threshold = int(values[-1]), int(np.count_nonzero(values < 0))
    wanted = np.where(np.arange(len(values)) < threshold, -unit, unit)
    return Signs(threshold, unit) if unit > 0 and threshold > 0 and (values == wanted).all() else None
