"""A network in integers as ONNX: bytes between the steps, QuantizeLinear and DequantizeLinear around each.

A runtime that fuses those patterns, such as ONNX Runtime, computes in integers and gives the bytes of the reference;
one that does not computes in float32, in which a rare byte may be one off. Where the processor has no dot product of
bytes (AVX2 without VNNI), int8 weights above 64 may saturate inside a runtime; those of 4-bit shift layers cannot.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenshift import __version__
from greenshift.deploy.network import Network
from greenshift.deploy.onnx.graph import Graph
from greenshift.deploy.onnx.steps import INPUT, OUTPUT, fits_int8, step_output, write_step
from greenshift.deploy.validity import check
from greenshift.errors import InputError

# The first in which DequantizeLinear has a scale per channel; what reads it is of 2020 or younger.
OPSET = 13
IR_VERSION = 7


@dataclass(frozen=True)
class OnnxReport:
    """What was exported.

    Attributes:
        path: The file.
        size_bytes: Of the file.
        opset: Version of the operators.
        input: What the model reads.
        output: What it gives.
        int8_layers: Names of the layers whose weights are int8, with a scale per channel.
        widened_layers: Names of the layers that were widened to two int8 weights each, because one does not hold
            theirs.
    """

    path: Path
    size_bytes: int
    opset: int
    input: str
    output: str
    int8_layers: tuple[str, ...]
    widened_layers: tuple[str, ...]


def export_onnx(network: Network, path: Path) -> OnnxReport:
    """Write a network as ONNX.

    The model reads `images`, uint8 (batch, channels, height, width) with raw bytes 0..255, and gives `logits`, float32
    (batch, classes). The normalisation is inside: a look-up per channel.

    Args:
        network: A valid network.
        path: File to write; its folder is made if needed.

    Returns:
        What was written.

    Raises:
        InputError: If the network is not valid, the package onnx is missing or the file cannot be written.
    """
    check(network)
    _require_onnx()
    data = onnx_model(network).SerializeToString()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error
    height, width, channels = network.input.shape
    return OnnxReport(
        path,
        len(data),
        OPSET,
        f"{INPUT}: uint8 (batch, {channels}, {height}, {width}), raw bytes",
        f"{OUTPUT}: float32 (batch, {network.classes})",
        tuple(layer.name for layer in network.convolutions if fits_int8(layer)),
        tuple(layer.name for layer in network.convolutions if not fits_int8(layer)),
    )


def onnx_model(network: Network, *, all_outputs: bool = False) -> Any:
    """Return a valid network as an ONNX model.

    Args:
        network: The network.
        all_outputs: Whether the bytes of every step are outputs too, under the names of `step_output`.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = Graph()
    for index in range(len(network.steps)):
        write_step(graph, network, index)
    height, width, channels = network.input.shape
    reads = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", channels, height, width])
    gives = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", network.classes])]
    if all_outputs:
        gives += [
            helper.make_tensor_value_info(
                step_output(index, step), TensorProto.UINT8, ["batch", step.shape[2], *step.shape[:2]]
            )
            for index, step in enumerate(network.steps[:-1])
        ]
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "greenshift", [reads], gives, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="greenshift",
        producer_version=__version__,
    )
    checker.check_model(model, full_check=True)
    return model


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise InputError("ONNX export needs the package onnx; install it by pip install 'greenshift[onnx]'") from error
