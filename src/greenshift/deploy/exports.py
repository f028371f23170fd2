"""Exports of a packed network by name, each followed by a check against the reference."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from greenshift.deploy.network import Bytes, Network
from greenshift.errors import InputError, StudyError
from greenshift.quantities import format_count, format_quantity
from greenshift.targets import Target

if TYPE_CHECKING:
    from greenshift.deploy.c_export import Run

_CHECK_IMAGES = 8


@dataclass(frozen=True)
class Exported:
    """One export.

    Attributes:
        kind: `onnx` or `c`.
        files: What was written.
        facts: What a reader wants to know of it, in words.
        verification: What its check found, in words.
        report: All of it as JSON values.
    """

    kind: str
    files: tuple[Path, ...]
    facts: Mapping[str, str]
    verification: str
    report: Mapping[str, Any]


def export(
    network: Network, name: str, folder: Path, kinds: Sequence[str], target: Target | None
) -> tuple[Exported, ...]:
    """Export a network and check each export on random images.

    Args:
        network: A valid network.
        name: What files are called that need a name of their own.
        folder: Where they are written; made if needed.
        kinds: Of `EXPORTERS`, in the order in which they are written.
        target: The device, for the exports that depend on it.

    Raises:
        InputError: If a kind is unknown, needs a target or a package, or a file cannot be written.
        StudyError: If an export is broken.
    """
    unknown = [kind for kind in kinds if kind not in EXPORTERS]
    if unknown or not kinds:
        raise InputError(f"export: '{', '.join(unknown)}' is none of {', '.join(EXPORTERS)}")
    return tuple(EXPORTERS[kind](network, name, folder, target) for kind in dict.fromkeys(kinds))


def _check_images(network: Network) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (_CHECK_IMAGES, *network.input.shape), dtype=np.uint8)


def _to_onnx(network: Network, name: str, folder: Path, _: Target | None) -> Exported:
    from greenshift.deploy.onnx import export_onnx, verify_onnx

    report = export_onnx(network, folder / f"{name}.onnx")
    check = verify_onnx(network, report.path, _check_images(network))
    same = f"{check.same_class} of {check.images} random images get the same class"
    if check.equal:
        verdict = f"{check.runtime}: logits of {check.images} random images equal to the bit"
    else:
        verdict = f"{check.runtime}: logits differ by up to {check.largest_difference:.3g}; {same}"
    facts = {
        "size": format_quantity(report.size_bytes, "B"),
        "opset": str(report.opset),
        "reads": report.input,
        "gives": report.output,
        "widened": ", ".join(report.widened_layers) + " to two int8 weights each" if report.widened_layers else "none",
    }
    return Exported("onnx", (report.path,), facts, verdict, _json(report, check))


def _to_c(network: Network, _: str, folder: Path, target: Target | None) -> Exported:
    from greenshift.deploy.c_export import export_c, verify_c

    if target is None:
        raise InputError("export: C is written for a device; name it with --target, such as --target cortex-m0")
    try:
        report = export_c(network, target, folder / "c")
    except OSError as error:
        raise InputError(f"{folder / 'c'}: cannot be written: {error}") from error
    check = verify_c(report.folder, target)
    wrong = [run.machine for run in check.runs if not run.identical]
    if wrong:
        raise StudyError(f"{report.folder}: the self-test gives other numbers on {', '.join(wrong)}; do not use it")
    kinds = [layer.implementation for layer in report.layers]
    facts = {
        "target": report.target,
        "flash": f"{format_quantity(report.flash_bytes, 'B')}, modelled",
        "RAM": format_quantity(report.ram_bytes, "B"),
        "cycles": f"{format_count(report.cycles)}, modelled within a factor of {report.factor:.1f}",
        "layers": ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)),
        **{f"on {run.machine}": _measured(run) for run in check.runs if run.instructions is not None},
        **({"not run": "; ".join(check.skipped)} if check.skipped else {}),
    }
    verdict = "not checked: nothing here can compile or run it"
    if check.runs:
        verdict = f"self-test on {' and '.join(run.machine for run in check.runs)}: outputs equal to the bit"
    files = tuple(report.folder / name for name in report.files)
    return Exported("c", files, facts, verdict, _json(report, check))


def _measured(run: "Run") -> str:
    parts = [f"{format_count(run.instructions)} instructions for one image"] if run.instructions is not None else []
    if run.cycles is not None:
        parts.append(f"{format_count(run.cycles)} cycles modelled from them")
    if run.flash_bytes is not None:
        parts.append(f"{format_quantity(run.flash_bytes, 'B')} of flash")
    if run.ram_bytes is not None:
        parts.append(f"{format_quantity(run.ram_bytes, 'B')} of RAM")
    return ", ".join(parts)


def _json(report: Any, check: Any) -> dict[str, Any]:
    return {**dataclasses.asdict(report), "verification": dataclasses.asdict(check)}


EXPORTERS: Mapping[str, Callable[[Network, str, Path, Target | None], Exported]] = {"onnx": _to_onnx, "c": _to_c}
