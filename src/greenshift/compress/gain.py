"""Whether a scheme saves energy on a target at all."""

from greenshift.compress.handlers import storage_of
from greenshift.schemes import Scheme
from greenshift.targets import Target, no_gain


def no_gain_of(scheme: Scheme, target: Target) -> str | None:
    """Say in one line why a scheme saves no energy on a target, next to int8; None if it does.

    A scheme that gains nothing still trains, packs and shrinks the file: this is a reason to leave it out of a search.

    Args:
        scheme: Any scheme, such as `Binary(act_bits=1)`.
        target: The target.
    """
    storage = storage_of(scheme)
    bits = storage.weight_bits, storage.act_bits
    name = type(scheme).__name__.lower()
    return no_gain(target, storage.arithmetic, *bits, storage.weight_levels, name=name)
