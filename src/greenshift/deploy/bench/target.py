"""Layer times of the runtime in the file of a measured target, beside what `greenshift calibrate` put there."""

import datetime
import json
import re
from pathlib import Path

from greenshift import __version__
from greenshift.deploy.bench.host import LayerTimes
from greenshift.errors import InputError
from greenshift.targets.loading import parse_target
from greenshift.targets.writing import Measured, figure_text, layer_lines, layer_table

_SOURCE = "runtime"
# What a packed network can hold: bytes, and 14 exponents of 5-bit shift weights.
_MAX_BITS, _MAX_LEVELS = 8, 14


def extend_target(path: Path, found: LayerTimes) -> str:
    """Write layer times into a target's file, in place of older ones of the same kernel and shape.

    Args:
        path: A file of `greenshift calibrate`.
        found: What was measured on this machine.

    Returns:
        Name of the kernel in the file, such as `greenshift-vnni`.

    Raises:
        InputError: If the file cannot be read or written, or is no target of measured times.
    """
    kernel = f"greenshift-{found.kernel}"
    try:
        text = path.read_text(encoding="utf-8")
        changed = with_layers(text, path.name, kernel, found)
        path.write_text(changed, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--target {path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    return kernel


def with_layers(text: str, where: str, kernel: str, found: LayerTimes) -> str:
    """Return a target's text with layer times of a kernel; see `extend_target`."""
    kind = parse_target(text, where).kind
    if kind != "measured":
        raise InputError(f"{where}: its model is '{kind}'; times of layers go into a file of greenshift calibrate")
    replaced = {f"kernels.{kernel}", *(layer_table(kernel, shape) for shape in found.times)}
    kept = [block for block in re.split(r"(?m)^(?=\[)", text) if _header(block) not in replaced]
    kept = [_with_source(block) if _header(block) == "sources" else block for block in kept]
    lines = [f"[kernels.{kernel}]", 'runs = ["int", "shift"]', "simd = true"]
    for key, most in (("max_act_bits", _MAX_BITS), ("max_weight_bits", _MAX_BITS), ("max_levels", _MAX_LEVELS)):
        lines.append(f"{key} = {figure_text(Measured(most, 1.0), _SOURCE, 'what a packed network can hold')}")
    for shape, taken in found.times.items():
        lines += layer_lines(kernel, shape, taken, _SOURCE)
    changed = "".join(kept).rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
    parse_target(changed, where)
    return changed


def _header(block: str) -> str | None:
    match = re.match(r"\[([^\[\]]+)\]", block)
    return match[1] if match else None


def _with_source(block: str) -> str:
    today = datetime.date.today().isoformat()
    said = (
        f"greenshift {__version__} runtime, {today}: time of each layer within runs of the whole network, one image, "
        "one thread, median of windows; factor: the farthest"
    )
    lines = [line for line in block.splitlines() if not line.startswith(f"{_SOURCE} =")]
    return "\n".join([*_trimmed(lines), f"{_SOURCE} = {json.dumps(said)}", "", ""])


def _trimmed(lines: list[str]) -> list[str]:
    return "\n".join(lines).rstrip("\n").split("\n")
