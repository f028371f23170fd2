"""The paper's seven optimizers and the learning-rate schedules."""

import math
from typing import Any

import torch
from torch import nn

from greenshift.compress.activations import ScaledActivation
from greenshift.compress.shift import ShiftConv2d, ShiftLinear
from greenshift.compress.uniform import learned_steps
from greenshift.design import Optimization

_STEPS = (0.4, 0.6, 0.8, 0.9)


def build_optimizer(model: nn.Module, choice: Optimization) -> torch.optim.Optimizer:
    """Build the optimizer for a network.

    Exponents and signs of PS layers get no plain weight decay: theirs acts on 2^p and is added by
    `greenshift.compress.shift.add_shift_decay`. Learned steps and scales do not decay either: a step is a unit, no
    weight; nor do the scales of activation functions, which would decay to a function that gives 0.

    Args:
        model: The network, on its final device.
        choice: Name and hyperparameters.

    Returns:
        An optimizer of torch, or Ranger (RAdam with Lookahead) of pytorch-optimizer.
    """
    exempt = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, ShiftConv2d | ShiftLinear) and module.scheme.kind == "PS"
        for parameter in (module.shift, module.sign)
    } | {id(step) for module in model.modules() for step in learned_steps(module)}
    exempt |= {id(p) for module in model.modules() if isinstance(module, ScaledActivation) for p in module.parameters()}
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if id(p) not in exempt], "weight_decay": choice.weight_decay},
        {"params": [p for p in parameters if id(p) in exempt], "weight_decay": 0.0},
    ]
    return _construct([group for group in groups if group["params"]], choice)


def _construct(groups: list[dict[str, Any]], choice: Optimization) -> torch.optim.Optimizer:
    lr = choice.lr
    match choice.name:
        case "SGD":
            return torch.optim.SGD(groups, lr, choice.momentum, nesterov=choice.nesterov, fused=True)
        case "Adam":
            return torch.optim.Adam(groups, lr, fused=True)
        case "Adagrad":
            return torch.optim.Adagrad(groups, lr, foreach=True)
        case "Adadelta":
            return torch.optim.Adadelta(groups, lr, foreach=True)
        case "RMSprop":
            return torch.optim.RMSprop(groups, lr, momentum=choice.momentum, foreach=True)
        case "RAdam":
            return torch.optim.RAdam(groups, lr, foreach=True)
        case "Ranger":
            from pytorch_optimizer import Ranger

            return Ranger(groups, lr)


def learning_rate(choice: Optimization, progress: float) -> float:
    """Learning rate at a point of the training.

    Args:
        choice: Peak rate, schedule and warm-up.
        progress: Share of the planned steps that are done, 0 to 1.

    Returns:
        The rate for the next step.
    """
    if progress < choice.warmup:
        return choice.lr * max(progress / choice.warmup, 1e-3)
    match choice.schedule:
        case "constant":
            return choice.lr
        case "step":
            return choice.lr * 0.1 ** sum(progress >= step for step in _STEPS)
        case "cosine":
            rest = (progress - choice.warmup) / (1.0 - choice.warmup)
            return choice.lr * 0.5 * (1.0 + math.cos(math.pi * min(rest, 1.0)))
