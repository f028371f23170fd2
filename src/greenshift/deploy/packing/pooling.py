"""Windows, paddings and slices of torch's layers in the terms of packed networks.

A function that gives a text instead says why the layer cannot be packed.
"""

from typing import Any

from torch import nn

from greenshift.deploy.network import Shape
from greenshift.deploy.packing.calls import Call

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
Windows = tuple[Pair, Pair, Padding]


def convolution_padding(layer: nn.Conv2d) -> Padding:
    """Return the zeros above, left, below and right of a convolution's input."""
    if layer.padding == "valid":
        return 0, 0, 0, 0
    if layer.padding == "same":
        reach = [dilation * (size - 1) for dilation, size in zip(layer.dilation, layer.kernel_size, strict=True)]
        return reach[0] // 2, reach[1] // 2, reach[0] - reach[0] // 2, reach[1] - reach[1] // 2
    vertical, horizontal = _pair(layer.padding)
    return vertical, horizontal, vertical, horizontal


def windows(call: Call, shape: Shape) -> Windows | str:
    """Return kernel, stride and padding of a pooling.

    Args:
        call: A pooling, or a mean over dimensions.
        shape: Height, width, channels of its input.
    """
    size, arguments = shape[:2], call.arguments
    if len(call.inputs[0].meta["shape"]) != 4:
        return "pools over flattened maps"
    if call.kind == "mean":
        dimensions = arguments.get("dim")
        given = {d % 4 for d in (dimensions if isinstance(dimensions, tuple | list) else (dimensions or 0,))}
        return (size, size, (0, 0, 0, 0)) if given == {2, 3} else "is supported over height and width only"
    if call.kind.startswith("adaptive"):
        return _adaptive(call, size)
    kernel = _pair(arguments["kernel_size"])
    given_stride = arguments.get("stride")
    stride = kernel if given_stride is None or given_stride == () else _pair(given_stride)
    before = _pair(arguments.get("padding", 0))
    # A window that reaches over the lower or right edge, as with ceil_mode, needs padding there.
    reach = [(out - 1) * step + k for out, step, k in zip(call.shape[2:], stride, kernel, strict=True)]
    after = [max(r - b - s, 0) for r, b, s in zip(reach, before, size, strict=True)]
    padding = before[0], before[1], after[0], after[1]
    if call.kind == "max_pool2d":
        fits = _pair(arguments.get("dilation", 1)) == (1, 1) and not arguments.get("return_indices", False)
        return (kernel, stride, padding) if fits else "with dilation or indices is not supported"
    if any(padding) or arguments.get("divisor_override") is not None:
        return "is supported without padding, ceil_mode at the edge and divisor_override only"
    return kernel, stride, padding


def _adaptive(call: Call, size: Pair) -> Windows | str:
    out = call.shape[2:]
    if call.arguments.get("return_indices", False) or size[0] % out[0] or size[1] % out[1]:
        return f"pools {size[0]}x{size[1]} to {out[0]}x{out[1]}, whose windows have no common size"
    kernel = size[0] // out[0], size[1] // out[1]
    return kernel, kernel, (0, 0, 0, 0)


def subsampling(call: Call) -> tuple[int, int] | str:
    """Return the stride, and the number of zero channels in front, of a slice or a padding with zero channels."""
    if len(call.shape) != 4:
        return "is supported for maps only"
    if call.kind == "getitem":
        return _slice_stride(call.arguments["index"])
    padding = list(call.arguments["padding"])
    value, mode = call.arguments.get("value"), call.arguments.get("mode", "constant")
    padding += [0] * (8 - len(padding))
    plain = mode == "constant" and not value and min(padding) >= 0
    if not plain or any(padding[:4]) or any(padding[6:]):
        return "is supported for zero channels only; give the zeros around a map to the convolution"
    return 1, padding[4]


def _slice_stride(index: Any) -> tuple[int, int] | str:
    everything = slice(None)
    index = index if isinstance(index, tuple) else (index,)
    index += (everything,) * (4 - len(index))
    batch, channels, rows, columns = index
    steps = {part.step or 1 for part in (rows, columns) if isinstance(part, slice)}
    whole = batch == channels == everything and all(
        isinstance(part, slice) and part.start in (None, 0) and part.stop is None for part in (rows, columns)
    )
    return (steps.pop(), 0) if whole and len(steps) == 1 else "is supported for every n-th row and column only"


def _pair(value: Any) -> Pair:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[-1]))
