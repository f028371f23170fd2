"""What a node of a trace calls: one word for a module, a function and a method that do the same."""

from dataclasses import dataclass
from typing import Any, cast

from torch import fx, nn

from greenshift.compress.activations import ScaledActivation

# What modules compute, in the words of torch's functions.
_MODULES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardtanh: "hardtanh",
    nn.MaxPool2d: "max_pool2d",
    nn.AvgPool2d: "avg_pool2d",
    nn.AdaptiveAvgPool2d: "adaptive_avg_pool2d",
    nn.AdaptiveMaxPool2d: "adaptive_max_pool2d",
    nn.BatchNorm2d: "batch_norm",
    nn.BatchNorm1d: "batch_norm",
    nn.Flatten: "reshape",
    nn.Unflatten: "reshape",
    nn.ZeroPad2d: "pad",
    nn.Identity: "identity",
    nn.Dropout: "identity",
    nn.Dropout2d: "identity",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "softmax",
}
_ELEMENTWISE_MODULES = (
    *(nn.LeakyReLU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.GELU, nn.ELU, nn.CELU, nn.SELU),
    *(nn.Mish, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold),
    ScaledActivation,
)
_ELEMENTWISE = {
    *("leaky_relu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "gelu", "elu", "celu", "selu", "mish"),
    *("softplus", "softsign", "logsigmoid", "hardshrink", "softshrink", "tanhshrink", "threshold"),
    *("mul", "div", "truediv", "neg", "abs", "square"),
}
_SYNONYMS = {
    **{"flatten": "reshape", "view": "reshape", "unflatten": "reshape", "squeeze": "reshape", "unsqueeze": "reshape"},
    **{"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv", "clip": "clamp", "concat": "cat"},
    **{"concatenate": "cat", "contiguous": "identity", "clone": "identity", "log_softmax": "softmax"},
}
# Positional arguments after the input; modules have attributes of these names.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "hardtanh": ("min_val", "max_val"),
    "clamp": ("min", "max"),
    "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("output_size",),
    "adaptive_max_pool2d": ("output_size", "return_indices"),
    "mean": ("dim", "keepdim"),
    "add": ("other",),
    "sub": ("other",),
    "cat": ("dim",),
    "getitem": ("index",),
    "pad": ("padding", "mode", "value"),
    "dropout": ("p", "training"),
}


@dataclass(frozen=True)
class Call:
    """One node of a trace.

    Attributes:
        node: The node.
        kind: What it computes, in the words of torch's functions; `weighted`, `elementwise` or `unknown` otherwise.
        label: What to call it in messages.
        inputs: Nodes with tensors that it reads.
        arguments: The other arguments by name.
        module: Its module, if it calls one.
    """

    node: fx.Node
    kind: str
    label: str
    inputs: tuple[fx.Node, ...]
    arguments: dict[str, Any]
    module: nn.Module | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what it gives, for a batch of two."""
        return cast(tuple[int, ...], self.node.meta["shape"])

    @property
    def in_place(self) -> bool:
        """True if it overwrites its input."""
        if self.module is not None:
            return bool(getattr(self.module, "inplace", False))
        name = getattr(self.node.target, "__name__", str(self.node.target))
        method = self.node.op == "call_method" and name.endswith("_")
        return method or name in ("iadd", "isub", "imul", "itruediv") or self.node.kwargs.get("inplace") is True


def read_call(node: fx.Node, modules: dict[str, nn.Module]) -> Call:
    """Say what a node of a trace calls; `shape` or `value` must be in the nodes' meta data."""
    module = modules[str(node.target)] if node.op == "call_module" else None
    inputs = tuple(n for n in node.all_input_nodes if "shape" in n.meta)
    if module is not None:
        kind = _module_kind(module)
        names = _PARAMETERS.get(kind, ())
        arguments = {name: getattr(module, name) for name in names if hasattr(module, name)}
        return Call(node, kind, f"{node.target} ({type(module).__name__})", inputs, arguments, module)
    name = getattr(node.target, "__name__", str(node.target))
    kind = name.strip("_")
    kind = _SYNONYMS.get(kind, kind)
    arguments = dict(zip(_PARAMETERS.get(kind, ()), (_plain(a) for a in node.args[1:]), strict=False))
    arguments |= {name: _plain(value) for name, value in node.kwargs.items()}
    if kind in _ELEMENTWISE:
        kind = "elementwise"
    return Call(node, kind, f"{node.name} ({name})", inputs, arguments, None)


def _module_kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return "weighted"
    if isinstance(module, nn.PReLU):
        return "elementwise" if module.num_parameters == 1 else "unknown"
    return "elementwise" if type(module) in _ELEMENTWISE_MODULES else _MODULES.get(type(module), "unknown")


def _plain(value: Any) -> Any:
    """Put in the numbers that other nodes computed, such as sizes."""
    return fx.map_arg(value, lambda node: node.meta.get("value", node))
