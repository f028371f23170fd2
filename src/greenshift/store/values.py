"""What a store hands out besides evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from greenshift.energy.reading import Reading
from greenshift.objectives import Provenance

PROBE = "probe"


@dataclass(frozen=True)
class Claim:
    """An evaluation that was started and has no final record.

    Attributes:
        sequence: Its place in the order in which evaluations were started.
        trial: Number of the trial, negative for baselines.
        label: Name of the baseline, or None.
        configuration: Values of the search space's hyperparameters.
        fidelity: Name and value of the resource, empty if the study has none.
        started_at: Unix time.
    """

    sequence: int
    trial: int
    label: str | None
    configuration: dict[str, Any]
    fidelity: dict[str, float]
    started_at: float


@dataclass(frozen=True)
class Session:
    """One run of the search on a store, or the probe by which its budget was found.

    Attributes:
        started_at: Unix time.
        updated_at: Unix time of the last reading.
        state: `running`, `finished`, `interrupted`, `failed`, `killed` if it ended without a word, or `PROBE`.
        version: Version of greenshift.
        config: Fields of this run's `StudyConfig`.
        reading: What it consumed up to `updated_at`, or None if it never said.
    """

    started_at: float
    updated_at: float
    state: str
    version: str
    config: dict[str, Any]
    reading: Reading | None


@dataclass(frozen=True)
class Consumption:
    """What all runs of a study consumed together.

    Attributes:
        wall_s: Time in s.
        cpu_s: CPU time in s, or None if a run did not measure it.
        energy_j: Energy in J, or None if a run did not measure it.
        provenance: `measured` only if every run's energy was.
        source: The meters, in words.
        coverage: Parts of the machine that every run's energy covers.
        interval_j: Lowest and highest energy by the meters' own uncertainties, or None if a run did not say.
    """

    wall_s: float
    cpu_s: float | None
    energy_j: float | None
    provenance: Provenance
    source: str
    coverage: tuple[str, ...]
    interval_j: tuple[float, float] | None = None


def add_up(readings: Sequence[Reading]) -> Consumption:
    """Add readings of separate intervals; a sum with an unmeasured part is unmeasured (None)."""
    cpu = [reading.cpu_s for reading in readings]
    energy = [reading.energy_j for reading in readings]
    coverage = [set(reading.coverage) for reading in readings]
    measured = bool(readings) and all(reading.provenance == "measured" for reading in readings)
    # Errors are taken as fully correlated: most of them are constants of the method.
    intervals = [reading.interval_j for reading in readings if reading.interval_j is not None]
    known = bool(readings) and len(intervals) == len(readings)
    return Consumption(
        wall_s=sum(reading.wall_s for reading in readings),
        cpu_s=None if None in cpu else sum(value for value in cpu if value is not None),
        energy_j=None if None in energy else sum(value for value in energy if value is not None),
        provenance="measured" if measured else "estimated",
        source="; ".join(dict.fromkeys(reading.source for reading in readings)),
        coverage=tuple(sorted(set.intersection(*coverage))) if coverage else (),
        interval_j=(sum(low for low, _ in intervals), sum(high for _, high in intervals)) if known else None,
    )
