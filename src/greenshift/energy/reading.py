"""What a meter gives: energy with its source, coverage and interval."""

from dataclasses import asdict, dataclass
from typing import Any

from greenshift.objectives import Provenance


@dataclass(frozen=True)
class Reading:
    """Consumption of one metered interval.

    Attributes:
        wall_s: Elapsed time.
        cpu_s: CPU time of this process and of its finished children, or None if it was not read.
        energy_j: Energy, or None if it was not measured. 0 means zero.
        provenance: `measured` by a counter or `estimated` from time and assumed watts.
        source: The counter or the formula, with its constants, in words.
        coverage: Which parts of the machine are in the figure (`cpu`, `ram`, `gpu`).
    """

    wall_s: float
    cpu_s: float | None
    energy_j: float | None
    provenance: Provenance
    source: str
    coverage: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the reading as a JSON object."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Reading":
        """Inverse of `to_json`."""
        return Reading(**{**data, "coverage": tuple(data["coverage"])})
