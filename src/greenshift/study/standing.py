"""Where a study stands: counts, front and hypervolume, kept up to date one evaluation at a time."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from greenshift.front import front, front_hypervolume, objective_values, study_reference
from greenshift.objectives import Objective
from greenshift.records import Evaluation
from greenshift.store import Consumption
from greenshift.study.values import Progress

_ENOUGH_TO_JUDGE = 4
_HOPELESS = 20


class Standing:
    """Counts what evaluations came to and keeps the front."""

    def __init__(self, objectives: Sequence[Objective], float32: Mapping[str, float]) -> None:
        """Begin without evaluations.

        Args:
            objectives: What is minimised.
            float32: Cost of the float32 baseline, for the hypervolume's reference.
        """
        self._objectives = objectives
        self._float32 = float32
        self._outcomes: Counter[str] = Counter()
        self._failures: list[Evaluation] = []
        self._baselines: list[Evaluation] = []
        self.front: list[Evaluation] = []
        self._hypervolume = 0.0

    @property
    def finished(self) -> int:
        """Evaluations of the search that count against a budget of trials."""
        return self._outcomes["ok"] + self._outcomes["failed"]

    @property
    def is_hopeless(self) -> bool:
        """True if so many evaluations failed, and none succeeded, that more would be wasted energy."""
        return self._outcomes["failed"] >= _HOPELESS and not self._outcomes["ok"]

    def add(self, evaluation: Evaluation) -> None:
        """Take an evaluation into account."""
        if evaluation.outcome == "interrupted":
            return
        if evaluation.role == "baseline":
            self._baselines.append(evaluation)
            return
        self._outcomes[evaluation.outcome] += 1
        if evaluation.outcome == "failed":
            self._failures.append(evaluation)
        if evaluation.outcome == "ok":
            self.front = front([*self.front, evaluation], self._objectives)
            reference = study_reference([*self._baselines, *self.front], self._objectives, self._float32)
            points = [objective_values(point, self._objectives) for point in self.front]
            self._hypervolume = front_hypervolume(points, self._objectives, reference)

    def failure(self) -> str | None:
        """Return the verdict on a study of which more than half failed, with the commonest reason, or None."""
        failed = self._outcomes["failed"]
        if self.finished < _ENOUGH_TO_JUDGE or 2 * failed <= self.finished:
            return None
        kinds = [re.sub(r"\d+(\.\d+)?", "#", evaluation.reason or "no reason given") for evaluation in self._failures]
        commonest = Counter(kinds).most_common(1)[0][0]
        example = self._failures[kinds.index(commonest)].reason or commonest
        return f"{failed} of {self.finished} trials failed; the commonest reason: {example}"

    def progress(self, running: int, consumed: Consumption) -> Progress:
        """Return the figures to show.

        Args:
            running: Evaluations under way.
            consumed: What all runs consumed.
        """
        return Progress(
            ok=self._outcomes["ok"],
            failed=self._outcomes["failed"],
            refused=self._outcomes["infeasible"],
            baselines=len(self._baselines),
            running=running,
            front_size=len(self.front),
            hypervolume=self._hypervolume,
            wall_s=consumed.wall_s,
            energy_j=consumed.energy_j,
        )
