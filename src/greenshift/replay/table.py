"""A table of trainings as a value: the grid, what each of its points came to, and what that consumed."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.objectives import OBJECTIVES
from greenshift.profile import NetworkProfile
from greenshift.records import EpochMetrics
from greenshift.targets import cost, load_target

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

KNOWN = tuple(name for name, objective in OBJECTIVES.items() if objective.known)


@dataclass(frozen=True)
class Recording:
    """How the trainings of a table were recorded.

    Attributes:
        name: Name of the table.
        command: The command that made it.
        date: Day on which the last training ended, as YYYY-MM-DD.
        host: Processor and versions, by name.
        consumption: Reading of all trainings together; its method and source hold for each of them.
        study: The fields of `StudyConfig` that the trainings fix.
        seed: Seed of split, weights and batches.
        images: Number of images, by split.
    """

    name: str
    command: str
    date: str
    host: Mapping[str, Any]
    consumption: Reading
    study: Mapping[str, Any]
    seed: int
    images: Mapping[str, int]


@dataclass(frozen=True)
class Network:
    """What a network costs: the same for every training of it.

    Attributes:
        schemes: The schemes of its design, in the design's JSON form.
        profile: Its layers.
        costs: Known objectives of one inference by recorded target.
    """

    schemes: tuple[Mapping[str, Any], ...]
    profile: NetworkProfile
    costs: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Training:
    """One training, epoch by epoch.

    Attributes:
        network: Place of its network in the table.
        val_wrong: Validation images that it got wrong after each epoch.
        train_wrong: Training images that it got wrong in each epoch.
        train_loss: Mean loss of each epoch.
        cpu_s: CPU time of each epoch, the building of the network in the first; one more than there are
            errors if the training failed in an epoch.
        energy_j: Energy of each epoch, likewise.
        failure: Why it failed, or None.
    """

    network: int
    val_wrong: tuple[int, ...]
    train_wrong: tuple[int, ...]
    train_loss: tuple[float, ...]
    cpu_s: tuple[float, ...]
    energy_j: tuple[float, ...]
    failure: str | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """Every configuration of a grid, trained once for the same number of epochs.

    Attributes:
        source: Name of the file and the start of its SHA-256, for messages.
        recording: How it was recorded.
        grid: Values per hyperparameter. Trainings are in the order of their product, the last moving fastest.
        fixed: Hyperparameters that all trainings share.
        depth: Number of layers of the network that can be shifted.
        epochs: Epochs of each training.
        targets: Version of each recorded target, by its name.
        networks: The networks; the first is the untouched float32 one.
        trainings: The trainings.
    """

    source: str
    recording: Recording
    grid: Mapping[str, tuple[Any, ...]]
    fixed: Mapping[str, Any]
    depth: int
    epochs: int
    targets: Mapping[str, str]
    networks: tuple[Network, ...] = field(repr=False)
    trainings: tuple[Training, ...] = field(repr=False)

    # ---- what a search over the table needs

    @property
    def space(self) -> "ConfigurationSpace":
        """A new ConfigSpace of the grid, each legal configuration of which is in the table.

        Whole numbers without gaps are integers, other numbers ordinal, the rest categorical.
        """
        from ConfigSpace import Categorical, ConfigurationSpace, Integer, OrdinalHyperparameter

        space = ConfigurationSpace(name=self.recording.name)
        for name, values in self.grid.items():
            if all(isinstance(value, str) for value in values):
                space.add(Categorical(name, list(values)))
            elif values == tuple(range(int(values[0]), int(values[0]) + len(values))):
                space.add(Integer(name, (values[0], values[-1])))
            else:
                space.add(OrdinalHyperparameter(name, list(values)))
        return space

    def configurations(self) -> Iterator[dict[str, Any]]:
        """All configurations, in the order of the trainings."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def evaluate(self, configuration: Mapping[str, Any], epochs: int, target: str) -> dict[str, float] | None:
        """Return every objective of a configuration after some epochs, None if its training had failed by then.

        Args:
            configuration: Values of the grid's hyperparameters.
            epochs: Epochs in total, 1 to `self.epochs`.
            target: As for `known`.

        Raises:
            InputError: If the configuration or the epochs are not in the table, or there is no such target.
        """
        training = self.training(configuration)
        self._check_epochs(epochs)
        if epochs > len(training.val_wrong):
            return None
        error = training.val_wrong[epochs - 1] / self.recording.images["validation"]
        return {"error": error, **self.known(configuration, target)}

    def known(self, configuration: Mapping[str, Any], target: str) -> dict[str, float]:
        """Return the objectives that no training is needed for.

        Args:
            configuration: Values of the grid's hyperparameters.
            target: A recorded target, whose figures are the recorded ones, or any other of the catalog, by
                which the recorded layers are priced now.

        Raises:
            InputError: If the configuration is not in the table, or there is no such target.
        """
        network = self.networks[self.training(configuration).network]
        if target in network.costs:
            return dict(network.costs[target])
        return price(network.profile, target)

    def cost_s(self, configuration: Mapping[str, Any], epochs: int, since: int = 0) -> float:
        """Return the seconds of CPU time from epoch `since` to epoch `epochs`; as `consumption`."""
        return self.consumption(configuration, epochs, since).wall_s

    def consumption(self, configuration: Mapping[str, Any], epochs: int, since: int = 0) -> Reading:
        """Return what a training took from one epoch to another, as it was recorded.

        Its elapsed time is the recorded CPU time: trainings had one thread, on a machine that was shared, so
        that the time on the clock says more about its other users than about the training.

        Args:
            configuration: Values of the grid's hyperparameters.
            epochs: Epochs in total; a training that failed before consumed nothing after that.
            since: Epochs that were trained and paid for before.

        Raises:
            InputError: If the configuration or the epochs are not in the table.
        """
        self._check_epochs(epochs)
        training, recorded = self.training(configuration), self.recording.consumption
        cpu_s = sum(training.cpu_s[since:epochs])
        energy_j = sum(training.energy_j[since:epochs])
        assert recorded.energy_j is not None
        interval = recorded.interval_j
        shares = None if interval is None else (interval[0] / recorded.energy_j, interval[1] / recorded.energy_j)
        return Reading(
            wall_s=cpu_s,
            cpu_s=cpu_s,
            energy_j=energy_j,
            provenance=recorded.provenance,
            source=f"replayed from {self.source}, recorded on {self.recording.date} as {recorded.source}; "
            "seconds are of CPU time",
            coverage=recorded.coverage,
            method=recorded.method,
            interval_j=None if shares is None else (energy_j * shares[0], energy_j * shares[1]),
        )

    # ---- what a study needs besides

    def curve(self, configuration: Mapping[str, Any], epochs: int) -> tuple[EpochMetrics, ...]:
        """Return the learning curve up to some epochs, or up to the failure; times are CPU times."""
        training, images = self.training(configuration), self.recording.images
        lr = float({**self.fixed, **configuration}["lr"])
        columns = zip(training.train_loss, training.train_wrong, training.val_wrong, training.cpu_s, strict=False)
        return tuple(
            EpochMetrics(epoch, loss, train_wrong / images["train"], val_wrong / images["validation"], lr, cpu_s)
            for epoch, (loss, train_wrong, val_wrong, cpu_s) in enumerate(itertools.islice(columns, epochs), start=1)
        )

    def training(self, configuration: Mapping[str, Any]) -> Training:
        """Return the training of a configuration.

        Raises:
            InputError: If it is not in the table.
        """
        if configuration.keys() != self.grid.keys():
            odd = sorted(configuration.keys() ^ self.grid.keys())[0]
            problem = "is missing" if odd in self.grid else "is not searched"
            raise InputError(f"{self.source}: configuration: '{odd}' {problem}; the table has {', '.join(self.grid)}")
        place = 0
        for name, places in self._places.items():
            value = configuration[name]
            if value not in places:
                allowed = ", ".join(map(str, places))
                raise InputError(f"{self.source}: configuration: {name} is {value!r}; the table has {allowed}")
            place = place * len(places) + places[value]
        return self.trainings[place]

    def network(self, schemes: Sequence[Mapping[str, Any]]) -> Network:
        """Return the network with some schemes, in a design's JSON form; none for the untouched float32 one.

        Raises:
            InputError: If it is not in the table.
        """
        place = self._networks.get(json.dumps(list(schemes), sort_keys=True))
        if place is None:
            raise InputError(f"{self.source}: it has no network with the schemes {json.dumps(list(schemes))[:200]}")
        return self.networks[place]

    @cached_property
    def _places(self) -> dict[str, dict[Any, int]]:
        return {name: {value: place for place, value in enumerate(values)} for name, values in self.grid.items()}

    @cached_property
    def _networks(self) -> dict[str, int]:
        texts = (json.dumps(list(network.schemes), sort_keys=True) for network in self.networks)
        return {text: place for place, text in enumerate(texts)}

    def _check_epochs(self, epochs: int) -> None:
        if not 1 <= epochs <= self.epochs:
            raise InputError(f"{self.source}: {epochs} epochs; the table has 1 to {self.epochs}")


def price(profile: NetworkProfile, target: str) -> dict[str, float]:
    """Return the known objectives of one inference of a network on a target of the catalog, as it is now."""
    spent = cost(profile, load_target(target))
    return {name: float(getattr(spent, name)) for name in KNOWN}
