"""The paper's method: ParEGO with Hyperband through SMAC3's ask and tell (Lindauer et al., JMLR 2022).

Hennig, Tornede and Lindauer search with SMAC3's `MultiFidelityFacade`: Hyperband over the fidelity, one
random forest on ParEGO's scalarisation of the objectives, expected improvement. Without a fidelity this
is `HyperparameterOptimizationFacade`, which shares everything but Hyperband. What is set here:

- `incumbent_selection="highest_budget"`. With several objectives and Hyperband the other settings end in
  an assertion of SMAC (its issue 1050).
- The initial design: random configurations, a quarter of the planned trials but at most 25 and at most ten
  per hyperparameter, and the space's default; the released code starts from 15 to 25, its default and a
  hand-set one. A warm start comes between the two, so it is proposed late. `max_trials` (200 if it is not
  given) is a plan that nothing else depends on: SMAC goes on proposing after it.
- Rungs are the maximum divided by powers of eta, as in SMAC, so the lowest one may lie above the minimum
  (2 to 52 with eta 3 starts at 5.8). If minimum and maximum are whole numbers, so are the proposed values.
- Objectives enter as they are: not on a log scale, as in the paper. SMAC scales each to 0..1 by the range
  seen. It takes a range below 1e-10 for a constant, which joules per inference can be, so each objective
  is multiplied by a power of two that brings its first value to about one.
- A failed evaluation is told as crashed, at the worst value seen in every objective.

Same seed, same proposals: SMAC breaks this between processes. Its local search collects its starting
points in a set of configurations and walks through it; the order of a set of strings depends on Python's
hash seed, which is new in every process (`LocalSearch._get_init_points_from_previous_configs`, 2.4.1).
The points are sorted here. What remains is floating point: another machine, NumPy or scikit-learn may
give another forest.
"""

import copy
import shutil
import tempfile
import warnings
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ConfigSpace import Configuration as Sample
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.runhistory import StatusType, TrialInfo, TrialValue

from greenshift.errors import InputError
from greenshift.optimize.fidelity import proposed_fidelity
from greenshift.optimize.problem import Key, Problem, configuration_key, objective_values, told_configuration
from greenshift.optimize.protocol import Proposal, Status
from greenshift.optimize.random import RandomOptimizer
from greenshift.optimize.smac_facade import CostScale, make_facade

_LOOKAHEAD = 32
_PATIENCE = 100

Slot = tuple[Key, float | None]


@dataclass(frozen=True)
class _Outcome:
    """What was told of one evaluation: the objectives in order, None if it failed, and its seconds."""

    values: tuple[float, ...] | None
    cost_s: float


class SmacOptimizer:
    """ParEGO with Hyperband behind the ask/tell protocol.

    Several proposals may be pending at once. A promoted configuration repeats its trial number with a
    higher fidelity. When SMAC has nothing more to propose (a finite space; a first rung needs more
    configurations than are left), what is left of the space follows at full fidelity in random order.

    Resume: SMAC's brackets ignore what they did not ask for, so the search is replayed. Before the next
    proposal SMAC is asked again, and every proposal that has been re-told is answered at once; this takes
    as long as the asks took the first time. If evaluations ran one at a time the replay is exact, in
    whatever order they are re-told. If several ran at once, SMAC chose some configurations before results
    that are now there and chooses others now; from the first such one on, the told configurations enter
    the brackets in the order of their trial numbers instead, so that no bracket loses its evaluations, but
    new proposals differ from those of an uninterrupted search. Proposals that were not re-told, at most
    32, are handed out first; what SMAC does not ask for at all is given to its surrogate as further data.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up SMAC on a copy of the space; its files go to a temporary folder."""
        self._problem = problem
        folder = tempfile.mkdtemp(prefix="greenshift-smac-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._space = copy.deepcopy(problem.space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # SMAC's use of ConfigSpace
            self._facade = make_facade(problem, self._space, Path(folder))
        self._costs = CostScale(len(problem.objectives))
        chosen = self._facade.intensifier.config_generator
        self._facade.intensifier._config_generator = self._configurations(chosen)  # type: ignore[assignment] # SMAC's slip
        self._crashed: list[TrialInfo] = []
        self._rest: RandomOptimizer | None = None
        self._keys: dict[int, Key] = {}
        self._trials: dict[Key, int] = {}
        self._last_trial = -1
        self._pending: dict[Slot, TrialInfo | None] = {}
        self._unclaimed: deque[TrialInfo] = deque()
        self._told: dict[Slot, _Outcome] = {}
        self._unmatched: dict[Slot, None] = {}
        self._drawn: set[Key] = set()
        self._undrawn: set[Key] = set()

    def ask(self, n: int = 1) -> list[Proposal]:
        """Return up to `n` new proposals; fewer if everything in a finite space has been proposed."""
        self._replay()
        proposals: list[Proposal] = []
        while len(proposals) < n:
            info = self._unclaimed.popleft() if self._unclaimed else self._ask_new()
            slot = self._next_of_rest() if info is None else self._slot(info)
            if slot is None:
                break
            self._pending[slot] = info
            proposals.append(Proposal(self._number(slot[0]), dict(slot[0]), slot[1]))
        return proposals

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
        """Report one finished evaluation; one that is told twice counts once.

        Raises:
            InputError: If the trial is unknown and `configuration` is missing or not in the space, if the
                trial is known with another configuration, or if an objective is missing.
        """
        outcome = _Outcome(objective_values(self._problem.objectives, objectives, status), cost_s)
        self._learn(trial, configuration)
        slot = (self._keys[trial], self._told_fidelity(fidelity))
        if slot in self._told:
            return
        self._told[slot] = outcome
        if slot not in self._pending:
            self._unmatched[slot] = None
            return
        info = self._pending.pop(slot)
        if info is not None:
            self._tell_smac(info)

    def _learn(self, trial: int, configuration: Mapping[str, Any] | None) -> None:
        """Take down the configuration of a trial that was proposed elsewhere."""
        if trial in self._keys and configuration is None:
            return
        key = configuration_key(told_configuration(self._problem, trial, configuration))
        if self._keys.setdefault(trial, key) != key:
            raise InputError(f"tell: trial {trial} is another configuration here; tell pending trials before asking")
        if self._trials.setdefault(key, trial) == trial and key not in self._drawn:
            self._undrawn.add(key)

    def _replay(self) -> None:
        """Bring SMAC to where the evaluations that were told unasked would have left it."""
        for info in [info for info in self._unclaimed if self._slot(info) in self._unmatched]:
            self._unclaimed.remove(info)
            self._tell_smac(info)
        while self._unmatched and len(self._unclaimed) < _LOOKAHEAD and (new := self._ask_new()) is not None:
            self._unclaimed.append(new)
        for key, fidelity in list(self._unmatched):
            self._tell_smac(TrialInfo(Sample(self._space, values=dict(key)), seed=0, budget=fidelity))

    def _configurations(self, chosen: Iterator[Sample]) -> Iterator[Sample]:
        """Yield what SMAC chooses while this is what was told, else what was told, then what SMAC chooses.

        Before it has data SMAC may choose a configuration again, which would take a place in the bracket.
        """
        diverged: list[Sample] = []
        repeats = 0
        while repeats < _PATIENCE:
            if diverged and self._undrawn:
                told = min(self._undrawn, key=self._trials.__getitem__)
                sample = Sample(self._space, values=dict(told))
                self._facade.intensifier.config_selector._processed_configs.append(sample)
            elif diverged:
                sample = diverged.pop()
            elif (following := next(chosen, None)) is None:
                return
            else:
                sample = following
            key = configuration_key(sample)
            if key in self._drawn:
                repeats += 1
            elif self._undrawn and key not in self._undrawn:
                diverged.append(sample)
            else:
                repeats = 0
                self._undrawn.discard(key)
                self._drawn.add(key)
                yield sample

    def _ask_new(self) -> TrialInfo | None:
        """Return SMAC's next proposal that has not been told yet, or None if it has no more."""
        while (info := self._ask_smac()) is not None:
            if self._slot(info) not in self._told:
                return info
            self._tell_smac(info)
        return None

    def _ask_smac(self) -> TrialInfo | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # means of nothing, when a space is used up
                info = self._facade.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException):
            return None
        self._number(self._slot(info)[0])
        return info

    def _tell_smac(self, info: TrialInfo) -> None:
        """Give SMAC what was told of one of its trials, and failures the price that this makes them worth."""
        self._unmatched.pop(self._slot(info), None)
        outcome = self._told[self._slot(info)]
        worst = self._costs.worst()
        if outcome.values is None:
            self._crashed.append(info)
            self._facade.tell(info, self._value(worst, outcome.cost_s, StatusType.CRASHED), save=False)
            return
        scaled = self._costs.scale(outcome.values)
        self._facade.tell(info, self._value(scaled, outcome.cost_s, StatusType.SUCCESS), save=False)
        if self._costs.worst() != worst:
            for crashed in self._crashed:
                cost_s = self._told[self._slot(crashed)].cost_s
                self._facade.tell(crashed, self._value(self._costs.worst(), cost_s, StatusType.CRASHED), save=False)

    @staticmethod
    def _value(costs: list[float], cost_s: float, status: StatusType) -> TrialValue:
        return TrialValue(cost=costs if len(costs) > 1 else costs[0], time=cost_s, status=status)

    def _next_of_rest(self) -> Slot | None:
        """Return the next configuration of a finite space that has not been evaluated at full fidelity."""
        if self._rest is None:
            self._rest = RandomOptimizer(self._problem)
        while proposals := self._rest.ask(1):
            slot = (configuration_key(proposals[0].configuration), self._told_fidelity(None))
            if slot not in self._told and slot not in self._pending:
                return slot
        return None

    def _number(self, key: Key) -> int:
        """Return the trial number of a configuration, the next free one in the order of proposals if it is new."""
        if key not in self._trials:
            trial = self._last_trial + 1
            while trial in self._keys:
                trial += 1
            self._trials[key] = trial
            self._keys[trial] = key
        self._last_trial = max(self._last_trial, self._trials[key])
        return self._trials[key]

    def _slot(self, info: TrialInfo) -> Slot:
        return configuration_key(info.config), self._told_fidelity(info.budget)

    def _told_fidelity(self, value: float | None) -> float | None:
        """Return a fidelity as proposals carry it: whole if the fidelity is, full if it is not given."""
        fidelity = self._problem.fidelity
        if fidelity is None:
            return None
        if value is None:
            return float(fidelity.maximum)
        return proposed_fidelity(fidelity, value)
