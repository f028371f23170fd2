"""Export a network as self-contained C99 for one target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from greenshift.deploy.c_export.choice import Chosen, choose_implementations, cycles_model, has_popcount
from greenshift.deploy.c_export.rows import Plan, is_whole_mean, plan_rows
from greenshift.deploy.c_export.selftest import selftest
from greenshift.deploy.c_export.signs import sign_maps
from greenshift.deploy.c_export.source import header, scratch_bytes, source, template
from greenshift.deploy.c_export.steps import is_direct
from greenshift.deploy.network import Bytes, Convolution, Input, Lookup, Network
from greenshift.errors import InputError
from greenshift.targets.target import Target
from greenshift.targets.uncertainty import product_factor, sum_factor

# Flash of the code that every export shares, measured with arm-none-eabi-gcc and riscv64-unknown-elf-gcc at -O2.
_SHARED_BYTES = 4096
# Integer operations around the sums, near the fit of benchmarks/export_overhead.py on four cores: for an output that is
# requantised, for each row of a kernel whose bytes are gathered at a pixel, and for every other value that is written.
# With them counted cycles are 0.77 to 1.35 times the modelled ones there.
_OUTPUT_OPS, _GATHERED_ROW_OPS, _VALUE_OPS, _OPS_FACTOR = 16, 24, 2, 1.4
FILES = ("network.c", "network.h", "selftest.c", "CMakeLists.txt")
_CHANNEL_BYTES, _MAP_BYTES, _LAYER_BYTES = 16, 20, 44


@dataclass(frozen=True)
class LayerReport:
    """One convolution of an export.

    Attributes:
        name: Name of the layer.
        implementation: `popcount`, `generated`, `lists` or `loops`.
        macs: Multiply-accumulates for one image.
        cycles: Modelled cycles of them.
        factor: Uncertainty factor of the cycles.
        flash_bytes: Modelled flash of its weights or code.
    """

    name: str
    implementation: str
    macs: int
    cycles: float
    factor: float
    flash_bytes: int


@dataclass(frozen=True)
class CReport:
    """What was exported. Cycles and flash are modelled, RAM is what the C source asks for.

    Attributes:
        folder: Where the files are.
        files: Their names.
        target: Name of the target.
        layers: The convolutions.
        cycles: Modelled cycles of one image, all steps.
        factor: Uncertainty factor of the cycles.
        flash_bytes: Modelled flash of the whole network.
        ram_bytes: Static memory: rows of maps, the patch under a kernel and sums; without the stack.
    """

    folder: Path
    files: tuple[str, ...]
    target: str
    layers: tuple[LayerReport, ...]
    cycles: float
    factor: float
    flash_bytes: int
    ram_bytes: int


def export_c(
    network: Network, target: Target, folder: Path, images: Bytes | None = None, only: str | None = None
) -> CReport:
    """Write a network as C99 into a folder: network.c, network.h, selftest.c and CMakeLists.txt.

    The C needs nothing but stdint.h: no allocation, no C library, no floating-point arithmetic. Per layer the
    implementation is chosen by the target's cycle model within its flash; signs of both weights and values are bits
    that are counted, if the target has a figure for it.

    Args:
        network: A valid network.
        target: A target with a cycle model.
        folder: Made if it is not there; files of the same names are replaced.
        images: uint8 (count, height, width, channels) for the self-test; two random ones if None.
        only: `generated`, `lists` or `loops` for all layers instead of choosing.

    Returns:
        What was chosen, with modelled figures.

    Raises:
        InputError: If the target has no cycle model, its flash or RAM is too small, or a layer is outside of what
            C code holds.
    """
    model = cycles_model(target)
    counted = only is None and has_popcount(target)
    plan = plan_rows(network, sign_maps(network) if counted else {})
    _check_ram(
        network, plan, _ram_bytes(network, plan), model.ram_bytes.value - model.ram_reserved_bytes.value, target.name
    )
    chosen = choose_implementations(network, target, _other_flash_bytes(network, plan), plan.signs, only)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, (2, *network.input.shape), dtype=np.uint8)
    implementations = {index: found.implementation for index, found in chosen.items()}
    texts = (
        source(network, plan, implementations),
        header(network),
        selftest(network, images, plan.signs),
        template("CMakeLists.txt"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(FILES, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return _report(network, plan, target, folder, chosen)


def _report(network: Network, plan: Plan, target: Target, folder: Path, chosen: Mapping[int, Chosen]) -> CReport:
    layers = tuple(
        LayerReport(network.steps[at].name, c.implementation, _macs(network, at), c.cycles, c.factor, c.flash_bytes)
        for at, c in chosen.items()
    )
    operation = cycles_model(target).int_cycles_per_op
    others = (_other_operations(network, plan) * operation.value, product_factor(operation.factor, _OPS_FACTOR))
    parts = [*((layer.cycles, layer.factor) for layer in layers), others]
    flash_bytes = _other_flash_bytes(network, plan) + sum(layer.flash_bytes for layer in layers)
    cycles, ram_bytes = sum(cycles for cycles, _ in parts), _ram_bytes(network, plan)
    return CReport(folder, FILES, target.name, layers, cycles, sum_factor(parts), flash_bytes, ram_bytes)


def _macs(network: Network, index: int) -> int:
    layer = network.steps[index]
    assert isinstance(layer, Convolution)
    return layer.macs


def _other_operations(network: Network, plan: Plan) -> int:
    """Integer operations of everything but the sums."""
    count = 0
    for step in network.steps:
        height, width, channels = step.shape
        if not isinstance(step, Convolution):
            count += _VALUE_OPS * height * width * channels
            continue
        count += _OUTPUT_OPS * height * width * channels
        if not is_direct(step, network.steps[step.sources[0]], plan):
            count += _GATHERED_ROW_OPS * height * width * step.kernel[0]
    return count


def _other_flash_bytes(network: Network, plan: Plan) -> int:
    """Flash of everything but weights."""
    channels = sum(layer.shape[2] for layer in network.convolutions)
    tables = sum(
        step.table.size
        for index, step in enumerate(network.steps)
        if isinstance(step, Input | Lookup) and index not in plan.signs
    )
    steps = len(network.steps) * _MAP_BYTES + sum(_LAYER_BYTES for _ in network.convolutions)
    return _SHARED_BYTES + channels * _CHANNEL_BYTES + tables + steps + len(plan.order)


def _ram_bytes(network: Network, plan: Plan) -> int:
    windows = [step.kernel[0] for step in network.steps if hasattr(step, "kernel")]
    totals = sum(4 * step.shape[2] for step in network.steps if is_whole_mean(step))
    return plan.arena_bytes + sum(scratch_bytes(network, plan)) + totals + 2 * len(network.steps) + 4 * max(windows)


def _check_ram(network: Network, plan: Plan, ram_bytes: int, room: float, target: str) -> None:
    if ram_bytes <= room:
        return
    sizes = [(ring.depth * ring.row_bytes, step.name) for ring, step in zip(plan.rings, network.steps, strict=False)]
    largest, name = max(sizes)
    raise InputError(
        f"target {target}: the network needs {ram_bytes / 1e3:.1f} kB of RAM and {max(room, 0) / 1e3:.1f} kB are free; "
        f"step '{name}' is the largest with {largest / 1e3:.1f} kB: take fewer channels or smaller images, or a target "
        "with more RAM"
    )
