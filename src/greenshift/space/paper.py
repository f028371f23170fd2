"""Table 1 of the paper as a ConfigSpace.

Hennig, Tornede, Lindauer, "Towards Leveraging AutoML for Sustainable Deep Learning" (ICLR 2024
workshop), Table 1. Three decisions that the table leaves open:

- Scales are linear, learning rate and weight decay included. The table names no scale; the code that the
  authors released samples both linearly, and a log scale would be another search.
- The table's default of 200 epochs lies outside its own range of 5 to 100. A ConfigSpace default has to be
  legal, so it is 100 here; the named configuration `paper-default` keeps 200.
- All hyperparameters are always active. Momentum is drawn for optimizers that have none and ignored there.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from ConfigSpace import Categorical, Float, Integer
from ConfigSpace.hyperparameters import Hyperparameter

from greenshift.design import Design, OptimizerName, Recipe
from greenshift.schemes import Depth, LayerKey, Scheme, Shift


def paper_hyperparameters(depth: int) -> list[Hyperparameter[Any, Any]]:
    """Return Table 1, in its order, for a network of `depth` convolutions and linear layers.

    Args:
        depth: Largest shift depth and its default, at least 1; 20 for ResNet20.
    """
    return [
        Integer("batch_size", (32, 128), default=128),
        Categorical("optimizer", list(get_args(OptimizerName)), default="SGD"),
        Float("lr", (0.001, 0.1), default=0.1),
        Float("momentum", (0.0, 0.9), default=0.9),
        Integer("epochs", (5, 100), default=100),
        Integer("weight_bits", (2, 8), default=5),
        Integer("act_integer_bits", (2, 32), default=16),
        Integer("act_fraction_bits", (2, 32), default=16),
        Integer("shift_depth", (0, depth), default=depth),
        Categorical("shift_type", ["Q", "PS"], default="PS"),
        Categorical("rounding", ["deterministic", "stochastic"], default="deterministic"),
        Float("weight_decay", (1e-6, 1e-2), default=1e-4),
    ]


def paper_design(values: Mapping[str, Any], backbone: str, recipe: Recipe) -> Design:
    """Return the design of a configuration: one shift scheme from the output as deep as the shift depth.

    Args:
        values: The configuration, shift depth included.
        backbone: Model name.
        recipe: What the space does not search.

    Raises:
        KeyError: If a hyperparameter is missing.
    """
    layers: tuple[LayerKey, Scheme] = (Depth(values["shift_depth"]), _shift(values))
    optimization = dataclasses.replace(
        recipe.optimization,
        name=values["optimizer"],
        lr=values["lr"],
        momentum=values["momentum"],
        weight_decay=values["weight_decay"],
    )
    trained = dataclasses.replace(recipe, batch_size=values["batch_size"], optimization=optimization)
    return Design(backbone=backbone, schemes=(layers,) if values["shift_depth"] else (), recipe=trained)


def _shift(values: Mapping[str, Any]) -> Shift:
    return Shift(
        kind=values["shift_type"],
        weight_bits=values["weight_bits"],
        act_integer_bits=values["act_integer_bits"],
        act_fraction_bits=values["act_fraction_bits"],
        rounding=values["rounding"],
    )
