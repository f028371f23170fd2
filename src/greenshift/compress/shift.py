"""Deep shift layers: DeepShift-Q and DeepShift-PS (Elhoushi et al., CVPRW 2021).

Both behave as the original in their arithmetic; `Shift.original` also keeps the original's mistakes
(docs/adr/0003).
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.rounding import LN2, fixed_point, ps_weight, q_weight
from greenshift.schemes import Shift


def _stochastic(layer: nn.Module, scheme: Shift) -> bool:
    # The original also draws at evaluation, so that one network gives different answers to one image.
    return scheme.rounding == "stochastic" and (layer.training or scheme.original)


def _split_weight(layer: nn.Module, scheme: Shift) -> None:
    """Replace the freshly initialised `weight` of a PS layer by `shift` and `sign`."""
    if scheme.kind != "PS":
        return
    shape = cast(Tensor, layer.weight).shape
    device = cast(Tensor, layer.weight).device
    del layer.weight
    low = scheme.min_exponent if isinstance(layer, nn.Linear) else -10
    high = 0 if isinstance(layer, nn.Linear) else -1
    layer.shift = nn.Parameter(torch.empty(shape, device=device).uniform_(low, high))
    layer.sign = nn.Parameter(torch.empty(shape, device=device).uniform_(-1, 1))


def _project(layer: nn.Module, scheme: Shift) -> None:
    """Pull trained values back into the representable range, as the original does in every forward pass."""
    with torch.no_grad():
        if scheme.kind == "PS":
            cast(Tensor, layer.shift).clamp_(scheme.min_exponent, 0)
        else:
            weight = cast(Tensor, layer.weight)
            weight.copy_(weight.abs().clamp_(2.0**scheme.min_exponent, 1.0).mul_(weight.sign()))


def _weight(layer: nn.Module, scheme: Shift) -> Tensor:
    if layer.training:
        _project(layer, scheme)
    stochastic = _stochastic(layer, scheme)
    if scheme.kind == "PS":
        return ps_weight(cast(Tensor, layer.shift), cast(Tensor, layer.sign), scheme, stochastic)
    return q_weight(cast(Tensor, layer.weight), scheme, stochastic)


class ShiftConv2d(nn.Conv2d):
    """Convolution whose weights are signed powers of two and whose input is fixed point.

    Built like `torch.nn.Conv2d`. Q layers have the parameters `weight` and `bias`, PS layers `shift`,
    `sign` and `bias`. Input (N, C, H, W) in any float dtype; output as of `torch.nn.Conv2d`.

    Args:
        *args: As for `torch.nn.Conv2d`.
        scheme: Kind, bit widths and rounding.
        **kwargs: As for `torch.nn.Conv2d`.
    """

    def __init__(self, *args: Any, scheme: Shift, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        _split_weight(self, scheme)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the fixed-point input with the power-of-two weights."""
        bias = None if self.bias is None else fixed_point(self.bias, self.scheme)
        output: Tensor = self._conv_forward(fixed_point(input, self.scheme), _weight(self, self.scheme), bias)
        return output

    def extra_repr(self) -> str:
        """Arguments of the convolution and the scheme."""
        return f"{super().extra_repr()}, {self.scheme}"


class ShiftLinear(nn.Linear):
    """Linear layer whose weights are signed powers of two and whose input is fixed point.

    Built like `torch.nn.Linear`. Q layers have the parameters `weight` and `bias`, PS layers `shift`,
    `sign` and `bias`. Input (..., in_features), output (..., out_features).

    The original leaves the input of PS layers unrounded; with `scheme.original` this does too.
    The bias is added unrounded, as in the original; only convolutions round theirs.

    Args:
        *args: As for `torch.nn.Linear`.
        scheme: Kind, bit widths and rounding.
        **kwargs: As for `torch.nn.Linear`.
    """

    def __init__(self, *args: Any, scheme: Shift, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        _split_weight(self, scheme)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the fixed-point input with the power-of-two weights."""
        scheme = self.scheme
        x = input if scheme.kind == "PS" and scheme.original else fixed_point(input, scheme)
        return functional.linear(x, _weight(self, scheme), self.bias)

    def extra_repr(self) -> str:
        """Arguments of the linear layer and the scheme."""
        return f"{super().extra_repr()}, {self.scheme}"


ShiftLayer = ShiftConv2d | ShiftLinear


def load_float_weight(layer: ShiftLayer, weight: Tensor) -> None:
    """Give a shift layer the float weights of a trained layer.

    Q keeps them as latent weights. PS takes p = log2 |w| and s = sign(w), and starts weights below half
    of the smallest power at 0, which a PS layer can represent. With `scheme.original` p is rounded and
    no weight becomes 0; both make fine-tuning slower to move.

    Args:
        layer: The layer to fill.
        weight: Float weight of the layer's shape.
    """
    scheme = layer.scheme
    with torch.no_grad():
        if scheme.kind == "Q":
            layer.weight.copy_(weight)
            return
        smallest = 2.0**scheme.min_exponent
        magnitude = weight.abs()
        sign = torch.sign(weight)
        exponent = torch.log2(magnitude.clamp(smallest, 1.0))
        if scheme.original:
            exponent = torch.round(exponent)
        else:
            sign = sign * (magnitude / smallest).clamp_(max=1.0)
        cast(Tensor, layer.shift).copy_(exponent)
        cast(Tensor, layer.sign).copy_(sign)


def add_shift_decay(model: nn.Module, weight_decay: float) -> None:
    """Add the gradient of the PS weight decay, (wd / 2) sum (2^p)^2, to the exponents' gradients.

    The decay acts on the weights' magnitude 2^p, not on p (the paper, after DeepShift): its gradient
    is wd ln2 4^p. Call it between the backward pass and the optimizer's step; signs do not decay.

    Args:
        model: Network with any number of PS layers.
        weight_decay: The factor wd.
    """
    if weight_decay == 0:
        return
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, ShiftConv2d | ShiftLinear) and module.scheme.kind == "PS":
                shift = cast(Tensor, module.shift)
                if shift.grad is not None:
                    shift.grad.add_(torch.exp2(2 * shift), alpha=weight_decay * LN2)
