"""ONNX Runtime on one matrix product: float32, int8 and 4 bits, one thread each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

Product = Callable[[Any], Any]


def matmul_float32(weight: Any) -> Product:
    """Return x @ weight for float32 x (rows, inputs) and weight (inputs, outputs)."""
    return _session("MatMul", ["x", "w"], {"w": weight.astype(np.float32)}, TensorProto.FLOAT, TensorProto.FLOAT)


def matmul_integer(weight: Any) -> Product:
    """Return the int32 sums of uint8 x times int8 weight (inputs, outputs)."""
    return _session("MatMulInteger", ["x", "w"], {"w": weight.astype(np.int8)}, TensorProto.UINT8, TensorProto.INT32)


def matmul_quantized(weight: Any) -> Product:
    """Return uint8 x times int8 weight (inputs, outputs), scaled to uint8: the same work as a layer of ours."""
    one, zero = np.float32(1.0), np.uint8(0)
    constants = {"w": weight.astype(np.int8), "xs": one, "xz": zero, "ws": one, "wz": np.int8(0)}
    constants |= {"ys": np.float32(4096.0), "yz": np.uint8(128)}
    inputs = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    return _session("QLinearMatMul", inputs, constants, TensorProto.UINT8, TensorProto.UINT8)


def matmul_4bit(inputs: int, outputs: int) -> Product:
    """Return x @ weight for float32 x and random weights of 4 bits with a scale per 32, computed in int8."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.integers(0, 256, (outputs, inputs // 32, 16), dtype=np.uint8),
        "s": np.ones(outputs * inputs // 32, np.float32),
    }
    options = {"K": inputs, "N": outputs, "bits": 4, "block_size": 32, "accuracy_level": 4, "domain": "com.microsoft"}
    return _session("MatMulNBits", ["x", "w", "s"], constants, TensorProto.FLOAT, TensorProto.FLOAT, **options)


def _session(
    operator: str, inputs: list[str], constants: dict[str, Any], taken: int, given: int, **attributes: Any
) -> Product:
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **attributes)],
        "product",
        [helper.make_tensor_value_info("x", taken, [None, None])],
        [helper.make_tensor_value_info("y", given, [None, None])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]
