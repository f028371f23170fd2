"""From a trained model to a packed network."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from greenshift.data import normalise
from greenshift.deploy.network import Network
from greenshift.deploy.packing.assembly import Assembly
from greenshift.deploy.packing.calibration import calibrate
from greenshift.deploy.packing.layers import Codes, codes
from greenshift.deploy.packing.lowering import lower
from greenshift.deploy.packing.operations import Operation, Weighted
from greenshift.deploy.packing.report import PackedLayer, PackReport
from greenshift.deploy.packing.simulate import simulate
from greenshift.deploy.packing.tracing import trace
from greenshift.deploy.validity import check
from greenshift.errors import InputError

_BATCH = 64


def to_network(
    model: nn.Module,
    example_inputs: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    description: dict[str, Any] | None = None,
    allow_rounding: bool = False,
) -> tuple[Network, PackReport]:
    """Turn a trained model into a network of integers.

    Batch norms and clamping activations go into the layers before them. A layer with a scheme keeps the weights that
    it was trained with, exactly; one without becomes int8 with a scale per output. The step of every map is the power
    of two with the least squared error on the example inputs.

    Args:
        model: A network with one image input that returns logits; it is not changed.
        example_inputs: Images to choose the steps by, float (N, C, H, W) from 0 to 1, at least one. A few hundred
            training images are better than one.
        mean: Of each channel on the scale 0..1, which the model expects to be subtracted; None for a model that takes
            images from 0 to 1.
        std: Of each channel, which the model expects to be divided by; goes with `mean`.
        description: JSON values that travel with the network; what packing changed is added under `packing`.
        allow_rounding: Store a shift layer in 4 bits if it was trained with at most as many, else in 5, also if its
            exponents need more: weights below the window become the nearest of 0 and its smallest weight.

    Returns:
        The network, and what was done to the model.

    Raises:
        InputError: If the images are not such images, a layer is not supported, its exponents need more levels than
            there are, or its sums more than 32 bits.
    """
    pixels = _pixels(example_inputs)
    mean, std = _normalisation(mean, std, pixels.shape[1])
    images = normalise(pixels, mean, std)
    graph = trace(model, images)
    operations = lower(graph)
    weights = _all_codes(operations, allow_rounding)
    calibrated = calibrate(graph, operations, images)
    raw = torch.arange(256, dtype=torch.uint8).expand(1, pixels.shape[1], 1, 256)
    steps = Assembly(calibrated, weights, normalise(raw, mean, std)).steps()
    check(Network(steps))
    report = _report(Network(steps), weights, calibrated.outputs, pixels)
    report = dataclasses.replace(report, merged=_merged(graph, operations))
    return Network(steps, {**(description or {}), "packing": report.changes()}), report


def pack(
    model: nn.Module,
    path: str | Path,
    example_inputs: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    description: dict[str, Any] | None = None,
    allow_rounding: bool = False,
) -> PackReport:
    """Write a trained model as a packed file; arguments and errors are those of `to_network`.

    Returns:
        What was done to the model, and the size of the file.
    """
    from greenshift.deploy.file import write_network

    options: dict[str, Any] = {"mean": mean, "std": std, "description": description, "allow_rounding": allow_rounding}
    network, report = to_network(model, example_inputs, **options)
    write_network(Path(path), network)
    return dataclasses.replace(report, size_bytes=Path(path).stat().st_size)


def _pixels(images: Tensor) -> Tensor:
    """Return images from 0 to 1 as bytes."""
    if images.dim() != 4 or 0 in images.shape:
        raise InputError(f"pack: example inputs must be images (N, C, H, W), not of the shape {tuple(images.shape)}")
    if not images.is_floating_point():
        raise InputError("pack: example inputs must be floats from 0 to 1; divide bytes by 255")
    low, high = (float(end) for end in torch.aminmax(images.float()))
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"pack: example inputs reach from {low:.3g} to {high:.3g}; give images from 0 to 1, and the normalisation "
            "that the model expects as mean and std"
        )
    return (images.detach().cpu().float() * 255).round().to(torch.uint8)


def _normalisation(
    mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> tuple[Sequence[float], Sequence[float]]:
    if (mean is None) != (std is None):
        raise InputError("pack: give mean and std together, or neither of them")
    if mean is None or std is None:
        return (0.0,) * channels, (1.0,) * channels
    if not len(mean) == len(std) == channels or min(std) <= 0:
        raise InputError(f"pack: mean and std need one number for each of {channels} channels, std above 0")
    return mean, std


def _all_codes(operations: dict[str, Operation], allow_rounding: bool) -> dict[str, Codes]:
    layers = [operation for operation in operations.values() if isinstance(operation, Weighted)]
    return {layer.name: codes(layer.layer, layer.name, allow_rounding=allow_rounding) for layer in layers}


def _merged(graph: fx.GraphModule, operations: dict[str, Operation]) -> tuple[str, ...]:
    calls = [node for node in graph.graph.nodes if node.op.startswith("call") and "shape" in node.meta]
    names = [str(node.target) if node.op == "call_module" else node.name for node in calls]
    return tuple(name for name in names if name not in operations)


def _report(network: Network, weights: dict[str, Codes], wanted: Tensor, pixels: Tensor) -> PackReport:
    packed = simulate(network)
    with torch.no_grad():
        found = torch.cat([packed(batch) for batch in (pixels.float() / 255).split(_BATCH)])
    wanted = wanted.view_as(found)
    layers = tuple(
        PackedLayer(
            step.name,
            step.storage.kind,
            step.storage.bits,
            int(step.weight.size),
            weights[step.name].scheme,
            weights[step.name].rounded,
            weights[step.name].rounded_energy,
        )
        for step in network.convolutions
    )
    return PackReport(
        layers=layers,
        steps=len(network.steps),
        merged=(),
        calibration_images=len(pixels),
        agreement=float((found.argmax(1) == wanted.argmax(1)).float().mean()),
        largest_difference=float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-12)),
        float32_bytes=4 * sum(layer.weights for layer in layers) + 4 * sum(s.shape[2] for s in network.convolutions),
    )
