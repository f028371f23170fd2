"""A network in integers as one safetensors file, with a format version and a checksum over every byte.

The header's metadata has one text, `network`: a JSON object with `checksum`, `format` and `version`. The checksum is
the SHA-256 of the file with zeros in the checksum's place. The array `graph` is compressed JSON (zlib) with `steps`,
`description` and `deflated`; the other arrays belong to the steps (see `encoding`). Those that `deflated` names are
compressed too: trained weights are no uniform noise, and lose a fifth of their bytes.
"""

import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from greenshift import __version__
from greenshift.deploy.decoding import decode_steps
from greenshift.deploy.encoding import ARRAYS, Array, encode_steps
from greenshift.deploy.network import Network
from greenshift.deploy.validity import check, describe_name
from greenshift.errors import InputError

FORMAT = 1

_MAX_FILE_BYTES = 2**30
_MAX_HEADER_BYTES = 2**24
_MAX_GRAPH_BYTES = 2**22
# What shrinks more is kept as it is, so that no file can grow to more than a multiple of itself in memory.
_MAX_SHRINKING = 16
_NO_CHECKSUM = "0" * 64
_HEX_DIGITS = set("0123456789abcdef")
_TYPES = {"graph": np.dtype(np.uint8), **ARRAYS}


@dataclass(frozen=True)
class PackedFile:
    """What a packed file holds.

    Attributes:
        network: The network.
        version: The greenshift that wrote it.
        checksum: SHA-256, hexadecimal.
        size_bytes: Of the whole file.
    """

    network: Network
    version: str
    checksum: str
    size_bytes: int


def write_network(path: Path, network: Network) -> None:
    """Write a network as one file; a reader sees the old file or the new one, never a part.

    Args:
        path: File to write or replace; its folder is made if needed.
        network: The network; its description must be JSON values.

    Raises:
        InputError: If the network is not valid or the file cannot be written.
    """
    check(network)
    data = to_bytes(network)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def read_network(path: Path) -> Network:
    """Read a file of `write_network`.

    Raises:
        InputError: As `read_file`.
    """
    return read_file(path).network


def read_file(path: Path) -> PackedFile:
    """Read a file of `write_network`, with what it says about itself.

    Raises:
        InputError: If it is missing, no packed network, of another format, altered or damaged; says which.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"{path}: over {_MAX_FILE_BYTES} bytes: no packed network")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        problem = str(error) if isinstance(error, InputError) else f"{path}: cannot be read: {error}"
        raise InputError(problem) from error
    try:
        return from_bytes(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def to_bytes(network: Network) -> bytes:
    """Return the file of a valid network.

    Raises:
        InputError: If its description is not made of JSON values.
    """
    from safetensors.numpy import save

    steps, arrays = encode_steps(network)
    deflated = {name: found for name in ("codes", "tables") if (found := _deflated(arrays[name])) is not None}
    try:
        graph = _compact({"steps": steps, "description": network.description, "deflated": list(deflated)})
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the description of a network must be JSON values: {error}") from error
    if len(graph) > _MAX_GRAPH_BYTES:
        raise InputError(f"steps and description take {len(graph)} bytes of JSON; at most {_MAX_GRAPH_BYTES} are kept")
    label = _compact({"checksum": _NO_CHECKSUM, "format": FORMAT, "version": __version__}).decode()
    arrays["graph"] = np.frombuffer(zlib.compress(graph, 9), np.uint8)
    return sealed(save({**arrays, **deflated}, {"network": label}), _NO_CHECKSUM)


def from_bytes(data: bytes) -> PackedFile:
    """Return what the bytes of a file hold.

    Raises:
        InputError: If they are no valid file; says why.
    """
    label = _label(data)
    found, checksum, version = (label.get(key) for key in ("format", "checksum", "version"))
    if found != FORMAT:
        raise InputError(f"a packed network of format {json.dumps(found)[:40]}; this greenshift reads {FORMAT}")
    if not (isinstance(checksum, str) and len(checksum) == 64 and set(checksum) <= _HEX_DIGITS):
        _damaged("its checksum is no SHA-256")
    if checksum_of(data, checksum) != checksum:
        _damaged("its checksum does not fit: it was altered or copied in part")
    if not isinstance(version, str):
        _damaged("it does not say what wrote it")
    arrays = _arrays(data)
    graph = _json(_inflated("graph", arrays.pop("graph"), _MAX_GRAPH_BYTES))
    description = graph.get("description") if isinstance(graph, dict) else None
    if not isinstance(description, dict):
        _damaged("its description is no JSON object")
    deflated = graph.get("deflated")
    if deflated not in ([], ["codes"], ["tables"], ["codes", "tables"]):
        _damaged("it does not say which of its arrays are compressed")
    for name in deflated:
        inflated = _inflated(name, arrays[name], _MAX_SHRINKING * len(arrays[name]))
        arrays[name] = np.frombuffer(inflated, np.uint8)
    network = Network(decode_steps(graph.get("steps"), arrays), description)
    check(network)
    return PackedFile(network, version, checksum, len(data))


def checksum_of(data: bytes, stored: str) -> str:
    """Return the SHA-256 of a file with zeros where its checksum is stored first."""
    start = data.find(stored.encode())
    if start < 0:
        _damaged("its checksum is stored in another way")
    view = memoryview(data)
    digest = hashlib.sha256(view[:start])
    digest.update(_NO_CHECKSUM.encode())
    digest.update(view[start + len(stored) :])
    return digest.hexdigest()


def sealed(data: bytes, stored: str) -> bytes:
    """Return a file with its right checksum in the place of the one that is stored."""
    return data.replace(stored.encode(), checksum_of(data, stored).encode(), 1)


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _label(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        _damaged("it ends too early, or is no safetensors file")
    # The header of a trained network may be long, as each of its many tensors has an entry.
    header = _json(data[8 : 8 + size]) if size <= _MAX_HEADER_BYTES else None
    texts = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not isinstance(texts.get("network"), str):
        if isinstance(texts, dict) and "design" in texts:
            raise InputError("a trained network that is not packed; run `greenshift pack` on it first")
        raise InputError("not a packed network: its header does not describe one")
    label = _json(texts["network"])
    if not isinstance(label, dict):
        _damaged("its label is no JSON object")
    return label


def _deflated(array: Array) -> Array | None:
    """Return an array of bytes compressed, None if that is not worth while or too good to be allowed."""
    data = zlib.compress(array.tobytes(), 9)
    return np.frombuffer(data, np.uint8) if len(data) < array.size <= _MAX_SHRINKING * len(data) else None


def _inflated(name: str, data: Array, most_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data.tobytes(), max(most_bytes, 1))  # 0 would mean no bound
    except zlib.error as error:
        _damaged(f"its {name} cannot be decompressed: {error}")
    if not stream.eof or stream.unused_data:
        _damaged(f"its {name} does not end, or takes more than {most_bytes} bytes")
    return found


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _damaged(f"its header is no JSON: {' '.join(str(error).split())[:100]}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _arrays(data: bytes) -> dict[str, Array]:
    from safetensors import SafetensorError, deserialize

    try:
        found = dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        _damaged(" ".join(str(error).split())[:200])
    if found.keys() != _TYPES.keys():
        _damaged(f"it has the arrays {describe_name(', '.join(sorted(found)))}")
    for name, dtype in _TYPES.items():
        expected = f"{dtype.kind.upper()}{8 * dtype.itemsize}"  # as safetensors calls it, such as F16
        if found[name]["dtype"] != expected or len(found[name]["shape"]) != 1:
            _damaged(f"its {name} are no {expected} array of one dimension")
    return {name: np.frombuffer(found[name]["data"], dtype) for name, dtype in _TYPES.items()}


def _damaged(problem: str) -> NoReturn:
    raise InputError(f"damaged: {problem}")
