"""Exported C on microcontrollers: cycles and instructions per multiply-accumulate of shift against int8 weights.

Two networks with random weights, 4-bit shift with a tenth of zeros: a 3x3 convolution from 16 to 16 channels with
little around it, and ResNet-8 of MLPerf Tiny (Banbury et al., 2021); and the convolution with signs for weights and
inputs, from 16 to 16 and from 64 to 64 channels. Instructions are executed under QEMU and counted
for whole images, all steps included; cycles follow from them by the cores' manuals without wait states, and stand
beside the cycles that the targets' tables give. Not silicon. Prints JSON.

Usage: python benchmarks/microcontroller.py [--targets cortex-m0,rv32ic] [--networks convolution,resnet8]
"""

import argparse
import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from greenshift.deploy.c_export import export_c, verify_c
from greenshift.deploy.network import Addition, AveragePooling, Convolution, Grid, Input, Lookup, Network, Step, Storage
from greenshift.errors import InputError
from greenshift.targets import load_target

TARGETS = ("cortex-m0", "cortex-m0:slow-multiplier", "cortex-m3", "cortex-m4", "rv32imc", "rv32ic")
SHIFT, BINARY = Storage("shift", 4), Storage("binary", 1)
ZEROS = 0.11


def image(size: int, channels: int) -> Input:
    """Square image whose bytes are taken as they are."""
    table = np.tile(np.arange(256, dtype=np.uint8), (channels, 1))
    return Input("image", (size, size, channels), Grid(-8), table)


def convolution(
    steps: list[Step], rng: np.random.Generator, outputs: int, kernel: int = 3, stride: int = 1, **fields: Any
) -> int:
    """Append a convolution with random 4-bit shift weights and return its index."""
    source = fields.pop("source", len(steps) - 1)
    height, width, inputs = steps[source].shape
    pad = fields.pop("pad", kernel // 2)
    sizes = [(length + 2 * pad - kernel) // stride + 1 for length in (height, width)]
    shape = (outputs, kernel, kernel, inputs)
    signs = rng.choice([-1, 0, 1], shape, p=[(1 - ZEROS) / 2, ZEROS, (1 - ZEROS) / 2])
    weight = ((1 << rng.integers(0, 7, shape)) * signs).astype(np.int16)
    spread = 60.0 * np.sqrt(np.square(weight.astype(float)).sum(axis=(1, 2, 3)))
    bias = (spread * rng.normal(0, 0.3, outputs)).astype(np.int32)
    mantissa, exponent = np.frexp(70 / spread)
    multiplier = np.ldexp(np.rint(mantissa * 2048) / 2048, exponent).astype(np.float32)
    grid = fields.pop("grid", Grid(-5))
    name = f"convolution{len(steps)}"
    rest: dict[str, Any] = {"stride": (stride,) * 2, "padding": (pad,) * 4}
    steps.append(
        Convolution(name, (source,), (sizes[0], sizes[1], outputs), grid, weight, bias, multiplier, SHIFT, **rest)
    )
    return len(steps) - 1


def classified(steps: list[Step], rng: np.random.Generator) -> Network:
    """End with a global mean and a linear layer with ten outputs."""
    size, _, channels = steps[-1].shape
    steps.append(AveragePooling("mean", (len(steps) - 1,), (1, 1, channels), Grid(-6), (size,) * 2, (1, 1)))
    convolution(steps, rng, 10, kernel=1, grid=None)
    return Network(tuple(steps))


def one_convolution() -> Network:
    """A 3x3 convolution from 16 to 16 channels on 12x12 inputs, a mean and a small linear layer."""
    rng = np.random.default_rng(0)
    steps: list[Step] = [image(12, 16)]
    convolution(steps, rng, 16, pad=0)
    return classified(steps, rng)


def resnet8() -> Network:
    """Image classification of MLPerf Tiny: 12.5 million multiply-accumulates on 32x32x3 images."""
    rng = np.random.default_rng(0)
    steps: list[Step] = [image(32, 3)]
    last = convolution(steps, rng, 16)
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        convolution(steps, rng, width, stride=stride, source=last)
        inner = convolution(steps, rng, width, grid=Grid(-4, 128))
        if stride > 1:
            last = convolution(steps, rng, width, kernel=1, stride=stride, source=last, grid=Grid(-4, 128))
        shape = steps[inner].shape
        steps.append(Addition(f"addition{len(steps)}", (inner, last), shape, Grid(-4)))
        last = len(steps) - 1
    return classified(steps, rng)


def signs(width: int) -> Network:
    """As `one_convolution`, but with signs on both sides and padding."""
    rng = np.random.default_rng(0)
    table = np.where(np.arange(256) < 128, 112, 144).astype(np.uint8)
    shape = (width, 3, 3, width)
    weight = rng.choice([-1, 1], shape).astype(np.int16)
    bias, multiplier = rng.integers(-500, 500, width).astype(np.int32), np.full(width, 2.0**-6, np.float32)
    steps: list[Step] = [image(12, width), Lookup("signs", (0,), (12, 12, width), Grid(-4, 128), table)]
    rest: dict[str, Any] = {"padding": (1,) * 4}
    steps.append(Convolution("signs2", (1,), (12, 12, width), Grid(-5), weight, bias, multiplier, BINARY, **rest))
    return classified(steps, rng)


NETWORKS: dict[str, Callable[[], Network]] = {
    "convolution": one_convolution,
    "resnet8": resnet8,
    "signs16": functools.partial(signs, 16),
    "signs64": functools.partial(signs, 64),
}
WAYS: dict[str, tuple[str | None, ...]] = {"convolution": ("generated", "lists", "loops"), "resnet8": (None, "loops")}


def measure(network: Network, target_name: str, implementation: str | None) -> dict[str, Any]:
    """Export for a target, run, and give figures per image and per multiply-accumulate."""
    target = load_target(target_name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export_c(network, target, Path(folder), only=implementation)
        except InputError as error:
            return {"does_not_fit": str(error)}
        verification = verify_c(Path(folder), target)
    runs = {run.machine: asdict(run) for run in verification.runs}
    found: dict[str, Any] = {
        "identical": verification.identical,
        "implementations": {layer.name: layer.implementation for layer in report.layers},
        "modelled": {"cycles_per_mac": round(report.cycles / network.macs, 2), "factor": round(report.factor, 2)}
        | {"flash_bytes": report.flash_bytes, "ram_bytes": report.ram_bytes},
        "skipped": verification.skipped,
    }
    for machine, run in runs.items():
        if run["instructions"] is not None:
            per_mac = {name: run[name] and round(run[name] / network.macs, 2) for name in ("instructions", "cycles")}
            sizes = {name: run[name] for name in ("flash_bytes", "ram_bytes", "instructions")}
            found["emulated"] = {"machine": machine, "per_mac": per_mac, **sizes}
    return found


def ratio(rows: dict[str, dict[str, Any]], kind: str) -> float | None:
    """Cycles of int8 loops over those of generated code, by executed instructions."""
    cycles = [rows[name].get("emulated", {}).get("per_mac", {}).get(kind) for name in ("loops", "generated")]
    return round(cycles[0] / cycles[1], 2) if all(cycles) else None


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--networks", default=",".join(NETWORKS))
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.networks.split(","):
        network = NETWORKS[name]()
        found[name] = {"macs": network.macs}
        for target in options.targets.split(","):
            ways = WAYS.get(name, (None, "generated", "loops"))
            rows = {way or "chosen": measure(network, target, way) for way in ways}
            if name == "convolution":
                rows |= {"int8_over_generated": {kind: ratio(rows, kind) for kind in ("cycles", "instructions")}}
            found[name][target] = rows
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
