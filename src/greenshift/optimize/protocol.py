"""What an optimizer is: something that is asked for proposals and told what they gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

Status = Literal["ok", "failed"]
Configuration = dict[str, Any]


@dataclass(frozen=True)
class Fidelity:
    """The resource of one evaluation, such as epochs.

    Attributes:
        name: Name of the resource, such as `epochs` (`greenshift.fidelities`).
        minimum: Smallest useful value, above 0.
        maximum: Value of a full evaluation.
        eta: Ratio between successive rungs.
        partial: True if a result below the maximum is a solution too, as that of a network which was trained for
            fewer epochs, False if only full evaluations count.
    """

    name: str
    minimum: float
    maximum: float
    eta: int = 3
    partial: bool = True


@dataclass(frozen=True)
class Proposal:
    """One evaluation that an optimizer asks for.

    Attributes:
        trial: Number of the trial. A proposal that continues a trial repeats its number with a
            higher fidelity.
        configuration: Values of the search space's active hyperparameters.
        fidelity: Resource to spend, or None if the study has no fidelity.
    """

    trial: int
    configuration: Configuration
    fidelity: float | None = None


class Optimizer(Protocol):
    """Asked for proposals, told results. On resume the stored evaluations are told again.

    Two things are the caller's: evaluations that were pending when a study stopped are finished and told
    before the first ask, because a fresh instance does not know that they were proposed; and evaluations
    that ran at the same time are told in the order of their proposals where the same seed is to give the
    same search.
    """

    def ask(self, n: int = 1) -> Sequence[Proposal]:
        """Return up to `n` new proposals; an empty sequence means that nothing is left to try."""
        ...

    def tell(
        self,
        *,
        trial: int,
        fidelity: float | None,
        objectives: Mapping[str, float] | None,
        cost_s: float,
        status: Status = "ok",
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """Report one finished evaluation.

        Args:
            trial: The proposal's trial number.
            fidelity: The proposal's fidelity.
            objectives: Value of each objective, or None if the evaluation failed.
            cost_s: Seconds that the evaluation took.
            status: `ok` or `failed`.
            configuration: Needed for a trial that this instance did not propose (resume, warm start).
        """
        ...


@runtime_checkable
class Forecaster(Protocol):
    """What an optimizer may offer besides: how much it still expects to gain."""

    def expected_gain_per_s(self) -> float | None:
        """Return the hypervolume that the next proposals are expected to add per second of evaluations.

        In the unit of `greenshift.front.front_hypervolume` for the optimizer's objectives; None if it cannot
        say yet.
        """
        ...
