"""Whether one more joule of search is still expected to save more than a joule. Works above any optimizer."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from greenshift.amounts import make_fleet, parse_time
from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.front import CurvePoint, comparable, front, hypervolume_curve, study_reference
from greenshift.objectives import Objective, get_objectives
from greenshift.optimize.protocol import Forecaster, Optimizer
from greenshift.records import Evaluation

# The area between the front and the reference, in error x decades of energy; further objectives are left aside.
OBJECTIVES = get_objectives(("error", "energy_j"))

# Choices. A window of a third grows with the search, so that a front that rises ever more seldom is still seen to rise.
WINDOW_SHARE = 1 / 3
MIN_FINISHED = 8


@dataclass(frozen=True)
class RecentGain:
    """What the latest part of a search gave, and what it took.

    Attributes:
        hypervolume: Upper estimate of what as much search gives again (`recent_gain`).
        energy_j: Energy of the evaluations in it.
        seconds: Their wall time.
    """

    hypervolume: float
    energy_j: float
    seconds: float

    def per_joule(self, forecast_per_s: float | None = None) -> float:
        """Return the expected hypervolume per joule of evaluations.

        Args:
            forecast_per_s: The optimizer's own expectation per second of evaluations, which counts if it is higher.
        """
        slope = self.hypervolume / self.energy_j
        if forecast_per_s is None:
            return slope
        return max(slope, forecast_per_s * self.seconds / self.energy_j)


def joules_per_hypervolume(inferences: float, energies_j: Sequence[float], error_span: float) -> float:
    """Return the energy that a fleet saves by one unit of hypervolume, in J.

    Let e(x) be the least energy of an inference with an error of at most x. The hypervolume of error and
    log10(energy) is the integral of log10(e_reference / e(x)) over x, from the front's least error to the
    reference's. So a gain dH over that span is the mean decrease of log10 e(x) over all levels of error:
    with d = dH / span, whoever ships a network, at a level that is not known beforehand, expects its energy
    to fall by a factor of 10^d. That saves e (1 - 10^-d) of each inference, to first order e ln(10) d, which
    is never less. With N inferences and a typical e, the median of the front:

        saved = N e ln(10) dH / span

    Args:
        inferences: N, of all devices in their lifetime.
        energies_j: Energy of one inference of each point of the front, at least one.
        error_span: The reference's error less the least error of the front, above 0.
    """
    return inferences * statistics.median(energies_j) * math.log(10) / error_span


def recent_gain(evaluations: Sequence[Evaluation], reference: Sequence[float]) -> RecentGain | None:
    """Return what the last part of a search gave, rather too much than too little.

    The window is the last third of the joules, longer if that is needed to hold `MIN_FINISHED` evaluations at
    the highest fidelity. A hypervolume rises in steps, and the next one may be just ahead: to what it rose
    in the window one more step is added, as large as the largest there; if there was none, as the last one
    before, which was as a rule larger than what is to come.

    Args:
        evaluations: The study's evaluations. Baselines do not count, as no search repeats them.
        reference: Worst corner of error and energy.

    Returns:
        The gain, or None if there is too little to judge by: too few evaluations before or in the window,
        nothing better than the reference so far, or no energy.
    """
    trials = sorted((e for e in evaluations if e.role == "trial"), key=lambda e: e.finished_at)
    curve = hypervolume_curve(map(_with_energy, trials), OBJECTIVES, reference)
    counting = {id(e) for e in comparable(trials)}
    full = [id(e) in counting for e in trials if e.outcome in ("ok", "failed")]
    begin = _window_begin(curve, full)
    if begin is None or curve[-1].hypervolume <= 0:
        return None
    steps = [after.hypervolume - before.hypervolume for before, after in pairwise(curve[begin:])]
    step = max(steps) or _last_step(curve[: begin + 1])
    window_j = _energy_j(curve[-1]) - _energy_j(curve[begin])
    seconds = curve[-1].seconds - curve[begin].seconds
    return RecentGain(math.fsum(steps) + step, window_j, seconds) if window_j > 0 else None


class MarginalReturn:
    """Follows a study and says when its search is not expected to pay any more.

    Everything follows from the evaluations, so a study that goes on judges as one that was not interrupted.
    """

    def __init__(self, config: StudyConfig, float32: Mapping[str, float]) -> None:
        """Begin without evaluations.

        Args:
            config: The study, with `rate` and `lifetime`.
            float32: Cost of the float32 baseline, for the hypervolume's reference.

        Raises:
            InputError: If rate or lifetime is missing.
        """
        fleet = make_fleet(config.fleet, config.rate)
        if fleet is None or config.lifetime is None:
            raise InputError("stop_when_unprofitable needs rate and lifetime")
        self._inferences = fleet.inferences_per_s * parse_time("lifetime", config.lifetime)
        self._reference = study_reference((), OBJECTIVES, float32)
        self._evaluations: list[Evaluation] = []

    def add(self, evaluation: Evaluation) -> None:
        """Take an evaluation into account."""
        self._evaluations.append(evaluation)

    def verdict(self, forecast_per_s: float | None = None) -> str | None:
        """Return in words why the search should stop, or None if it may go on.

        Args:
            forecast_per_s: What the optimizer expects (`forecast`).
        """
        gain = recent_gain(self._evaluations, self._reference)
        if gain is None:
            return None
        points = front(self._evaluations, OBJECTIVES)
        span = self._reference[0] - min(point.objectives["error"] for point in points)
        energies_j = [point.objectives["energy_j"] for point in points]
        worth_j = joules_per_hypervolume(self._inferences, energies_j, span)
        per_j = gain.per_joule(forecast_per_s)
        if per_j * worth_j >= 1:
            return None
        return (
            f"one more joule of search would save at most {per_j * worth_j:.2g} J: it adds up to {per_j:.2g} of "
            f"hypervolume, of which 1 is worth {worth_j:.3g} J in {self._inferences:.3g} inferences"
        )


def forecast(optimizer: Optimizer, objectives: Sequence[Objective]) -> float | None:
    """Return the hypervolume of error and energy per second that an optimizer expects, None if it cannot say.

    One of other objectives has another unit and says nothing here.
    """
    if not isinstance(optimizer, Forecaster) or set(objectives) != set(OBJECTIVES):
        return None
    return optimizer.expected_gain_per_s()


def _window_begin(curve: Sequence[CurvePoint], full: Sequence[bool]) -> int | None:
    """Index of the last point of the curve from which on there is enough to judge by."""
    finished = 0
    for index in range(len(curve) - 2, -1, -1):
        finished += full[index + 1]
        spent_j = _energy_j(curve[-1]) - _energy_j(curve[index])
        if finished >= MIN_FINISHED and spent_j >= WINDOW_SHARE * _energy_j(curve[-1]):
            return index
    return None


def _last_step(curve: Sequence[CurvePoint]) -> float:
    """How much the hypervolume rose when it last did."""
    volumes = [0.0, *(point.hypervolume for point in curve)]
    rises = [after - before for before, after in pairwise(volumes) if after > before]
    return rises[-1]


def _energy_j(point: CurvePoint) -> float:
    assert point.energy_j is not None  # see _with_energy
    return point.energy_j


def _with_energy(evaluation: Evaluation) -> Evaluation:
    """The evaluation with what is known of its energy: if it is not, as when a worker was killed, it adds none.

    The gain per joule comes out too high then, and the search goes on.
    """
    if evaluation.reading.energy_j is not None:
        return evaluation
    return dataclasses.replace(evaluation, reading=dataclasses.replace(evaluation.reading, energy_j=0.0))
