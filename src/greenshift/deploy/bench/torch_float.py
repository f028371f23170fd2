"""The float32 form of a network in torch, eagerly run, batch normalisation folded."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from greenshift.deploy.bench.unquantised import no_float_form, real_range, real_weights, source_grid
from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Subsampling,
)

Operation = Callable[..., Any]


def float_network(network: Network) -> Callable[[Tensor], Tensor]:
    """Return the float32 form of a network as a function of images in channels_last (see `unquantised.real_images`).

    Raises:
        InputError: If a step has no float32 form.
    """
    operations = [_operation(network, index) for index in range(len(network.steps))]

    def run(images: Tensor) -> Tensor:
        maps: list[Tensor] = []
        for step, operation in zip(network.steps, operations, strict=True):
            maps.append(operation(*(maps[source] for source in step.sources)) if step.sources else images)
        return maps[-1].flatten(1)

    return run


def _operation(network: Network, index: int) -> Operation:
    step = network.steps[index]
    if isinstance(step, Lookup):
        raise no_float_form(step)
    if isinstance(step, Convolution):
        return _convolution(network, index, step)
    if isinstance(step, Addition):
        limit = _limit(step)
        return lambda left, right: limit(left + right)
    if isinstance(step, MaxPooling):
        padding = _padding(step.padding)
        return lambda x: functional.max_pool2d(
            functional.pad(x, padding, value=float("-inf")) if any(padding) else x, step.kernel, step.stride
        )
    if isinstance(step, AveragePooling):
        return lambda x: functional.avg_pool2d(x, step.kernel, step.stride)
    if isinstance(step, Subsampling):
        after = step.shape[2] - network.steps[step.sources[0]].shape[2] - step.before
        channels = (0, 0, 0, 0, step.before, after)
        return lambda x: functional.pad(x[:, :, :: step.stride, :: step.stride], channels)
    assert isinstance(step, Input | Concatenation)
    return lambda *maps: torch.cat(maps, dim=1)


def _convolution(network: Network, index: int, step: Convolution) -> Operation:
    weight, bias = map(torch.from_numpy, real_weights(step, source_grid(network, index)))
    weight = weight.contiguous(memory_format=torch.channels_last)
    top, left, bottom, right = step.padding
    limit = _limit(step)
    if (top, left) == (bottom, right):
        return lambda x: limit(functional.conv2d(x, weight, bias, step.stride, (top, left), groups=step.groups))
    outside = _padding(step.padding)
    return lambda x: limit(functional.conv2d(functional.pad(x, outside), weight, bias, step.stride, groups=step.groups))


def _limit(step: Convolution | Addition) -> Operation:
    low, high = real_range(step)
    if low is None and high is None:
        return lambda x: x
    if low == 0 and high is None:
        return lambda x: x.relu_()
    return lambda x: x.clamp_(low, high)


def _padding(padding: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Torch's order: left, right, top, bottom."""
    top, left, bottom, right = padding
    return left, right, top, bottom
