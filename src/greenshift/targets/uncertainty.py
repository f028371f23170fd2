"""How uncertainty factors combine."""

import math
from collections.abc import Iterable


def sum_factor(parts: Iterable[tuple[float, float]]) -> float:
    """Uncertainty factor of a sum.

    The errors of the parts may all have one sign, so the factor is the mean of theirs, weighted by value.

    Args:
        parts: Pairs of a part's value, at least 0, and its factor.

    Returns:
        The factor of the sum; 1 if the sum is zero.
    """
    pairs = list(parts)
    total = math.fsum(value for value, _ in pairs)
    return math.fsum(value * factor for value, factor in pairs) / total if total > 0 else 1.0


def product_factor(*factors: float) -> float:
    """Uncertainty factor of a product of independent numbers: root of the sum of squared logarithms.

    Args:
        factors: The numbers' factors, each at least 1.
    """
    return math.exp(math.hypot(*(math.log(factor) for factor in factors)))
