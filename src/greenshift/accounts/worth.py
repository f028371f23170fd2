"""Before any search: how much energy a search could ever be worth, and the budget that follows."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenshift.accounts.break_even import saved_interval
from greenshift.accounts.training import Training, metered_training
from greenshift.amounts import Amount, Fleet
from greenshift.config import StudyConfig
from greenshift.energy import Metered, Reading, session_meter
from greenshift.errors import InputError
from greenshift.records import DataChoice

# A choice: more than this many full trainings is not asked for, however large the fleet.
AUTO_TRAININGS = 100

SAMPLES = 8
_LONGEST_RANGE = 64


@dataclass(frozen=True)
class Cheapest:
    """The design of a space that costs the least energy per inference, whatever its accuracy.

    Attributes:
        energy: Modelled energy of one inference.
        configuration: Values of the space's hyperparameters.
    """

    energy: Amount
    configuration: Mapping[str, Any]


@dataclass(frozen=True)
class Worth:
    """An upper bound of what a search could save, whatever it finds.

    Attributes:
        target: Name of the device.
        inferences: Inferences of the fleet in its lifetime.
        float32: Modelled energy of one inference of the untouched network.
        cheapest: The cheapest design of the space.
        training: One full training here, or None if it is not known.
        missing: Why the training is not known, empty if it is.
        probe: What working all of this out consumed, or None if nothing was metered.
    """

    target: str
    inferences: float
    float32: Amount
    cheapest: Cheapest
    training: Training | None
    missing: str = ""
    probe: Reading | None = None

    @property
    def bound_j(self) -> float:
        """Inferences times what the cheapest design saves on each, in J."""
        return self.inferences * max(0.0, self.float32.energy_j - self.cheapest.energy.energy_j)

    @property
    def interval(self) -> tuple[float, float]:
        """5 % and 95 % point of the bound in J."""
        low, high = saved_interval(self.float32, self.cheapest.energy)
        return self.inferences * low, self.inferences * high

    @property
    def least_j(self) -> float | None:
        """What a search takes at least, in J: this probe and one training; None if the training is not known."""
        return None if self.training is None else self.training.energy.energy_j + (self.probe_j or 0.0)

    @property
    def probe_j(self) -> float | None:
        """What working this out consumed in J, 0 if nothing was metered, None if the meter could not say."""
        return 0.0 if self.probe is None else self.probe.energy_j

    @property
    def verdict(self) -> str:
        """`worth searching`, `not worth searching` if a search takes more than the bound at least, or `unknown`."""
        if self.bound_j == 0:
            return "not worth searching"
        if self.least_j is None:
            return "unknown"
        return "worth searching" if self.bound_j >= self.least_j else "not worth searching"

    @property
    def budget_j(self) -> float | None:
        """The budget that `auto` stands for in J, never above the bound; None if a search is not worth it.

        It is the lower end of the bound's interval, but at least one training and at most `AUTO_TRAININGS`,
        each with the probe, which is part of the search.
        """
        if self.verdict != "worth searching" or self.training is None or self.least_j is None:
            return None
        most_j = AUTO_TRAININGS * self.training.energy.energy_j + (self.probe_j or 0.0)
        return min(max(self.interval[0], self.least_j), most_j, self.bound_j)

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        training = self.training
        return {
            "target": self.target,
            "inferences": self.inferences,
            "float32_j": self.float32.energy_j,
            "cheapest_j": self.cheapest.energy.energy_j,
            "cheapest": dict(self.cheapest.configuration),
            "bound_j": self.bound_j,
            "interval": list(self.interval),
            "provenance": "modelled",
            "training_j": None if training is None else training.energy.energy_j,
            "training_interval": None if training is None else list(training.energy.interval),
            "training_source": self.missing if training is None else training.source,
            "probe_j": self.probe_j,
            "probe_source": None if self.probe is None else self.probe.source,
            "budget_j": self.budget_j,
            "verdict": self.verdict,
        }


def worth_of(config: StudyConfig, fleet: Fleet, lifetime_s: float, training: Training | None = None) -> Worth:
    """Return how much a study's search could ever be worth on a fleet. Imports torch.

    All of it is metered: looking for the cheapest design takes energy as two short trainings do.

    Args:
        config: The study.
        fleet: Where the network will run.
        lifetime_s: How long, in s.
        training: One full training, if it is known; metered on a short one if left out.

    Raises:
        InputError: If the study names something that does not exist or fit.
    """
    with Metered(session_meter(config.cpu_watts)) as probe:
        found = _unmetered(config, fleet.inferences_per_s * lifetime_s, training)
    return dataclasses.replace(found, probe=probe.reading)


def _unmetered(config: StudyConfig, inferences: float, training: Training | None) -> Worth:
    from greenshift.design import Design
    from greenshift.networks import profile_design
    from greenshift.targets import cost, load_target

    target = load_target(config.target)
    untouched = cost(profile_design(Design(config.model), DataChoice(config.data, config.data_dir)), target)
    missing = ""
    if training is None:
        try:
            training = metered_training(config)
        except InputError as error:  # the bound stands without the data, and the reason is shown
            missing = str(error)
    return Worth(
        target=target.name,
        inferences=inferences,
        float32=Amount(untouched.energy_j, untouched.uncertainty_factor),
        cheapest=cheapest_design(config),
        training=training,
        missing=missing,
    )


def cheapest_design(config: StudyConfig) -> Cheapest:
    """Return the cheapest design of a study's space by the cost model. Imports torch.

    From the default and from each of `SAMPLES` random configurations one hyperparameter at a time goes to
    whichever of its values costs the least, until none helps. Each comes from its own start, because the
    costs of kernels have steps: fewer bits may be dearer until they are few enough for another kernel.

    Args:
        config: The study; its seed is not used.
    """
    from greenshift.design import Design, Recipe
    from greenshift.networks import profile_design, weighted_layers
    from greenshift.scoping import study_scope
    from greenshift.space import make_space
    from greenshift.targets import cost, load_target

    data, target = DataChoice(config.data, config.data_dir), load_target(config.target)
    scope = study_scope(config, lambda design: profile_design(design, data), target)
    depth = weighted_layers(config.model, data)
    space = make_space(config.space, depth=depth, fidelity=config.fidelity, scope=scope)
    costs: dict[Design, Amount] = {}

    def spent(values: Mapping[str, Any]) -> Amount:
        design = space.to_design(values, backbone=config.model, quantities={}, epochs=1, base=Recipe())
        bare = dataclasses.replace(design, recipe=Recipe())  # a recipe costs nothing per inference
        if bare not in costs:
            found = cost(profile_design(bare, data), target)
            costs[bare] = Amount(found.energy_j, found.uncertainty_factor)
        return costs[bare]

    starts = [dict(space.configspace.get_default_configuration())]
    starts += [dict(sample) for sample in space.configspace.sample_configuration(SAMPLES)]
    steps = {name: _candidates(hyperparameter) for name, hyperparameter in space.configspace.items()}
    ends = (_descend(start, steps, spent, space.complete) for start in starts)
    best = min(ends, key=lambda end: end.energy.energy_j)
    return Cheapest(best.energy, space.validate(best.configuration))


def _descend(
    start: Mapping[str, Any],
    steps: Mapping[str, Sequence[Any]],
    spent: Callable[[Mapping[str, Any]], Amount],
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Cheapest:
    """Move one hyperparameter at a time to its cheapest value until none helps."""
    best = Cheapest(spent(start), start)
    while True:
        before_j = best.energy.energy_j
        for name, values in steps.items():
            moved = [complete({**best.configuration, name: value}) for value in values]
            found = min((Cheapest(spent(other), other) for other in moved), key=lambda c: c.energy.energy_j)
            if found.energy.energy_j < best.energy.energy_j:
                best = found
        if best.energy.energy_j >= before_j:
            return best


def _candidates(hyperparameter: Any) -> Sequence[Any]:
    """The values that a hyperparameter's cheapest may be: every choice, every integer of a short range, or the ends."""
    choices = getattr(hyperparameter, "choices", None)
    if choices is not None:
        return tuple(map(str, choices))
    steps = getattr(hyperparameter, "sequence", None)
    if steps is not None:
        return tuple(map(float, steps))
    low, high = hyperparameter.lower, hyperparameter.upper
    return range(low, high + 1) if isinstance(low, int) and high - low <= _LONGEST_RANGE else (low, high)
