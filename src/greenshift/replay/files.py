"""Tables as files: one gzipped JSON document, read with one line of complaint per defect."""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.replay.table import KNOWN, Network, Recording, Table, Training

FORMAT = "greenshift table"
VERSION = 1


def load_table(path: Path) -> Table:
    """Read a table.

    Raises:
        InputError: If the file cannot be read, is damaged or truncated, is no table, is of another version, or
            does not hold what it announces.
    """
    content, document = _document(path)
    source = f"{path.name} ({hashlib.sha256(content).hexdigest()[:12]})"
    try:
        table = _table(document, source)
        problem = _defect(table)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"table {path}: its content is damaged ({error!r:.100}); fetch it or record it again"
        ) from error
    if problem is not None:
        raise InputError(f"table {path}: {problem}; fetch it or record it again")
    return table


def save_table(path: Path, table: Table) -> None:
    """Write a table; the same table gives the same bytes.

    Raises:
        InputError: If it is not complete, or the file cannot be written.
    """
    problem = _defect(table)
    if problem is not None:
        raise InputError(f"table {path}: not written: {problem}")
    text = json.dumps(_to_json(table), separators=(",", ":"), allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    except OSError as error:
        raise InputError(f"table {path}: cannot be written ({error.strerror})") from error


def _document(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"table {path}: cannot be read ({error.strerror}); name a file of greenshift tables"
        ) from error
    try:
        document = json.loads(gzip.decompress(content))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"table {path}: damaged, truncated or no gzip file ({error}); fetch it again") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"table {path}: no JSON document inside ({error!s:.100}); fetch it again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"table {path}: not a table of recorded trainings; benchmarks/record_table.py makes one")
    if document.get("version") != VERSION:
        raise InputError(
            f"table {path}: of version {document.get('version')}; this version of greenshift reads {VERSION}"
        )
    return content, document


def _to_json(table: Table) -> dict[str, Any]:
    recording = {**asdict(table.recording), "consumption": table.recording.consumption.to_json()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "recording": recording,
        "grid": {name: list(values) for name, values in table.grid.items()},
        "fixed": dict(table.fixed),
        "depth": table.depth,
        "epochs": table.epochs,
        "targets": dict(table.targets),
        "networks": [
            {
                "schemes": list(network.schemes),
                "input_shape": network.profile.input_shape,
                "layers": [asdict(layer) for layer in network.profile.layers],
                "costs": network.costs,
            }
            for network in table.networks
        ],
        "trainings": [asdict(training) for training in table.trainings],
    }


def _table(document: Mapping[str, Any], source: str) -> Table:
    recording = dict(document["recording"])
    recording["consumption"] = Reading.from_json(recording["consumption"])
    return Table(
        source=source,
        recording=Recording(**recording),
        grid={name: tuple(values) for name, values in document["grid"].items()},
        fixed=dict(document["fixed"]),
        depth=int(document["depth"]),
        epochs=int(document["epochs"]),
        targets=dict(document["targets"]),
        networks=tuple(map(_network, document["networks"])),
        trainings=tuple(map(_training, document["trainings"])),
    )


def _network(data: Mapping[str, Any]) -> Network:
    layers = tuple(
        LayerProfile(
            **{**layer, "input_shape": tuple(layer["input_shape"]), "output_shape": tuple(layer["output_shape"])}
        )
        for layer in data["layers"]
    )
    costs = {target: {name: float(values[name]) for name in KNOWN} for target, values in data["costs"].items()}
    return Network(tuple(data["schemes"]), NetworkProfile(layers, tuple(data["input_shape"])), costs)


def _training(data: Mapping[str, Any]) -> Training:
    return Training(
        network=int(data["network"]),
        val_wrong=tuple(map(int, data["val_wrong"])),
        train_wrong=tuple(map(int, data["train_wrong"])),
        train_loss=tuple(map(float, data["train_loss"])),
        cpu_s=tuple(map(float, data["cpu_s"])),
        energy_j=tuple(map(float, data["energy_j"])),
        failure=None if data["failure"] is None else str(data["failure"]),
    )


def _defect(table: Table) -> str | None:
    """Say what keeps a table from answering every question about its grid, or None."""
    recording = table.recording
    if table.epochs < 1 or not table.networks or table.networks[0].schemes:
        return "it has no epochs, or its first network is not the float32 one"
    if not table.grid or any(len(set(values)) != len(values) or len(values) < 2 for values in table.grid.values()):
        return "each hyperparameter of its grid needs at least two different values"
    for name, values in table.grid.items():
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) != len(values) and not all(isinstance(value, str) for value in values):
            return f"the values of {name} are neither all texts nor all numbers"
        if numbers != sorted(numbers):
            return f"the values of {name} are not in ascending order"
    if any(network.costs.keys() != table.targets.keys() for network in table.networks):
        return "a network lacks the costs of a target"
    if not {"train", "validation"} <= recording.images.keys() or min(recording.images.values()) < 1:
        return "it does not say on how many images it was recorded"
    if not recording.consumption.energy_j:
        return "it has no energy of its trainings"
    wanted = math.prod(map(len, table.grid.values()))
    if len(table.trainings) != wanted:
        return f"it holds {len(table.trainings)} trainings and its grid has {wanted} configurations"
    for number, training in enumerate(table.trainings):
        if not 0 <= training.network < len(table.networks) or not _is_whole(training, table):
            return f"training {number} is not complete"
    return None


def _is_whole(training: Training, table: Table) -> bool:
    trained = len(training.val_wrong)
    metered = trained if training.failure is None else trained + 1
    columns: Sequence[tuple[Sequence[float], int, float]] = (
        (training.val_wrong, trained, table.recording.images["validation"]),
        (training.train_wrong, trained, table.recording.images["train"]),
        (training.train_loss, trained, math.inf),
        (training.cpu_s, metered, math.inf),
        (training.energy_j, metered, math.inf),
    )
    return (
        (trained == table.epochs if training.failure is None else trained < table.epochs)
        and all(len(values) == length for values, length, _ in columns)
        and all(math.isfinite(value) and 0 <= value <= most for values, _, most in columns for value in values)
    )
