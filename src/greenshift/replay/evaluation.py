"""Tasks of a study evaluated from a table, and a meter that counts what they consumed when they were recorded."""

import json
from pathlib import Path

from greenshift.energy.reading import Reading, in_sequence
from greenshift.objectives import OBJECTIVES
from greenshift.records import Evaluation, Task
from greenshift.replay.table import Table
from greenshift.targets import cost, load_target


class Replay:
    """Evaluates tasks from a table, and is the meter of the run that does so.

    A trial's checkpoint holds how many of its epochs are paid for, so that continuing it costs the
    difference, also in a study that was interrupted and goes on.
    """

    def __init__(self, table: Table) -> None:
        """Begin with nothing consumed."""
        self._table = table
        some = next(table.configurations())
        self._nothing = table.consumption(some, 1, since=1)
        self._consumed = self._nothing

    def evaluate(self, task: Task, cpu_watts: float | None) -> Evaluation:  # noqa: ARG002 - watts were recorded
        """Look a task up.

        Args:
            task: What a study wants to have trained.
            cpu_watts: Not used: the energy was recorded.

        Returns:
            The evaluation, with what it consumed when it was recorded.

        Raises:
            InputError: If the task is not in the table.
        """
        table, checkpoint = self._table, None if task.checkpoint is None else Path(task.checkpoint)
        paid = 0
        if checkpoint is not None and checkpoint.exists():
            paid = int(json.loads(checkpoint.read_text(encoding="utf-8"))["epochs"])
        reading = table.consumption(task.configuration, task.epochs, since=paid)
        self._consumed = in_sequence(self._consumed, reading)
        if checkpoint is not None:
            checkpoint.write_text(json.dumps({"epochs": max(paid, task.epochs)}), encoding="utf-8")
        profile = table.network(task.design.to_json()["schemes"]).profile
        modelled = cost(profile, load_target(task.target), task.max_size_bytes).to_json()
        spent = {key: value for key, value in modelled.items() if key != "layers"}
        curve = table.curve(task.configuration, task.epochs)
        if len(curve) < task.epochs:
            reason = table.training(task.configuration).failure
            return Evaluation.of(task, "failed", reading, reason=reason, cost=spent, curve=curve)
        values = {**spent, "error": curve[-1].val_error}
        return Evaluation.of(
            task,
            "ok",
            reading,
            objectives={name: values[name] for name in task.objectives},
            provenance={name: OBJECTIVES[name].provenance for name in task.objectives},
            cost=spent,
            curve=curve,
        )

    def start(self) -> None:
        """Begin an interval; as `greenshift.energy.Meter`."""
        self._consumed = self._nothing

    def stop(self) -> Reading:
        """End the interval and return what the evaluations in it consumed when they were recorded."""
        return self._consumed
