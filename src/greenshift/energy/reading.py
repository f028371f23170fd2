"""What a meter gives: energy with its method, interval, source and coverage."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from greenshift.objectives import Provenance


@dataclass(frozen=True)
class Reading:
    """Consumption of one metered interval.

    Attributes:
        wall_s: Elapsed time.
        cpu_s: CPU time of what is metered, or None if it was not read.
        energy_j: Energy, what the machine takes while idle included as far as the method sees it, or None if
            it was not measured. 0 means zero.
        provenance: `measured` by a counter or `estimated` from a counter's share or from assumed watts.
        source: The counter or the formula, with its constants, in words; why there is no energy, if there is none.
        coverage: Which parts of the machine are in the figure (`cpu`, `ram`, `gpu`).
        method: Short name of how the energy was found, such as `rapl` or `cpu-time+nvml`; None in readings of
            older stores.
        interval_j: Lowest and highest energy that the method's uncertainty allows, or None if it is not known.
        net_energy_j: Energy above the idle machine's, or None if the idle power is not known.
    """

    wall_s: float
    cpu_s: float | None
    energy_j: float | None
    provenance: Provenance
    source: str
    coverage: tuple[str, ...]
    method: str | None = None
    interval_j: tuple[float, float] | None = None
    net_energy_j: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the reading as a JSON object."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Reading":
        """Inverse of `to_json`; what older versions did not write is None."""
        low_high = data.get("interval_j")
        interval_j = None if low_high is None else (float(low_high[0]), float(low_high[1]))
        return Reading(**{**data, "coverage": tuple(data["coverage"]), "interval_j": interval_j})

    def failed(self, reason: str) -> "Reading":
        """Return the same interval without its energy, with the reason in the source."""
        source = f"{self.source}; failed: {reason}"
        return replace(self, energy_j=None, interval_j=None, net_energy_j=None, source=source)


def spread(energy_j: float, factor: float, resolution_j: float = 0.0) -> tuple[float, float]:
    """Return the interval of an energy that is known within a factor, and within a step of its counter.

    Args:
        energy_j: The energy.
        factor: Uncertainty factor, at least 1.
        resolution_j: How much the counter's steps at both ends may hide.
    """
    return max(0.0, energy_j - resolution_j) / factor, (energy_j + resolution_j) * factor


def in_sequence(first: Reading, second: Reading) -> Reading:
    """Join the readings of two intervals of one meter that follow each other; an unmeasured part makes a sum None."""
    return replace(
        first,
        wall_s=first.wall_s + second.wall_s,
        cpu_s=total([first.cpu_s, second.cpu_s]),
        coverage=tuple(part for part in first.coverage if part in second.coverage),
        **_sums(first, second),
    )


def side_by_side(first: Reading, second: Reading) -> Reading:
    """Join the readings of two parts of the machine over one interval; times are the first one's."""
    coverage = tuple(dict.fromkeys([*first.coverage, *second.coverage]))
    return replace(first, coverage=coverage, **_sums(first, second))


def _sums(first: Reading, second: Reading) -> dict[str, Any]:
    """What adds up in the same way over time and over parts. Errors are taken as fully correlated."""
    intervals = (first.interval_j, second.interval_j)
    lows, highs = zip(*intervals, strict=True) if None not in intervals else ((None,), (None,))  # type: ignore[arg-type]
    low_j, high_j = total(lows), total(highs)
    measured = first.provenance == second.provenance == "measured"
    methods = dict.fromkeys(part for r in (first, second) if r.method for part in r.method.split("+"))
    sources = dict.fromkeys(part for r in (first, second) for part in r.source.split(" | "))
    return {
        "energy_j": total([first.energy_j, second.energy_j]),
        "net_energy_j": total([first.net_energy_j, second.net_energy_j]),
        "interval_j": None if low_j is None or high_j is None else (low_j, high_j),
        "provenance": "measured" if measured else "estimated",
        "method": "+".join(methods) or None,
        "source": " | ".join(sources),
    }


def total(values: Sequence[float | None]) -> float | None:
    """Sum, or None if a part of it is unknown."""
    return None if None in values else sum(value for value in values if value is not None)
