"""Before any search: how much energy a search could ever be worth, and the budget that follows."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenshift.accounts.break_even import saved_interval
from greenshift.accounts.stages import ESTIMATED_FACTOR, MEASURED_FACTOR
from greenshift.amounts import Amount, Fleet, make_fleet, parse_time
from greenshift.config import AUTO_BUDGET, StudyConfig
from greenshift.errors import InputError, StudyError
from greenshift.records import DataChoice
from greenshift.targets.uncertainty import product_factor

# A choice: more than this many full trainings is not asked for, however large the fleet.
AUTO_TRAININGS = 100

SAMPLES = 8
_LONGEST_RANGE = 64
_PROBE_IMAGES = 512
# Assumption: a training's energy follows from a short one of the float32 network within a factor of 1.5.
_PROBE_FACTOR = 1.5


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
class Training:
    """What one full training takes on this machine.

    Attributes:
        energy: The energy.
        source: How it was found, in words.
    """

    energy: Amount
    source: str


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
    """

    target: str
    inferences: float
    float32: Amount
    cheapest: Cheapest
    training: Training | None
    missing: str = ""

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
    def verdict(self) -> str:
        """`worth searching`, `not worth searching` if one training costs more than the bound, or `unknown`."""
        if self.bound_j == 0:
            return "not worth searching"
        if self.training is None:
            return "unknown"
        return "worth searching" if self.bound_j >= self.training.energy.energy_j else "not worth searching"

    @property
    def budget_j(self) -> float | None:
        """The budget that `auto` stands for in J, never above the bound; None if a search is not worth it.

        It is the lower end of the bound's interval, but at least one training and at most `AUTO_TRAININGS`.
        """
        if self.verdict != "worth searching" or self.training is None:
            return None
        one_j = self.training.energy.energy_j
        return min(max(self.interval[0], one_j), AUTO_TRAININGS * one_j, self.bound_j)

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
            "budget_j": self.budget_j,
            "verdict": self.verdict,
        }


def worth_of(config: StudyConfig, fleet: Fleet, lifetime_s: float, training_j: float | None = None) -> Worth:
    """Return how much a study's search could ever be worth on a fleet. Imports torch.

    Args:
        config: The study.
        fleet: Where the network will run.
        lifetime_s: How long, in s.
        training_j: Energy of one full training in J; metered on a short one if left out.

    Raises:
        InputError: If the study names something that does not exist or fit.
    """
    from greenshift.design import Design
    from greenshift.networks import profile_design
    from greenshift.targets import cost, load_target

    target = load_target(config.target)
    untouched = cost(profile_design(Design(config.model), DataChoice(config.data, config.data_dir)), target)
    training, missing = None, ""
    if training_j is not None:
        training = Training(Amount(training_j), "as given")
    else:
        try:
            training = metered_training(config)
        except InputError as error:  # the bound stands without the data, and the reason is shown
            missing = str(error)
    return Worth(
        target=target.name,
        inferences=fleet.inferences_per_s * lifetime_s,
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
    from greenshift.space import make_space
    from greenshift.targets import cost, load_target

    data, target = DataChoice(config.data, config.data_dir), load_target(config.target)
    space = make_space(config.space, depth=weighted_layers(config.model, data), fidelity=config.fidelity)

    costs: dict[Design, Amount] = {}

    def spent(values: Mapping[str, Any]) -> Amount:
        design = space.to_design(values, backbone=config.model, fidelity=None, epochs=1, base=Recipe())
        bare = dataclasses.replace(design, recipe=Recipe())  # a recipe costs nothing per inference
        if bare not in costs:
            found = cost(profile_design(bare, data), target)
            costs[bare] = Amount(found.energy_j, found.uncertainty_factor)
        return costs[bare]

    starts = [dict(space.configspace.get_default_configuration())]
    starts += [dict(sample) for sample in space.configspace.sample_configuration(SAMPLES)]
    steps = {name: _candidates(hyperparameter) for name, hyperparameter in space.configspace.items()}
    ends = (_descend(start, steps, spent) for start in starts)
    best = min(ends, key=lambda end: end.energy.energy_j)
    return Cheapest(best.energy, space.validate(best.configuration))


def _descend(
    start: Mapping[str, Any], steps: Mapping[str, Sequence[Any]], spent: Callable[[Mapping[str, Any]], Amount]
) -> Cheapest:
    """Move one hyperparameter at a time to its cheapest value until none helps."""
    best = Cheapest(spent(start), start)
    while True:
        before_j = best.energy.energy_j
        for name, values in steps.items():
            moved = ({**best.configuration, name: value} for value in values)
            found = min((Cheapest(spent(other), other) for other in moved), key=lambda c: c.energy.energy_j)
            if found.energy.energy_j < best.energy.energy_j:
                best = found
        if best.energy.energy_j >= before_j:
            return best


def metered_training(config: StudyConfig) -> Training:
    """Return what a full training of the float32 network takes here, from a short one. Imports torch.

    Two trainings of one epoch on few images are made; the second, when everything is warm, is metered, and
    its energy scaled by images and epochs.

    Args:
        config: The study.

    Raises:
        InputError: If the data cannot be loaded or no energy can be metered.
    """
    import torch

    from greenshift.design import Design, Recipe
    from greenshift.energy import meter
    from greenshift.networks import epochs_range, load_splits, train_design

    torch.set_num_threads(config.threads)
    data = DataChoice(config.data, config.data_dir, config.validation_share, config.train_limit, config.seed)
    images = len(load_splits(data)[1].train)
    probe = dataclasses.replace(data, train_limit=min(images, _PROBE_IMAGES))
    epochs = config.fidelity_max if config.fidelity == "epochs" and config.fidelity_max else config.epochs
    design = Design(config.model, recipe=Recipe(epochs=1))
    train_design(design, probe, epochs=1, seed=0)
    with meter(config.cpu_watts) as metered:
        train_design(design, probe, epochs=1, seed=0)
    reading = metered.reading
    if reading.energy_j is None:
        raise InputError("plan: no energy can be metered here; give that of one training")
    passes = images * (epochs or epochs_range(data)[1])
    meters = MEASURED_FACTOR if reading.provenance == "measured" else ESTIMATED_FACTOR
    amount = Amount(reading.energy_j * passes / (probe.train_limit or images), product_factor(meters, _PROBE_FACTOR))
    source = f"{reading.provenance} on {probe.train_limit} images and scaled to {passes}: {reading.source}"
    return Training(amount, source)


def resolve_budget(config: StudyConfig) -> tuple[StudyConfig, Worth | None]:
    """Return a study whose budget `auto` has become joules, and the bound it follows from.

    A study with another budget is returned as it is, with None.

    Args:
        config: The study; `auto` needs its `rate` and `lifetime`.

    Raises:
        InputError: If rate or lifetime is missing.
        StudyError: If the search is not worth it.
    """
    if config.budget != AUTO_BUDGET:
        return config, None
    fleet = make_fleet(config.fleet, config.rate)
    if fleet is None or config.lifetime is None:
        raise InputError(
            "budget auto: say how much the network will be used, such as --fleet 1000 --rate 1/s --lifetime 3y"
        )
    worth = worth_of(config, fleet, parse_time("lifetime", config.lifetime))
    if worth.budget_j is None:
        reason = worth.missing or f"all that a search could save is {worth.bound_j:.3g} J, less than one training takes"
        raise StudyError(f"{worth.verdict}: {reason}")
    return dataclasses.replace(config, budget=f"{math.floor(worth.budget_j * 1000) / 1000:f}J"), worth


def _candidates(hyperparameter: Any) -> Sequence[Any]:
    """The values that a hyperparameter's cheapest may be: every choice, every integer of a short range, or the ends."""
    choices = getattr(hyperparameter, "choices", None)
    if choices is not None:
        return tuple(map(str, choices))
    low, high = hyperparameter.lower, hyperparameter.upper
    return range(low, high + 1) if isinstance(low, int) and high - low <= _LONGEST_RANGE else (low, high)
