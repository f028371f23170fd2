"""What a packed file holds, as JSON values."""

from typing import Any

from greenshift.deploy.codes import packed_size
from greenshift.deploy.encoding import step_kind
from greenshift.deploy.file import FORMAT, PackedFile
from greenshift.deploy.network import Convolution, Input, Lookup, Step

_BYTES_PER_CHANNEL = 4 + 2  # bias and multiplier


def summary(packed: PackedFile) -> dict[str, Any]:
    """Describe a packed file: format, checksum, sizes and every step, sizes in bytes of the file."""
    network = packed.network
    storages: dict[str, int] = {}
    for layer in network.convolutions:
        storages[layer.storage.name] = storages.get(layer.storage.name, 0) + int(layer.weight.size)
    return {
        "format": FORMAT,
        "version": packed.version,
        "checksum": packed.checksum,
        "size_bytes": packed.size_bytes,
        "input": list(network.input.shape),
        "classes": network.classes,
        "weights": sum(storages.values()),
        "storages": storages,
        "macs": network.macs,
        "steps": [_step(step) for step in network.steps],
        "description": network.description,
    }


def _step(step: Step) -> dict[str, Any]:
    layer = step if isinstance(step, Convolution) else None
    return {
        "name": step.name,
        "kind": step_kind(step),
        "sources": list(step.sources),
        "shape": list(step.shape),
        "grid": None if step.grid is None else {"exponent": step.grid.exponent, "zero": step.grid.zero},
        "storage": None if layer is None else layer.storage.name,
        "weights": None if layer is None else int(layer.weight.size),
        "size_bytes": _size_bytes(step),
        "macs": None if layer is None else layer.macs,
    }


def _size_bytes(step: Step) -> int:
    if isinstance(step, Convolution):
        return packed_size(step.weight.size, step.storage) + _BYTES_PER_CHANNEL * len(step.bias)
    return step.table.size if isinstance(step, Input | Lookup) else 0
