"""An exported ONNX model against the reference arithmetic, as ONNX Runtime runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from greenshift.deploy.network import Bytes, Network
from greenshift.deploy.onnx.export import onnx_model
from greenshift.deploy.onnx.steps import INPUT, step_output
from greenshift.deploy.reference import run_steps
from greenshift.errors import InputError


@dataclass(frozen=True)
class OnnxCheck:
    """How a model compares with the reference on some images.

    Attributes:
        runtime: What ran it.
        fused: Whether the runtime's graph optimisations were on, as they are by default.
        images: How many were run.
        equal: Whether all logits are equal to the bit.
        largest_difference: Between logits.
        largest_logit: Largest magnitude of the reference's logits.
        same_class: Images for which the largest logit is of the same class.
        steps: Steps that give bytes.
        equal_steps: Those of them with all bytes equal, when each is asked for as an output.
    """

    runtime: str
    fused: bool
    images: int
    equal: bool
    largest_difference: float
    largest_logit: float
    same_class: int
    steps: int
    equal_steps: int


def verify_onnx(network: Network, path: Path, images: Bytes, *, fused: bool = True) -> OnnxCheck:
    """Run an exported model and compare it with the reference.

    Args:
        network: The network that was exported.
        path: The model.
        images: uint8 (batch, height, width, channels).
        fused: Whether the runtime may optimise the graph, as it does by default.

    Raises:
        InputError: If onnxruntime is missing or refuses the model.
    """
    expected = run_steps(network, images)
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    logits = _session(str(path), fused).run(None, {INPUT: planes})[0]
    names = [step_output(index, step) for index, step in enumerate(network.steps[:-1])]
    inside = _session(onnx_model(network, all_outputs=True).SerializeToString(), fused).run(names, {INPUT: planes})
    equal_steps = [
        np.array_equal(found.transpose(0, 2, 3, 1), right) for found, right in zip(inside, expected[:-1], strict=True)
    ]
    right = expected[-1].reshape(len(images), -1)
    return OnnxCheck(
        runtime=_runtime(),
        fused=fused,
        images=len(images),
        equal=np.array_equal(logits, right),
        largest_difference=float(np.abs(logits - right).max()),
        largest_logit=float(np.abs(right).max()),
        same_class=int((logits.argmax(axis=1) == right.argmax(axis=1)).sum()),
        steps=len(names),
        equal_steps=sum(equal_steps),
    )


def _runtime() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def _session(model: str | bytes, fused: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("checking ONNX needs onnxruntime; install it by pip install 'greenshift[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base of their own
        raise InputError(f"onnxruntime refuses the model: {' '.join(str(error).split())[:300]}") from error
