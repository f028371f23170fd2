"""A packed network timed beside other runtimes of the same network: the figures of `greenshift bench`."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.bench.contest import Contestant, take_turns
from greenshift.deploy.bench.onnx_float import export_float_onnx
from greenshift.deploy.bench.peers import ISA_CAPS, OURS, Form, Peer
from greenshift.deploy.bench.runners import Job
from greenshift.deploy.bench.unquantised import real_images
from greenshift.deploy.file import PackedFile, read_file
from greenshift.deploy.network import Network
from greenshift.deploy.onnx import export_onnx
from greenshift.deploy.onnx.steps import fits_int8
from greenshift.deploy.runtime import ISA_VARIABLE
from greenshift.energy.repeats import MIN_REPEATS, Repeats, repeats
from greenshift.errors import InputError

MAX_BATCH = 4096
_LOGITS_IMAGES = 16


@dataclass(frozen=True)
class Batch:
    """Times of one batch size, in s per image, each with its 95 % confidence interval.

    Attributes:
        times_s: By runtime, ours included.
        ratios: By peer: its time over ours, round by round.
    """

    times_s: Mapping[str, Repeats]
    ratios: Mapping[str, Repeats]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object, in µs per image."""
        ours = self.times_s[OURS.name]
        peers = {name: time for name, time in self.times_s.items() if name != OURS.name}
        return {
            "ours_us": 1e6 * ours.median,
            "ours_interval_us": [1e6 * ours.low, 1e6 * ours.high],
            "peers": {name: 1e6 * time.median for name, time in peers.items()},
            "ratios": {name: ratio.median for name, ratio in self.ratios.items()},
            "ratio_intervals": {name: [ratio.low, ratio.high] for name, ratio in self.ratios.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """What `greenshift bench` found.

    Attributes:
        artifact: The packed file.
        kernel: What ran our network.
        isa: Instruction set that was asked for, or None for the best one.
        threads: Threads of the peers; our runtime uses one.
        rounds: Rounds of each batch size.
        bytes: Of every form of the network; None for one that could not be made.
        batches: Figures by batch size.
        kernels: What ran each peer, with its version.
        differences: By peer: largest difference of a logit from ours, as a share of the largest logit.
        absent: Peers that did not run, with the reason.
        widened: Layers that the int8 form computes twice, because one int8 does not hold their weights.
        uncapped: Peers that ran on all that the processor has although an instruction set was asked for.
    """

    artifact: str
    kernel: str
    isa: str | None
    threads: int
    rounds: int
    bytes: Mapping[str, int | None]
    batches: Mapping[int, Batch]
    kernels: Mapping[str, str]
    differences: Mapping[str, float]
    absent: Mapping[str, str]
    widened: tuple[str, ...]
    uncapped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object: figures of the first batch size at the top, those of all under `batches`."""
        batches = {str(size): batch.to_json() for size, batch in self.batches.items()}
        return {
            **next(iter(batches.values())),
            "bytes": dict(self.bytes),
            "kernel": self.kernel,
            "batches": batches,
            "isa": self.isa,
            "threads": self.threads,
            "rounds": self.rounds,
            "clock": clock(self.threads),
            "provenance": "measured",
            "peer_kernels": dict(self.kernels),
            "differences": dict(self.differences),
            "absent": dict(self.absent),
            "widened": list(self.widened),
            "uncapped": list(self.uncapped),
            "artifact": self.artifact,
        }


def clock(threads: int) -> str:
    """Say what the times are times of."""
    return "CPU time of the process" if threads == 1 else "wall time"


def compare(
    path: Path,
    peers: Sequence[Peer],
    *,
    batches: Sequence[int] = (1, 64),
    threads: int = 1,
    rounds: int = 15,
    isa: str | None = None,
) -> Comparison:
    """Time a packed network beside peers, in turns.

    Images are random: the work does not depend on them. All runtimes run the same images, and their logits are
    compared. Networks in float32 get float32 images, without the look-up of bytes that the others begin with.

    Args:
        path: A file of `greenshift pack`.
        peers: Of `get_peers`.
        batches: Batch sizes, at least one.
        threads: Threads of the peers.
        rounds: Rounds of each batch size, at least 6.
        isa: Keep our runtime, and every peer that can be kept, to this instruction set.

    Raises:
        InputError: If the file is no packed network, a number is out of range, or the processor lacks the set.
    """
    _check(batches, threads, rounds)
    packed = read_file(path)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        forms, without = _write_forms(path, packed.network, Path(folder), max(*batches, _LOGITS_IMAGES))
        ours = stack.enter_context(_start(OURS, forms, threads, isa))
        started, absent = [ours], {}
        for peer in peers:
            try:
                _require(peer, without)
                started.append(stack.enter_context(_start(peer, forms, threads, isa)))
            except InputError as error:
                absent[peer.name] = str(error)
        contestants, failed = _tried(started, batches)
        running = {contestant.name: contestant for contestant in contestants[1:]}
        return Comparison(
            *(str(path), ours.kernel, isa, threads, rounds, _sizes(packed, forms)),
            batches={batch: _batch(take_turns(contestants, batch, rounds)) for batch in batches},
            kernels={name: f"{each.kernel}, version {each.version}" for name, each in running.items()},
            differences=_differences(contestants, Path(folder)),
            absent=absent | failed,
            widened=tuple(layer.name for layer in packed.network.convolutions if not fits_int8(layer)),
            uncapped=tuple(peer.name for peer in peers if isa in ISA_CAPS and not peer.capped and peer.name in running),
        )


def _check(batches: Sequence[int], threads: int, rounds: int) -> None:
    bad = [batch for batch in batches if not 1 <= batch <= MAX_BATCH]
    if bad or not batches:
        raise InputError(f"bench: a batch has 1 to {MAX_BATCH} images, not {bad[0] if bad else 'none'}")
    if threads < 1:
        raise InputError(f"bench: at least one thread is needed, not {threads}")
    if rounds < MIN_REPEATS:
        raise InputError(f"bench: {rounds} rounds give no interval; at least {MIN_REPEATS} are needed")


@dataclass(frozen=True)
class _Files:
    """A form of the network, and the images that it takes."""

    network: Path
    images: Path


def _write_forms(path: Path, network: Network, folder: Path, images: int) -> tuple[dict[Form, _Files], dict[Form, str]]:
    """Write the network in every form; return the files, and why there is no file of a form."""
    raw = np.random.default_rng(0).integers(0, 256, (images, *network.input.shape), dtype=np.uint8)
    images_of: dict[Form, NDArray[Any]] = {
        "packed": raw,
        "float32": real_images(network, raw),
        "int8": np.ascontiguousarray(raw.transpose(0, 3, 1, 2)),
    }
    for form, values in images_of.items():
        np.save(folder / f"{form}.npy", values)
    forms: dict[Form, _Files] = {"packed": _Files(path, folder / "packed.npy")}
    without: dict[Form, str] = {}
    writers: dict[Form, Callable[[Network, Path], object]] = {"float32": export_float_onnx, "int8": export_onnx}
    for form, write in writers.items():
        file = folder / f"{form}.onnx"
        try:
            write(network, file)
        except InputError as error:
            without[form] = str(error)
        else:
            forms[form] = _Files(file, folder / f"{form}.npy")
    return forms, without


def _require(peer: Peer, without: Mapping[Form, str]) -> None:
    reason = peer.missing() or without.get(peer.form)
    if reason is not None:
        raise InputError(reason)


def _start(peer: Peer, forms: Mapping[Form, _Files], threads: int, isa: str | None) -> Contestant:
    files = forms[peer.form]
    # Torch's network is built from the packed one, and takes the images of the float32 one.
    images = files.images.with_name("float32.npy") if peer.runner == "torch" else files.images
    job = Job(peer.runner, str(files.network), str(images), threads, peer.options)
    if isa is None:
        environment = {}
    elif peer is OURS:
        environment = {ISA_VARIABLE: isa}
    else:
        environment = ISA_CAPS.get(isa, {}) if peer.capped else {}
    return Contestant(peer.name, job, environment)


def _tried(contestants: Sequence[Contestant], batches: Sequence[int]) -> tuple[list[Contestant], dict[str, str]]:
    """Run every batch size once; return who can, and why the others cannot. Ours has to."""
    able, failed = [contestants[0]], {}
    for contestant in contestants:
        try:
            for batch in (*batches, _LOGITS_IMAGES):
                contestant.window_s(batch, 1)
        except InputError as error:
            if contestant is contestants[0]:
                raise
            failed[contestant.name] = str(error)
        else:
            able += [contestant] if contestant is not contestants[0] else []
    return able, failed


def _differences(contestants: Sequence[Contestant], folder: Path) -> dict[str, float]:
    logits = []
    for contestant in contestants:
        contestant.save_logits(_LOGITS_IMAGES, folder / "logits.npy")
        logits.append(np.load(folder / "logits.npy").reshape(_LOGITS_IMAGES, -1))
    scale = max(float(np.abs(logits[0]).max()), 1e-30)
    return {
        contestant.name: float(np.abs(each - logits[0]).max()) / scale
        for contestant, each in zip(contestants[1:], logits[1:], strict=True)
    }


def _batch(times: Mapping[str, Sequence[float]]) -> Batch:
    ours = times[OURS.name]
    ratios = {
        name: _repeats([theirs / own for theirs, own in zip(each, ours, strict=True)])
        for name, each in times.items()
        if name != OURS.name
    }
    return Batch({name: _repeats(each) for name, each in times.items()}, ratios)


def _repeats(values: Sequence[float]) -> Repeats:
    found = repeats(values)
    assert found is not None, "there are enough rounds"
    return found


def _sizes(packed: PackedFile, forms: Mapping[Form, _Files]) -> dict[str, int | None]:
    sizes: dict[str, int | None] = {"packed": packed.size_bytes}
    names: dict[Form, str] = {"float32": "onnx_float32", "int8": "onnx_int8"}
    for form, name in names.items():
        sizes[name] = forms[form].network.stat().st_size if form in forms else None
    return sizes
