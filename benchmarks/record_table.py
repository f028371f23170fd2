"""Train every configuration of a grid and keep what each epoch gave and took: a table for `search --replay`.

A grid is a part of the paper's space with few values per hyperparameter, so that a table of all of them answers
every proposal exactly. Every training is written down the moment it ends, in JSON lines, and a recording that was
cut goes on where it was; when all are there they are packed into one file of `benchmarks/tables/`:

    OMP_NUM_THREADS=1 python benchmarks/record_table.py digits
    OMP_NUM_THREADS=1 python benchmarks/record_table.py fashion-mnist
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import platform
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import greenshift
from greenshift.design import Design, Recipe
from greenshift.energy import Reading, best_meter, machine
from greenshift.networks import load_splits, profile_design, train_design, weighted_layers
from greenshift.records import DataChoice, EpochMetrics
from greenshift.replay import Network, Recording, Table, Training, load_table, save_table
from greenshift.replay.table import price
from greenshift.space import make_space
from greenshift.targets import load_target
from greenshift.train import DivergedError

OUTPUT = Path(__file__).parent / "tables"
MODEL = "tiny_cnn"
TARGETS = ("cortex-m0", "asic-45nm")
# Shift type, bits and depth move energy and error, optimizer and learning rate the error alone.
GRID: dict[str, list[Any]] = {
    "shift_type": ["Q", "PS"],
    "weight_bits": [2, 3, 4],
    "shift_depth": [1, 3, 5],
    "optimizer": ["SGD", "Adam"],
    "lr": [0.003, 0.02, 0.1],
}
GRIDS = {
    "digits": {**GRID, "shift_depth": [1, 2, 3, 4, 5], "act_fraction_bits": [2, 4]},
    "fashion-mnist": GRID,
}
COMMON = {
    "batch_size": 64,
    "momentum": 0.9,
    "act_integer_bits": 4,
    "rounding": "deterministic",
    "weight_decay": 1e-4,
}
FIXED: dict[str, dict[str, Any]] = {"digits": COMMON, "fashion-mnist": {"act_fraction_bits": 4, **COMMON}}
EPOCHS = {"digits": 9, "fashion-mnist": 9}
TRAIN_LIMIT = {"digits": None, "fashion-mnist": 1000}


def configurations(grid: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """All configurations of a grid, the last hyperparameter moving fastest."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def design(name: str, configuration: Mapping[str, Any]) -> Design:
    """The design of a configuration, as a study with epochs as its fidelity makes it."""
    data = DataChoice(name)
    space = make_space("paper", depth=weighted_layers(MODEL, data), fidelity="epochs")
    values = {**FIXED[name], **configuration}
    return space.to_design(values, backbone=MODEL, quantities={}, epochs=EPOCHS[name], base=Recipe())


def heading(name: str, seed: int) -> dict[str, Any]:
    """What all trainings of a recording have in common."""
    data = DataChoice(name, train_limit=TRAIN_LIMIT[name], seed=seed)
    splits = load_splits(data)[1]
    host = machine()
    return {
        "study": {
            "data": name,
            "train_limit": data.train_limit,
            "validation_share": data.validation_share,
            "model": MODEL,
            "augment": "none",
            "schedule": "constant",
            "threads": 1,
        },
        "training_seed": seed,
        "images": {"train": len(splits.train), "validation": len(splits.validation)},
        "epochs": EPOCHS[name],
        "depth": weighted_layers(MODEL, data),
        "grid": GRIDS[name],
        "fixed": FIXED[name],
        "host": {
            "cpu": host.cpu,
            "cores": host.cores,
            "isa": list(host.isa),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "greenshift": greenshift.__version__,
        },
    }


def record(name: str, seed: int, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Train one configuration for all epochs, with the consumption of its start and of every epoch."""
    data = DataChoice(name, train_limit=TRAIN_LIMIT[name], seed=seed)
    meter = best_meter(children=False, contiguous=True)
    laps: list[Reading] = []
    curve: list[EpochMetrics] = []

    def lap() -> None:
        laps.append(meter.stop())
        meter.start()

    def on_epoch(metrics: EpochMetrics) -> None:
        lap()
        curve.append(metrics)

    failure = None
    meter.start()
    try:
        train_design(design(name, configuration), data, epochs=EPOCHS[name], seed=seed, on_epoch=on_epoch)
    except (DivergedError, RuntimeError) as error:
        failure = " ".join(str(error).split())[:300]
        lap()  # what the epoch that failed had consumed
    return {
        "configuration": dict(configuration),
        "curve": [[m.train_loss, m.train_error, m.val_error, m.wall_s] for m in curve],
        "laps": [[r.wall_s, r.cpu_s, r.energy_j, *(r.interval_j or (None, None))] for r in laps],
        "reading": {
            "provenance": laps[0].provenance,
            "source": laps[0].source,
            "coverage": list(laps[0].coverage),
            "method": laps[0].method,
        },
        "failure": failure,
        "ended_at": time.time(),
    }


def record_all(name: str, seed: int, path: Path) -> None:
    """Train what is not in the file yet and append it, in an order that spreads the machine's moods over the grid."""
    torch.set_num_threads(1)
    wanted = heading(name, seed)
    if path.exists():
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a recording that was killed may have left a part of a line
        path.write_text(whole, encoding="utf-8")
        first, *rest = whole.splitlines()
        if json.loads(first) != wanted:
            raise SystemExit(f"{path} is another recording; move it away")
        done = [json.loads(line)["configuration"] for line in rest]
    else:
        path.write_text(json.dumps(wanted) + "\n", encoding="utf-8")
        done = []
    due = [configuration for configuration in configurations(GRIDS[name]) if configuration not in done]
    random.Random(seed).shuffle(due)
    if due:
        record(name, seed, due[0])  # the first training of a process also pays for loading libraries
    with path.open("a", encoding="utf-8") as file:
        for number, configuration in enumerate(due, start=len(done) + 1):
            file.write(json.dumps(record(name, seed, configuration)) + "\n")
            file.flush()
            now = datetime.datetime.now().strftime("%H:%M:%S")
            print(f"{now} {number} {configuration}", flush=True)


def pack(path: Path, command: str) -> Table:
    """Return the table of a complete recording."""
    first, *rest = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    name, images = first["study"]["data"], first["images"]
    rows = {json.dumps(row["configuration"], sort_keys=True): row for row in rest}
    schemes: dict[str, Design] = {"[]": Design(MODEL)}
    trainings = []
    for configuration in configurations(first["grid"]):
        row, made = rows[json.dumps(configuration, sort_keys=True)], design(name, configuration)
        key = json.dumps(made.to_json()["schemes"])
        schemes.setdefault(key, made)
        trainings.append(_training(row, list(schemes).index(key), images))
    recording = Recording(
        name=f"{name} {MODEL}",
        command=command,
        date=datetime.datetime.fromtimestamp(max(row["ended_at"] for row in rest), datetime.UTC).date().isoformat(),
        host=first["host"],
        consumption=_consumption(rest),
        study=first["study"],
        seed=first["training_seed"],
        images=images,
    )
    return Table(
        source=path.name,
        recording=recording,
        grid={name: tuple(values) for name, values in first["grid"].items()},
        fixed=first["fixed"],
        depth=first["depth"],
        epochs=first["epochs"],
        targets={target: load_target(target).version for target in TARGETS},
        networks=tuple(_network(made, DataChoice(name)) for made in schemes.values()),
        trainings=tuple(trainings),
    )


def reprice(table: Table) -> Table:
    """Return a table with its networks priced by the catalog as it is now; nothing is trained again."""
    networks = tuple(
        dataclasses.replace(network, costs={target: price(network.profile, target) for target in TARGETS})
        for network in table.networks
    )
    versions = {target: load_target(target).version for target in TARGETS}
    return dataclasses.replace(table, targets=versions, networks=networks)


def _network(made: Design, data: DataChoice) -> Network:
    profile = profile_design(made, data)
    schemes = tuple(made.to_json()["schemes"])
    return Network(schemes, profile, {target: price(profile, target) for target in TARGETS})


def _training(row: Mapping[str, Any], network: int, images: Mapping[str, int]) -> Training:
    """A line of a recording; errors become counts, which is exact, and the rest loses digits that mean nothing."""
    val_wrong = [round(epoch[2] * images["validation"]) for epoch in row["curve"]]
    train_wrong = [round(epoch[1] * images["train"]) for epoch in row["curve"]]
    for epoch, val, train in zip(row["curve"], val_wrong, train_wrong, strict=True):
        if (val / images["validation"], train / images["train"]) != (epoch[2], epoch[1]):
            raise SystemExit(f"errors of {row['configuration']} are no counts of images")
    return Training(
        network=network,
        val_wrong=tuple(val_wrong),
        train_wrong=tuple(train_wrong),
        train_loss=tuple(float(f"{epoch[0]:.6g}") for epoch in row["curve"]),
        cpu_s=tuple(round(lap[1], 6) for lap in row["laps"]),
        energy_j=tuple(round(lap[2], 6) for lap in row["laps"]),
        failure=row["failure"],
    )


def _consumption(rows: Sequence[Mapping[str, Any]]) -> Reading:
    """All trainings together, if one method metered them all."""
    kinds = [row["reading"] for row in rows]
    if any(kind != kinds[0] for kind in kinds):
        raise SystemExit("the meter changed during the recording; record again")
    wall_s, cpu_s, energy_j, low_j, high_j = (sum(column) for column in zip(*_laps(rows), strict=True))
    return Reading.from_json(
        {**kinds[0], "wall_s": wall_s, "cpu_s": cpu_s, "energy_j": energy_j, "interval_j": (low_j, high_j)}
    )


def _laps(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[float]]:
    for row in rows:
        yield from row["laps"]


def main() -> None:
    """Read the command line, record what is missing and pack it, or price a table again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=GRIDS, nargs="?")
    parser.add_argument("--seed", type=int, default=0, help="seed of split, weights and batches [0]")
    parser.add_argument("--lines", type=Path, help="where to keep the JSON lines [runs/tables/DATA-SEED.jsonl]")
    parser.add_argument("--reprice", type=Path, metavar="TABLE", help="price this table by the catalog as it is now")
    arguments = parser.parse_args()
    if arguments.reprice is not None:
        save_table(arguments.reprice, reprice(load_table(arguments.reprice)))
        return
    if arguments.data is None:
        parser.error("name the data, or a table with --reprice")
    data, seed = arguments.data, arguments.seed
    lines = arguments.lines or Path("runs/tables") / f"{data}-{seed}.jsonl"
    lines.parent.mkdir(parents=True, exist_ok=True)
    record_all(data, seed, lines)
    suffix = f" --seed {seed}" if seed else ""
    path = OUTPUT / f"{data}-{MODEL}{suffix.replace(' --', '-').replace(' ', '')}.json.gz"
    save_table(path, pack(lines, f"OMP_NUM_THREADS=1 python benchmarks/record_table.py {data}{suffix}"))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
