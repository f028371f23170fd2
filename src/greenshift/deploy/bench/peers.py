"""The runtimes that a packed network is held against, and the forms in which they get it."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from greenshift.errors import InputError

Form = Literal["packed", "float32", "int8"]

# The widest instruction set that oneDNN, and OpenVINO and torch with it, may use beside each of ours; torch's own
# kernels know no VNNI. ONNX Runtime has no such setting.
ISA_CAPS: dict[str, dict[str, str]] = {
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "vnni": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "DNNL_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
}


@dataclass(frozen=True)
class Peer:
    """A way to run a network.

    Attributes:
        name: Such as `openvino-int8`.
        runner: Name of its runner.
        form: The file it runs: the packed one, or ONNX in float32 or int8. Torch is built from the packed one.
        needs: Packages that must be installed.
        capped: True if it keeps to an instruction set that the environment names.
        options: Of its runner.
    """

    name: str
    runner: str
    form: Form
    needs: tuple[str, ...]
    capped: bool
    options: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Return what keeps it from running here, or None."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"not installed ({', '.join(absent)}): pip install {' '.join(absent)}" if absent else None


OURS = Peer("greenshift", "greenshift", "packed", (), True)

# OpenVINO takes bfloat16 for a float32 network where the processor has it, unless it is told not to.
_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
_PEERS = (
    Peer("torch-float32", "torch", "packed", ("torch",), True),
    Peer("onnxruntime-float32", "onnxruntime", "float32", ("onnx", "onnxruntime"), False),
    Peer("onnxruntime-int8", "onnxruntime", "int8", ("onnx", "onnxruntime"), False),
    Peer("openvino-float32", "openvino", "float32", ("onnx", "openvino"), True, _FLOAT32),
    Peer("openvino-bfloat16", "openvino", "float32", ("onnx", "openvino"), True, {"INFERENCE_PRECISION_HINT": "bf16"}),
    Peer("openvino-int8", "openvino", "int8", ("onnx", "openvino"), True),
)
PEERS = {peer.name: peer for peer in _PEERS}
DEFAULT_PEERS = tuple(name for name in PEERS if name != "openvino-bfloat16")


def get_peers(names: Sequence[str]) -> tuple[Peer, ...]:
    """Look peers up by name, in order.

    Raises:
        InputError: If a name is unknown or given twice.
    """
    for name in names:
        if name not in PEERS:
            raise InputError(f"bench: unknown peer '{name}'; known: {', '.join(PEERS)}")
    if len(set(names)) != len(names):
        raise InputError(f"bench: {', '.join(names)} names one peer twice")
    return tuple(PEERS[name] for name in names)
