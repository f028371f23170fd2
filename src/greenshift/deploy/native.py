"""The compiled library as ctypes sees it, and networks as its array of ops."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Step,
    Subsampling,
)
from greenshift.errors import InputError

Library = ctypes.CDLL
KEEP_MAPS, NO_FUSION = 1, 2
_KINDS = (Input, Convolution, Addition, MaxPooling, AveragePooling, Lookup, Subsampling, Concatenation)
_INTEGERS = (
    *("height", "width", "channels", "is_float", "exponent", "zero", "low", "high"),
    *("kernel_h", "kernel_w", "stride_h", "stride_w", "top", "left", "bottom", "right"),
    *("groups", "before", "weight_bytes"),
)


class Op(ctypes.Structure):
    """`gs_op` of csrc/greenshift.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("source_count", ctypes.c_int32),
        ("sources", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in _INTEGERS),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("multiplier", ctypes.c_void_p),
        ("table", ctypes.c_void_p),
    )


@cache
def load_library() -> Library | str:
    """Return the compiled library beside this file, or why there is none."""
    for name in ("libgreenshift.so", "libgreenshift.dylib", "greenshift.dll"):
        path = Path(__file__).with_name(name)
        if path.exists():
            try:
                return _declare(ctypes.CDLL(str(path)))
            except OSError as error:
                return f"{path} does not load: {error}"
    return f"there is no compiled library in {Path(__file__).parent}"


def _declare(library: Library) -> Library:
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "gs_create": (pointer, [ctypes.POINTER(Op), integer, text, integer, text, ctypes.c_size_t]),
        "gs_destroy": (None, [pointer]),
        "gs_arena_bytes": (ctypes.c_size_t, [pointer, integer]),
        "gs_arena_prepare": (None, [pointer, integer, pointer]),
        "gs_run": (None, [pointer, pointer, pointer, integer, pointer]),
        "gs_profile": (None, [pointer, pointer, pointer, integer, pointer, pointer]),
        "gs_kernel": (text, [pointer]),
        "gs_step_kernel": (text, [pointer, integer]),
        "gs_has_isa": (integer, [text]),
        "gs_step_output": (integer, [pointer, pointer, integer, integer, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def create(library: Library, network: Network, isa: str | None, flags: int) -> int:
    """Return the handle of a network, to be given to `gs_destroy` in the end.

    Raises:
        InputError: The library refuses the network or the instruction set.
    """
    kept: list[NDArray[Any]] = []
    ops = (Op * len(network.steps))(*(_make_op(network, step, kept) for step in network.steps))
    error = ctypes.create_string_buffer(256)
    handle = library.gs_create(ops, len(ops), isa.encode() if isa else None, flags, error, len(error))
    if handle is None:
        of = f" ({isa})" if isa else ""
        raise InputError(f"the network cannot run{of}: {error.value.decode()}")
    return int(handle)


def _make_op(network: Network, step: Step, kept: list[NDArray[Any]]) -> Op:
    """Return a step as an op. What it points to is appended to `kept` and must outlive it."""

    def address(values: Any, dtype: Any) -> int:
        kept.append(np.ascontiguousarray(values, dtype))
        return kept[-1].ctypes.data

    op = Op(kind=_KINDS.index(type(step)), source_count=len(step.sources), sources=address(step.sources, np.int32))
    op.height, op.width, op.channels = step.shape
    op.is_float = step.grid is None
    if step.grid is not None:
        op.exponent, op.zero = step.grid.exponent, step.grid.zero
    if isinstance(step, Convolution | Addition):
        op.low, op.high = step.low, step.high
    if isinstance(step, Convolution | MaxPooling):
        op.top, op.left, op.bottom, op.right = step.padding
    if isinstance(step, Convolution | MaxPooling | AveragePooling):
        (op.kernel_h, op.kernel_w), (op.stride_h, op.stride_w) = step.kernel, step.stride
    if isinstance(step, Subsampling):
        op.stride_h = op.stride_w = step.stride
        op.before = step.before
    if isinstance(step, Input | Lookup):
        op.table = address(step.table, np.uint8)
    if isinstance(step, Convolution):
        _check_shapes(network, step)
        op.groups, op.weight_bytes = step.groups, 2
        op.weight, op.bias = address(step.weight, np.int16), address(step.bias, np.int32)
        op.multiplier = address(step.multiplier, np.float32)
    return op


def _check_shapes(network: Network, step: Convolution) -> None:
    # The library sees pointers only: arrays that are too short must be found here.
    inputs = network.steps[step.sources[0]].shape[2] // max(step.groups, 1)
    wanted = (step.shape[2], *step.kernel, inputs)
    if step.weight.shape != wanted or step.bias.shape != wanted[:1] or step.multiplier.shape != wanted[:1]:
        raise InputError(f"{step.name}: weights, bias and multipliers are not of the shape that {wanted} asks for")
