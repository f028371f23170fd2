"""Records of what was done: the task that is evaluated and the evaluation that comes back."""

import dataclasses
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from greenshift.config import StudyConfig
from greenshift.design import Design
from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.fidelities import resumable
from greenshift.objectives import Provenance

Role = Literal["trial", "baseline"]
Outcome = Literal["ok", "failed", "infeasible", "interrupted"]
WeightRole = Literal["teacher", "init"]


@dataclass(frozen=True)
class DataChoice:
    """Which images a study uses and how they are split.

    Attributes:
        name: Dataset name or the path of an image folder.
        folder: Folder that holds the official dataset folders, or None for the usual places.
        validation_share: Share of the training images that is kept for validation.
        train_limit: Use at most this many training images, or None for all.
        seed: Seed of the split.
        train_fraction: Share of those training images to use; validation stays whole.
    """

    name: str
    folder: str | None = None
    validation_share: float = 0.2
    train_limit: int | None = None
    seed: int = 0
    train_fraction: float = 1.0


@dataclass(frozen=True)
class WeightFile:
    """A file of trained weights that a study uses, and what it held when the study began.

    Attributes:
        path: An artifact of `greenshift select`, or weights alone.
        backbone: Model of the weights, or None for an artifact, which knows its own.
        sha256: Hex digest of the file.
    """

    path: str
    backbone: str | None
    sha256: str

    @staticmethod
    def of(config: StudyConfig, role: WeightRole) -> "WeightFile | None":
        """Return the file that a study uses in a role as it is on disk now, None if it has none.

        Args:
            config: The study.
            role: Its `teacher`, of a model of its own, or `init`, what its own model starts from.

        Raises:
            InputError: If the file cannot be read.
        """
        path, backbone = (config.teacher, config.teacher_model) if role == "teacher" else (config.init, config.model)
        return None if path is None else WeightFile(path, backbone, file_sha256(path, role))

    @staticmethod
    def recorded(facts: Mapping[str, Any], role: WeightRole) -> "WeightFile | None":
        """Return the file that a study began with in a role, None if it had none.

        Args:
            facts: `Store.facts()` of its store.
            role: `teacher` or `init`.
        """
        known = facts.get(role)
        return None if known is None else WeightFile(**known)

    def check_unchanged(self, role: WeightRole) -> None:
        """Check that the file is what it was when the study began.

        Raises:
            InputError: If it is not, or cannot be read.
        """
        if file_sha256(self.path, role) != self.sha256:
            raise InputError(
                f"{role}: {self.path} has changed since the study began; restore it, or begin a study in another store"
            )


def file_sha256(path: str, role: WeightRole) -> str:
    """Return the SHA-256 of a file of weights in hex.

    Raises:
        InputError: If the file cannot be read; begins with the role.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{role}: {path} cannot be read ({error.strerror}); name a file of weights") from error


@dataclass(frozen=True)
class Task:
    """One training at one fidelity, complete: a worker needs nothing else.

    Attributes:
        trial: Number of the trial, negative for baselines.
        label: Name of the baseline, or None for a trial of the search.
        configuration: Values of the search space's hyperparameters.
        design: What they stand for.
        fidelity: Name and value of the resource, empty if the study has none.
        epochs: Epochs to train in total; fewer than `design.recipe.epochs` is a partial training.
        data: The images.
        objectives: Names of the objectives to fill in.
        target: Name or file of the target.
        seed: Seed of weights and batches.
        threads: Threads for tensor arithmetic.
        checkpoint: File to resume from if it exists, and to write after every epoch, or None.
        carbon_intensity_g_per_kwh: Grid intensity for `emissions_g`.
        max_size_bytes: Storage that the target's kernels may fill, or None for all that it has.
        teacher: What the network learns from if its recipe distils, or None.
        init: Float weights that the training starts from, or None for random ones.
    """

    trial: int
    configuration: dict[str, Any]
    design: Design
    epochs: int
    data: DataChoice
    objectives: tuple[str, ...]
    target: str
    seed: int
    label: str | None = None
    fidelity: dict[str, float] = field(default_factory=dict)
    threads: int = 1
    checkpoint: str | None = None
    carbon_intensity_g_per_kwh: float = 381.0
    max_size_bytes: float | None = None
    teacher: WeightFile | None = None
    init: WeightFile | None = None

    @property
    def can_go_on(self) -> bool:
        """True if a later evaluation may resume this one: a trial of which nothing but the epochs were cut.

        More or larger images mean a new training: one that saw few images first and more later is no other's start.
        """
        cut = self.label is None and self.epochs < self.design.recipe.epochs
        return cut and resumable(self.fidelity)


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch of a learning curve. Errors are shares; `val_error` is None if it was not measured."""

    epoch: int
    train_loss: float
    train_error: float
    val_error: float | None
    lr: float
    wall_s: float


@dataclass(frozen=True)
class Evaluation:
    """What one training at one fidelity gave.

    Attributes:
        trial: Number of the trial, negative for baselines.
        label: Name of the baseline, or None for a trial of the search.
        configuration: Values of the search space's hyperparameters.
        design: The design that was trained.
        fidelity: Name and value of the resource, empty if the study has none.
        outcome: `ok`, `failed` (diverged, crashed), `infeasible` (refused before training) or
            `interrupted`.
        objectives: Value per objective; empty unless `ok`, but for known ones of an infeasible trial.
        provenance: Provenance per objective.
        cost: `energy_j`, `latency_s`, `size_bytes`, `peak_memory_bytes` on the target, and `fits`.
        curve: Learning curve.
        reading: What the evaluation itself consumed.
        reason: Why it failed or is infeasible, in one line.
        kernel: What ran the network where an objective was measured on this machine, else None.
        finished_at: Unix time.
    """

    trial: int
    configuration: dict[str, Any]
    design: Design
    fidelity: dict[str, float]
    outcome: Outcome
    objectives: dict[str, float]
    provenance: dict[str, Provenance]
    reading: Reading
    label: str | None = None
    cost: dict[str, Any] | None = None
    curve: tuple[EpochMetrics, ...] = ()
    reason: str | None = None
    kernel: str | None = None
    finished_at: float = 0.0

    @staticmethod
    def of(task: Task, outcome: Outcome, reading: Reading, **details: Any) -> "Evaluation":
        """Return the evaluation of a task that ended now.

        Args:
            task: What was asked for.
            outcome: How it ended.
            reading: What it consumed.
            **details: More attributes; an evaluation without them gave no objectives.
        """
        asked = {name: getattr(task, name) for name in ("trial", "label", "configuration", "design", "fidelity")}
        results = {"objectives": {}, "provenance": {}, "finished_at": time.time(), **details}
        return Evaluation(outcome=outcome, reading=reading, **asked, **results)

    @property
    def role(self) -> Role:
        """`baseline` for a labelled evaluation, `trial` for one of the search."""
        return "trial" if self.label is None else "baseline"

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as a JSON object; `from_json` is the inverse."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["design"] = self.design.to_json()
        data["reading"] = self.reading.to_json()
        data["curve"] = [dataclasses.asdict(epoch) for epoch in self.curve]
        return data

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Evaluation":
        """Inverse of `to_json`."""
        fields = dict(data)
        fields["design"] = Design.from_json(fields["design"])
        fields["reading"] = Reading.from_json(fields["reading"])
        fields["curve"] = tuple(EpochMetrics(**epoch) for epoch in fields["curve"])
        return Evaluation(**fields)
