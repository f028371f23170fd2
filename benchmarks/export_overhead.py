"""What exported C spends around its sums: the operations that modelled cycles hold for it, fitted to counted ones.

The networks of `microcontroller.py`, a narrow residual one and BiRealNet20 with random weights run under QEMU. What
their counted cycles exceed the modelled sums of the layers by is fitted, by non-negative least squares of relative
errors, to requantised outputs, gathered rows of kernels and other values, in a target's cycles for an integer
operation. Prints JSON: the fit, and counted over modelled cycles for the constants that the export has.

Usage: python benchmarks/export_overhead.py [--targets cortex-m0,rv32imc]
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from greenshift.compress import Binary, calibrate, convert
from greenshift.deploy.c_export import export_c, verify_c
from greenshift.deploy.c_export.rows import plan_rows
from greenshift.deploy.c_export.signs import sign_maps
from greenshift.deploy.c_export.steps import is_direct
from greenshift.deploy.network import Addition, Convolution, Grid, Network, Step
from greenshift.deploy.packing import to_network
from greenshift.errors import InputError
from greenshift.models import build_model
from greenshift.targets import load_target
from greenshift.targets.target import CyclesModel
from microcontroller import NETWORKS, classified, convolution, image

KINDS = ("requantised_output", "gathered_kernel_row", "other_value")


@dataclass(frozen=True)
class Row:
    """One network on one target: counted and modelled cycles, those of the sums alone, and what surrounds them."""

    name: str
    counted: float
    modelled: float
    sums: float
    around: tuple[float, ...]  # by kind, times the cycles of an operation


def narrow() -> Network:
    """Four channels throughout and two shortcuts: most of the work is around the sums."""
    rng = np.random.default_rng(0)
    steps: list[Step] = [image(12, 3)]
    last = convolution(steps, rng, 4)
    for _ in range(2):
        convolution(steps, rng, 4, source=last)
        inner = convolution(steps, rng, 4, grid=Grid(-4, 128))
        steps.append(Addition(f"addition{len(steps)}", (inner, last), steps[inner].shape, Grid(-4)))
        last = len(steps) - 1
    return classified(steps, rng)


def birealnet() -> Network:
    """Signs on both sides, 98 steps, half the usual width, images of 8 by 8 pixels."""
    torch.manual_seed(0)
    images = torch.rand(32, 3, 8, 8)
    model = build_model("birealnet20", num_classes=10, in_channels=3, image_size=8, width=0.5)
    model, _ = convert(model, {"layer*": Binary(act_bits=1)}, images)
    calibrate(model, images, batches=1)
    return to_network(model.eval(), images, mean=(0.0,) * 3, std=(1.0,) * 3)[0]


def around(network: Network, *, counts_bits: bool) -> tuple[int, int, int]:
    """Requantised outputs, gathered rows of kernels and other values of one image."""
    plan = plan_rows(network, sign_maps(network) if counts_bits else {})
    outputs = rows = values = 0
    for step in network.steps:
        pixels = step.shape[0] * step.shape[1]
        if not isinstance(step, Convolution):
            values += pixels * step.shape[2]
            continue
        outputs += pixels * step.shape[2]
        gathers = not is_direct(step, network.steps[step.sources[0]], plan)
        rows += pixels * step.kernel[0] if gathers else 0
    return outputs, rows, values


def measure(name: str, network: Network, target_name: str, way: str | None) -> Row | None:
    """Export, run and count; None if the network does not fit, or nothing here counts the target's cycles."""
    target = load_target(target_name)
    assert isinstance(target.model, CyclesModel)
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = export_c(network, target, Path(folder), only=way)
        except InputError:
            return None
        counted = verify_c(Path(folder), target).runs[-1].cycles
    if counted is None:
        return None
    cycles = target.model.int_cycles_per_op.value
    parts = tuple(cycles * count for count in around(network, counts_bits=way is None))
    sums = sum(layer.cycles for layer in report.layers)
    return Row(f"{name}, {target_name}, {way or 'chosen'}", counted, report.cycles, sums, parts)


def fitted(rows: list[Row]) -> dict[str, float]:
    """Operations of each kind."""
    counted = np.array([row.counted for row in rows])
    excess = np.maximum(counted - [row.sums for row in rows], 0)
    found, _ = nnls(np.array([row.around for row in rows]) / counted[:, None], excess / counted)
    return dict(zip(KINDS, np.round(found, 1).tolist(), strict=True))


def main() -> None:
    """Print the fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", default="cortex-m0,cortex-m3,cortex-m4,rv32imc")
    targets = parser.parse_args().targets.split(",")
    torch.set_num_threads(1)
    networks = {name: make() for name, make in (NETWORKS | {"narrow": narrow, "birealnet20": birealnet}).items()}
    tried = [
        measure(name, network, target, way)
        for name, network in networks.items()
        for target in targets
        for way in (None, "loops")
    ]
    rows = [row for row in tried if row is not None]
    ratios = {row.name: round(row.counted / row.modelled, 2) for row in rows}
    chosen = [row for row in rows if row.name.endswith("chosen")]
    result = {
        "operations_fitted": {"chosen": fitted(chosen), "chosen and loops": fitted(rows)},
        "counted_over_modelled": {"least": min(ratios.values()), "most": max(ratios.values()), **ratios},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
