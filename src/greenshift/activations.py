"""Which activation function a network applies where: the thirteen candidates of SAFS and ReLU, as data."""

from dataclasses import dataclass
from typing import Literal, get_args

from greenshift.errors import InputError

ActivationName = Literal[
    "relu",
    "relu6",
    "hardswish",
    "swish",
    "tanhsoft1",
    "acon",
    "gelu",
    "srs",
    "elu",
    "tanh",
    "softplus",
    "logsigmoid",
    "symlog",
    "symexp",
]
ACTIVATIONS: tuple[ActivationName, ...] = get_args(ActivationName)


@dataclass(frozen=True)
class Activation:
    """An activation function, with the scales that it starts from or with scales that are trained.

    Source: SAFS (Loni et al., "Learning Activation Functions for Sparse Neural Networks", AutoML 2023): its
    first stage chooses functions with fixed scales, its second one trains the scales.

    Attributes:
        name: One of `ACTIVATIONS`; all but `relu` are SAFS's candidates.
        trained: Whether the function's scales, such as alpha and beta of alpha f(beta x), are trained.
    """

    name: ActivationName = "relu"
    trained: bool = False

    def __post_init__(self) -> None:
        """Check the name."""
        if self.name not in ACTIVATIONS:
            raise InputError(f"activation '{self.name}' is unknown; known: {', '.join(ACTIVATIONS)}")
        if not isinstance(self.trained, bool):
            raise InputError(f"activation {self.name}: trained is true or false, not {self.trained!r}")
