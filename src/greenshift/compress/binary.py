"""Binary layers, simulated in float: weights -a and a.

The latent weights of an output channel are centred on their mean, so that their signs carry the most information
(Qin et al., IR-Net, CVPR 2020); a is the mean magnitude of what was centred, which has the least squared error
(Rastegari et al., XNOR-Net, ECCV 2016). The gradient passes straight through the sign, whatever the weight: a weight
that a bound shut off could never come back, as nothing holds it inside (Hubara et al., NIPS 2016, clip both). The mean
follows the latent weights; a gets no gradient of its own.

Activations may be signs too (`greenshift.compress.sign`). Such sums are whole multiples of a, so that matrix products
in bfloat16, which accumulate in float32, are exact but for the rounding of a and of what comes out.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.affine import SMALLEST_SCALE, ActivationRange, along_outputs
from greenshift.compress.rounding import straight_through
from greenshift.compress.sign import Sign
from greenshift.errors import InputError
from greenshift.schemes import Binary


def _centred(weight: Tensor) -> Tensor:
    return weight - along_outputs(weight.flatten(1).mean(1), weight)


def _signs(centred: Tensor) -> Tensor:
    return torch.where(centred < 0, -1.0, 1.0).to(centred.dtype)


def _scale(centred: Tensor) -> Tensor:
    return centred.flatten(1).abs().mean(1).clamp_min(SMALLEST_SCALE)


class BinaryConv2d(nn.Conv2d):
    """Convolution on binary weights and rounded inputs, built like `torch.nn.Conv2d` plus `scheme`.

    Raises:
        InputError: If an output has a single weight, which centring would always turn into zero.
    """

    def __init__(self, *args: Any, scheme: Binary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = _input_rounding(scheme, self.weight.device)
        _check_fan_in(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the quantised input with the binary weights."""
        output: Tensor = self._conv_forward(self.range(input), _binary_weight(self), self.bias)
        return output


class BinaryLinear(nn.Linear):
    """Linear layer on binary weights and rounded inputs, built like `torch.nn.Linear` plus `scheme`.

    Raises:
        InputError: If an output has a single weight, which centring would always turn into zero.
    """

    def __init__(self, *args: Any, scheme: Binary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = _input_rounding(scheme, self.weight.device)
        _check_fan_in(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the binary weights."""
        return functional.linear(self.range(input), _binary_weight(self), self.bias)


BinaryLayer = BinaryConv2d | BinaryLinear


def _input_rounding(scheme: Binary, device: torch.device) -> ActivationRange | Sign:
    return Sign(scheme.sign_gradient, device) if scheme.act_bits == 1 else ActivationRange(scheme.act_bits)


def _check_fan_in(layer: BinaryLayer) -> None:
    if layer.weight[0].numel() < 2:
        kind, outputs = type(layer).__name__, len(layer.weight)
        raise InputError(
            f"binary: a {kind} with one weight for each of its {outputs} outputs loses their signs when they are "
            "centred; leave this layer out"
        )


def _binary_weight(layer: BinaryLayer) -> Tensor:
    centred = _centred(layer.weight)
    values = centred.detach()
    return straight_through(centred, _signs(values) * along_outputs(_scale(values), values))


def binary_codes(layer: BinaryLayer) -> tuple[Tensor, Tensor]:
    """Return what a layer's weights are made of: codes -1 and 1 in the weight's shape, and scales (outputs,)."""
    centred = _centred(layer.weight.detach())
    return _signs(centred), _scale(centred)
