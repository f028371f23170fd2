"""One evaluation under way, and what is written down when it does not get that far or does not come back."""

import dataclasses
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from greenshift.energy import Reading
from greenshift.objectives import OBJECTIVES
from greenshift.records import Evaluation, Task
from greenshift.study.evaluator import STOPPED
from greenshift.targets import Cost


@dataclass
class Flight:
    """An evaluation in the window of the loop: under way until `evaluation` is there.

    Attributes:
        task: What is evaluated.
        future: Where its result will be.
        started_at: Unix time.
        resumed: True if the optimizer proposed it in an earlier run and has not been told of it.
        evaluation: What came of it, once that is recorded.
    """

    task: Task
    future: Future[Evaluation]
    started_at: float
    resumed: bool
    evaluation: Evaluation | None = None

    def result(self, stopping: bool) -> Evaluation:
        """Return what came of it, whatever that is.

        Args:
            stopping: True if the study stops its workers, so that one without a result was interrupted.
        """
        gone = not self.future.done() or self.future.cancelled()
        error = None if gone else self.future.exception()
        if not gone and error is None:
            evaluation = self.future.result()
            if stopping and evaluation.outcome == "failed":  # a library may turn the interruption into its own error
                return dataclasses.replace(evaluation, outcome="interrupted", reason=STOPPED)
            return evaluation
        source = "nobody was left to read its meter; counted in the reading of the run"
        reading = Reading(time.time() - self.started_at, None, None, "estimated", source, ())
        if gone or stopping:
            return Evaluation.of(self.task, "interrupted", reading, reason=STOPPED)
        died = isinstance(error, BrokenProcessPool)
        reason = "its worker process died (killed, or out of memory)" if died else f"{type(error).__name__}: {error}"
        return Evaluation.of(self.task, "failed", reading, reason=reason)


def refusal(task: Task, spent: Cost, limits: Mapping[str, float]) -> Evaluation | None:
    """Return the record of a task that is refused because its known cost breaks a limit, or None if it keeps all.

    Args:
        task: What was proposed.
        spent: Cost of its design at full fidelity, the one that counts.
        limits: Upper bound per objective, in its unit.
    """
    broken = [
        f"{name} {getattr(spent, name):.4g} {OBJECTIVES[name].unit} is over {limit:.4g} {OBJECTIVES[name].unit}"
        for name, limit in limits.items()
        if getattr(spent, name) > limit
    ]
    if not broken:
        return None
    nothing = Reading(0.0, 0.0, 0.0, "estimated", "refused before training", ())
    known = {name: float(getattr(spent, name)) for name in task.objectives if OBJECTIVES[name].known}
    return Evaluation.of(
        task,
        "infeasible",
        nothing,
        reason="; ".join(broken),
        objectives=known,
        provenance=dict.fromkeys(known, spent.provenance),
        cost={name: value for name, value in spent.to_json().items() if name != "layers"},
    )
