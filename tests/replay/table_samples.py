"""A small table made by hand: twelve configurations, four epochs, figures that are easy to follow."""

import itertools
from dataclasses import replace

from greenshift.design import Design, Recipe
from greenshift.energy import Reading
from greenshift.records import DataChoice
from greenshift.replay import Network, Recording, Table, Training
from greenshift.replay.table import price
from greenshift.space import make_space
from study_fakes import DEPTH, profile

GRID = {"shift_type": ("Q", "PS"), "weight_bits": (3, 4, 5), "lr": (0.003, 0.1)}
FIXED = {
    "batch_size": 64,
    "optimizer": "SGD",
    "momentum": 0.9,
    "act_integer_bits": 4,
    "act_fraction_bits": 4,
    "shift_depth": 2,
    "rounding": "deterministic",
    "weight_decay": 1e-4,
}
EPOCHS = 4
VALIDATION, TRAIN = 100, 400
STUDY = {
    "data": "fashion-mnist",
    "train_limit": TRAIN,
    "validation_share": 0.2,
    "model": "tiny_cnn",
    "augment": "none",
    "schedule": "constant",
    "threads": 1,
}
FAILING = {"shift_type": "PS", "weight_bits": 5, "lr": 0.1}  # in its third epoch


def configurations():
    return [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]


def sample_design(configuration):
    space = make_space("paper", depth=DEPTH, fidelity="epochs")
    return space.to_design({**FIXED, **configuration}, backbone="tiny_cnn", quantities={}, epochs=EPOCHS, base=Recipe())


def sample_training(number, network, fails):
    """Training `number` takes 1 s and 4 J per epoch, plus a hundredth of its number, and gets better."""
    trained = 2 if fails else EPOCHS
    metered = trained + fails
    return Training(
        network=network,
        val_wrong=tuple(80 - 10 * epoch - number for epoch in range(trained)),
        train_wrong=tuple(300 - 50 * epoch for epoch in range(trained)),
        train_loss=tuple(2.0 - 0.25 * epoch for epoch in range(trained)),
        cpu_s=(1 + number / 100,) * metered,
        energy_j=(4 + number / 25,) * metered,
        failure="diverged: loss is nan in epoch 3, step 1 of 7, at lr 0.1" if fails else None,
    )


def sample_network(design):
    layers = profile(design, DataChoice("digits"))
    costs = {target: price(layers, target) for target in ("cortex-m0", "asic-45nm")}
    return Network(tuple(design.to_json()["schemes"]), layers, costs)


def sample_table(**changes) -> Table:
    """Return the table; `changes` replace its attributes."""
    networks, schemes, trainings = [sample_network(Design("tiny_cnn"))], [()], []
    for number, configuration in enumerate(configurations()):
        design = sample_design(configuration)
        if design.schemes not in schemes:
            schemes.append(design.schemes)
            networks.append(sample_network(design))
        trainings.append(sample_training(number, schemes.index(design.schemes), configuration == FAILING))
    energy_j = sum(sum(training.energy_j) for training in trainings)
    seconds = sum(sum(training.cpu_s) for training in trainings)
    recording = Recording(
        name="by hand",
        command="none",
        date="2026-11-21",
        host={"cpu": "none"},
        consumption=Reading(
            9 * seconds, seconds, energy_j, "estimated", "a guess", ("cpu",), "guess", (energy_j / 2, energy_j * 2)
        ),
        study=STUDY,
        seed=0,
        images={"train": TRAIN, "validation": VALIDATION},
    )
    table = Table(
        source="sample",
        recording=recording,
        grid=GRID,
        fixed=FIXED,
        depth=DEPTH,
        epochs=EPOCHS,
        targets={"cortex-m0": "1", "asic-45nm": "1"},
        networks=tuple(networks),
        trainings=tuple(trainings),
    )
    return replace(table, **changes)
