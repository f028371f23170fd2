"""Put other activation functions into a network, with fixed or trained scales (SAFS).

Functions and scales are those of SAFS (Loni et al., "Learning Activation Functions for Sparse Neural
Networks", AutoML 2023): alpha f(beta x) with one alpha and one beta for a module, but for the three families
whose own parameters stand in for them.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.activations import Activation, ActivationName
from greenshift.compress.convert import replace_modules
from greenshift.errors import InputError

# From here on `symexp` goes on straight, with the slope that it has here: a network without normalisation, or a
# trained beta, could not overflow even bfloat16 then, and values up to here, e^5 - 1 = 147, are the function's own.
_SYMEXP_LIMIT = 5.0
# e^-x of `srs` stops growing here, where the function is 0 to float32; its square has to stay finite for the gradient.
_SRS_LIMIT = 40.0
# `srs` has no pole as long as its two parameters are not further apart than a factor of e.
_SRS_SMALLEST, _SRS_RATIOS = 0.1, (0.2, 2.0)

# Operations of one value. Assumption, as no source counts them for all targets: an exponential or a logarithm is a
# range reduction (4), a polynomial of degree 5 in Horner's form (10) and a scaling by 2^n (2); a division is an
# estimate of the reciprocal, one Newton step and a multiplication (4). Anything simpler is one.
_EXP = _LOG = 16
_DIVISION = 4
_SIGMOID = 1 + _EXP + 1 + _DIVISION
_TANH = 1 + _SIGMOID + 2  # 2 sigmoid(2x) - 1
_ERF = 2 + _DIVISION + 10 + 1 + _EXP + 3  # Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26
_SOFTPLUS = 2 + _EXP + 1 + _LOG + 1  # max(x, 0) + ln(1 + e^-|x|)


@dataclass(frozen=True)
class Family:
    """One activation function of x and its scales.

    Attributes:
        function: Called with float32 values and the scales.
        scales: What the scales start from, or stay.
        operations: Simple operations for one value while alpha and beta are 1 and left out (assumption).
        scaling: Multiplications that trained scales add.
    """

    function: Callable[..., Tensor]
    scales: tuple[float, ...]
    operations: int
    scaling: int


def _acon(x: Tensor, p1: Tensor, p2: Tensor, beta: Tensor) -> Tensor:
    """ACON-C, Ma et al., "Activate or Not" (CVPR 2021), equation 10."""
    difference = (p1 - p2) * x
    return difference * torch.sigmoid(beta * difference) + p2 * x


def _srs(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Soft-Root-Sign, Zhou et al., arXiv 2003.03915: x / (x / alpha + e^(-x / beta))."""
    alpha = alpha.clamp(min=_SRS_SMALLEST)
    low, high = _SRS_RATIOS
    beta = torch.minimum(torch.maximum(beta, low * alpha), high * alpha)
    return x / (x / alpha + torch.exp((-x / beta).clamp(max=_SRS_LIMIT)))


def _symlog(x: Tensor) -> Tensor:
    return x.sign() * torch.log1p(x.abs())


def _symexp(x: Tensor) -> Tensor:
    size = x.abs()
    inside = size.clamp(max=_SYMEXP_LIMIT)
    beyond = (size - inside) * math.exp(_SYMEXP_LIMIT)
    return x.sign() * (torch.expm1(inside) + beyond)


def _scaled(function: Callable[[Tensor], Tensor], operations: int) -> Family:
    """Alpha f(beta x)."""
    return Family(lambda x, alpha, beta: alpha * function(beta * x), (1.0, 1.0), operations, 2)


_FAMILIES: dict[ActivationName, Family] = {
    "relu": _scaled(torch.relu, 1),
    "relu6": _scaled(functional.relu6, 2),
    "hardswish": _scaled(functional.hardswish, 5),
    "swish": _scaled(functional.silu, _SIGMOID + 1),
    # Biswas et al., "TanhSoft", arXiv 2009.03863.
    "tanhsoft1": Family(lambda x, p: torch.tanh(p * x) * functional.softplus(x), (1.0,), _TANH + _SOFTPLUS + 1, 1),
    # p2 starts where the slope of a PReLU does (He et al., "Delving Deep into Rectifiers", section 2.1), of which
    # this is the smooth form; with p2 = 0 it would be `swish`.
    "acon": Family(_acon, (1.0, 0.25, 1.0), _SIGMOID + 5, 0),
    "gelu": _scaled(functional.gelu, _ERF + 4),
    "srs": Family(_srs, (2.0, 3.0), 3 + _EXP + _DIVISION, 0),
    "elu": _scaled(functional.elu, 2 + _EXP),
    "tanh": _scaled(torch.tanh, _TANH),
    "softplus": _scaled(functional.softplus, _SOFTPLUS),
    "logsigmoid": _scaled(functional.logsigmoid, 1 + _SOFTPLUS),
    "symlog": _scaled(_symlog, 3 + _LOG),
    "symexp": _scaled(_symexp, 3 + _EXP),
}

# Modules that a design may put others in place of, and what they are.
_MODULES: dict[type[nn.Module], ActivationName] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hardswish",
    nn.SiLU: "swish",
    nn.GELU: "gelu",
    nn.ELU: "elu",
    nn.Tanh: "tanh",
    nn.Softplus: "softplus",
    nn.LogSigmoid: "logsigmoid",
}
# A bound on the values, which the layer before it can apply.
_CLAMPS = (Activation("relu"), Activation("relu6"))


class ScaledActivation(nn.Module):
    """An activation function with scales, which are parameters if they are trained and constants otherwise.

    It computes in float32 and gives what its input was: exponentials of bfloat16 values lose the small ones.
    """

    scales: Tensor

    def __init__(self, choice: Activation) -> None:
        """Take the function; its scales start from the values of its family."""
        super().__init__()
        self.choice = choice
        scales = torch.tensor(_FAMILIES[choice.name].scales)
        if choice.trained:
            self.scales = nn.Parameter(scales)
        else:
            self.register_buffer("scales", scales, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map each value."""
        return _FAMILIES[self.choice.name].function(x.float(), *self.scales.unbind()).to(x.dtype)

    def extra_repr(self) -> str:
        """Name, and whether it is trained."""
        return f"{self.choice.name}, trained={self.choice.trained}"


def activation_of(module: nn.Module) -> Activation | None:
    """Return which activation function a module is, None if it is none that a design can name."""
    if isinstance(module, ScaledActivation):
        return module.choice
    name = _MODULES.get(type(module))
    return None if name is None else Activation(name)


def operations_of(choice: Activation) -> int:
    """Return the simple operations that one value costs in arithmetic, 0 if the layer before can do it.

    The counts are assumptions (see the module); a look-up table takes their place where values are bytes.
    """
    if choice in _CLAMPS:
        return 0
    family = _FAMILIES[choice.name]
    return family.operations + (family.scaling if choice.trained else 0)


def scale_count(choice: Activation) -> int:
    """Return how many numbers a function's trained scales are, 0 if they are not trained."""
    return len(_FAMILIES[choice.name].scales) if choice.trained else 0


def assign_activations(model: nn.Module, choices: Sequence[tuple[str, Activation]]) -> dict[str, Activation]:
    """Say which activation module of a network becomes what, by name, without building anything.

    Args:
        model: Any network whose activations are modules.
        choices: Pairs of a glob over the names of the activation modules and a function; the first glob that
            matches a module decides.

    Raises:
        InputError: If a glob selects nothing.
    """
    names = [name for name, module in model.named_modules() if activation_of(module) is not None]
    for glob, _ in choices:
        if not any(fnmatchcase(name, glob) for name in names):
            known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            there = f"those of the network are {known}" if names else "the network has none (it calls functions)"
            raise InputError(f"activations: '{glob}' selects no activation module; {there}")
    matches = ((name, next((c for glob, c in choices if fnmatchcase(name, glob)), None)) for name in names)
    return {name: choice for name, choice in matches if choice is not None}


def set_activations(model: nn.Module, choices: Sequence[tuple[str, Activation]]) -> nn.Module:
    """Put the chosen activation functions into a copy of a network; weights and mode stay.

    Args:
        model: Any network whose activations are modules; it is not changed.
        choices: As for `assign_activations`.

    Raises:
        InputError: If a glob selects nothing.
    """
    model = copy.deepcopy(model)
    modules = dict(model.named_modules())
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    assigned = assign_activations(model, choices)
    replacements = {modules[name]: _build(choice).to(device) for name, choice in assigned.items()}
    return replace_modules(model, replacements).train(model.training)


def _build(choice: Activation) -> nn.Module:
    if choice in _CLAMPS:  # what other parts know as a clamp stays one
        return nn.ReLU() if choice.name == "relu" else nn.ReLU6()
    return ScaledActivation(choice)
