"""The techniques of a full space: what each is, where it comes from, its hyperparameters and its part of a design."""

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, cast

from ConfigSpace import (
    Categorical,
    ConfigurationSpace,
    EqualsCondition,
    Float,
    NotEqualsCondition,
    OrConjunction,
)
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    FloatHyperparameter,
    IntegerHyperparameter,
    OrdinalHyperparameter,
)

from greenshift.activations import ACTIVATIONS, Activation
from greenshift.compactness import BlockName
from greenshift.design import Design, Distillation, Pruning
from greenshift.errors import InputError
from greenshift.space.forms import BLOCKS, CHANNEL_SHARES, DEPTHS, RESOLUTIONS, WIDTHS, Forms, channel_pruning
from greenshift.space.groups import LayerGroup
from greenshift.space.scheme_choices import CHOICES, Parameter, Values, add_schemes
from greenshift.space.scope import Scope

Meta = dict[Hashable, str]
UNSTRUCTURED = "unstructured"
# Multiples of M = 4 inputs are what sparse tensor cores take (Mishra et al., arXiv 2104.08378).
PATTERNS = (UNSTRUCTURED, "2:4")
# Of a backbone that nothing is impossible with.
EVERY_FORM = Forms({}, WIDTHS, DEPTHS, BLOCKS, dict.fromkeys(RESOLUTIONS), CHANNEL_SHARES, ACTIVATIONS[0])


@dataclass(frozen=True)
class Technique:
    """A way to a cheaper network.

    Attributes:
        name: Its name on the command line.
        summary: What it does, in one sentence.
        sources: Where it comes from.
        add: Adds its hyperparameters to a space, and the conditions among them (`space.conditions` has those across
            techniques); None if layer groups choose it by `scheme_GROUP`, or if nothing about it is searched.
        apply: Returns a design with what a configuration says of the technique.
        alone: Values that show the technique by itself, for a search to begin with; schemes need none.
    """

    name: str
    summary: str
    sources: tuple[str, ...]
    add: Callable[[ConfigurationSpace, Scope], None] | None = None
    apply: Callable[[Values, Scope, Design], Design] | None = None
    alone: tuple[Values, ...] = ()

    @property
    def schemes(self) -> tuple[str, ...]:
        """Values of `scheme_GROUP` that it brings."""
        return tuple(choice.name for choice in CHOICES.values() if choice.technique == self.name)


def _add_prune(space: ConfigurationSpace, scope: Scope) -> None:
    meta: Meta = {"technique": "prune"}
    if scope.forms.channels:
        space.add(OrdinalHyperparameter("prune_channels", (0.0, *scope.forms.channels), default_value=0.0, meta=meta))
    if scope.patterns:
        pruned = Categorical("prune", ["off", "on"], meta=meta)
        space.add(pruned, Float("sparsity", (0.3, 0.95), default=0.5, meta=meta))
    if len(scope.patterns) > 1:
        space.add(Categorical("prune_pattern", list(scope.patterns), meta=meta))


def _prune(values: Values, scope: Scope, design: Design) -> Design:  # noqa: ARG001 - all techniques are called alike
    share = values.get("prune_channels", 0.0)
    if share:
        return dataclasses.replace(design, pruning=channel_pruning(share))
    if values.get("prune", "off") == "off":  # it is not there where a stage has no zero
        return design
    pattern = values.get("prune_pattern", UNSTRUCTURED)
    if pattern == UNSTRUCTURED:
        sparsity = values["sparsity"]
    else:
        kept, size = map(int, pattern.split(":"))
        sparsity = 1 - kept / size
    return dataclasses.replace(design, pruning=Pruning(sparsity, pattern, keep_first=True, keep_last=True))


def _add_activation(space: ConfigurationSpace, scope: Scope) -> None:
    own = str(scope.forms.activation)
    meta: Meta = {"technique": "activation"}
    choices = [own, *(name for name in ACTIVATIONS if name != own)]
    functions = [Categorical(f"activation_{stage}", choices, meta=meta) for stage in scope.forms.activated]
    scales = Categorical("activation_scales", ["fixed", "trained"], meta=meta)
    space.add(*functions, scales)
    others = [NotEqualsCondition(scales, function, own) for function in functions]
    space.add(others[0] if len(others) == 1 else OrConjunction(*others))


def _activate(values: Values, scope: Scope, design: Design) -> Design:
    names: dict[str, Any] = {stage: values[f"activation_{stage}"] for stage in scope.forms.activated}
    own: Any = scope.forms.activation
    trained = values.get("activation_scales") == "trained"
    groups = [group for group in scope.groups_of(*form_of(values)) if group.activations]
    chosen = [(group.activations, names.get(group.name, own)) for group in groups]
    if len({name for _, name in chosen}) == 1:
        chosen = [(("*",), chosen[0][1])]
    functions = ((key, Activation(name, trained)) for keys, name in chosen if name != own for key in keys)
    return dataclasses.replace(design, activations=tuple(functions))


def _add_distill(space: ConfigurationSpace, scope: Scope) -> None:  # noqa: ARG001 - all techniques are called alike
    meta: Meta = {"technique": "distill"}
    distilled = Categorical("distill", ["on", "off"], meta=meta)
    temperature = Float("temperature", (1.0, 10.0), default=4.0, log=True, meta=meta)
    weight = Float("distill_weight", (0.1, 0.9), default=0.5, meta=meta)
    space.add(distilled, temperature, weight)
    space.add(EqualsCondition(temperature, distilled, "on"), EqualsCondition(weight, distilled, "on"))


def _distill(values: Values, scope: Scope, design: Design) -> Design:  # noqa: ARG001
    learned = Distillation(values["temperature"], values["distill_weight"]) if values["distill"] == "on" else None
    return dataclasses.replace(design, recipe=dataclasses.replace(design.recipe, distillation=learned))


def _add_compact(space: ConfigurationSpace, scope: Scope) -> None:
    meta: Meta = {"technique": "compact"}
    forms = scope.forms
    steps = {"width": forms.widths, "depth": forms.depths, "resolution_multiplier": tuple(forms.pixels)}
    for name, values in steps.items():
        if values:
            space.add(OrdinalHyperparameter(name, values, default_value=1.0, meta=meta))
    if forms.blocks:
        space.add(Categorical("blocks", list(forms.blocks), meta=meta))


def _compact(values: Values, scope: Scope, design: Design) -> Design:
    pixels = scope.forms.pixels.get(values.get("resolution_multiplier", 1.0))
    depth, blocks = form_of(values)
    return dataclasses.replace(design, width=values.get("width", 1.0), depth=depth, blocks=blocks, resolution=pixels)


def form_of(values: Values) -> tuple[float, BlockName]:
    """Depth and blocks of a configuration, which decide what layers its network has."""
    return values.get("depth", 1.0), cast("BlockName", str(values.get("blocks", BLOCKS[0])))


_TECHNIQUES = (
    Technique(
        "shift",
        "weights are signed powers of two, or sums of two from 5 bits on, so that multiplications become shifts",
        (
            "Elhoushi et al., DeepShift, CVPRW 2021",
            "Hennig, Tornede, Lindauer, ICLR 2024 workshop",
            "Przewlocka-Rus et al., arXiv 2203.05025",
            "Li, Dong, Wang, Additive Powers-of-Two Quantization, ICLR 2020",
        ),
    ),
    Technique(
        "uniform",
        "weights and activations are integers with a scale: int8, or fewer bits with learned steps",
        ("Jacob et al., CVPR 2018", "Esser et al., Learned Step Size Quantization, ICLR 2020"),
    ),
    Technique(
        "binary",
        "weights are -a and a; with `sign`, activations are signs too",
        ("Rastegari et al., XNOR-Net, ECCV 2016", "Liu et al., Bi-Real Net, ECCV 2018"),
    ),
    Technique(
        "ternary",
        "weights are -a, 0 and a",
        ("Li et al., Ternary Weight Networks, 2016",),
    ),
    Technique(
        "prune",
        "weights are removed by magnitude, or whole channels with a share of the multiply-accumulates, between the "
        "first convolution and the last linear layer",
        (
            "Zhu and Gupta, arXiv 1710.01878",
            "Mishra et al., arXiv 2104.08378",
            "Fang et al., DepGraph, CVPR 2023",
        ),
        _add_prune,
        _prune,
        ({"prune": "on"}, {"prune_channels": 0.5}),
    ),
    Technique(
        "activation",
        "another activation function for each stage, their scales fixed or trained",
        ("Loni et al., Learning Activation Functions for Sparse Neural Networks (SAFS), AutoML 2023",),
        _add_activation,
        _activate,
    ),
    Technique(
        "distill",
        "the network learns from a teacher's outputs besides the labels",
        ("Hinton, Vinyals, Dean, arXiv 1503.02531",),
        _add_distill,
        _distill,
    ),
    Technique(
        "compact",
        "the backbone has fewer channels, fewer or cheaper blocks, or smaller images",
        ("Howard et al., MobileNets, arXiv 1704.04861", "He et al., Deep Residual Learning, CVPR 2016"),
        _add_compact,
        _compact,
    ),
    Technique(
        "fuse",
        "batch norms, activations and residual additions are folded into their layers: always, in the profile and in "
        "packed files, so that there is nothing to search",
        ("Jacob et al., CVPR 2018",),
    ),
)
TECHNIQUES = {technique.name: technique for technique in _TECHNIQUES}


def check_techniques(names: tuple[str, ...]) -> None:
    """Check names that were given.

    Raises:
        InputError: If one is unknown.
    """
    for name in names:
        if name not in TECHNIQUES:
            raise InputError(f"techniques: unknown technique '{name}'; known: {', '.join(TECHNIQUES)}")


def parameters(name: str) -> dict[str, str]:
    """Return the hyperparameters of a technique and what each may be; those of a layer group end with `_GROUP`.

    Args:
        name: Name of the technique.
    """
    technique = TECHNIQUES[name]
    groups = (LayerGroup("GROUP", (), (), 1, ("*",)),)
    forms = dataclasses.replace(EVERY_FORM, groups={(1.0, BLOCKS[0]): groups})
    scope = Scope(groups, (name,), technique.schemes or ("float",), PATTERNS, forms)
    space = ConfigurationSpace()
    add_schemes(space, scope)
    if technique.add is not None:
        technique.add(space, scope)
    found = {} if len(technique.schemes) != 1 else {"scheme_GROUP": technique.schemes[0]}
    return found | {name: describe_values(parameter) for name, parameter in space.items()}


def describe_values(hyperparameter: Parameter) -> str:
    """Say what values a hyperparameter may have, such as `2 to 7` or `on, off`."""
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return ", ".join(map(str, hyperparameter.choices))
    if isinstance(hyperparameter, OrdinalHyperparameter):
        return ", ".join(f"{step:g}" for step in hyperparameter.sequence)
    if isinstance(hyperparameter, FloatHyperparameter | IntegerHyperparameter):
        return f"{hyperparameter.lower:g} to {hyperparameter.upper:g}"
    raise TypeError(f"hyperparameters of type {type(hyperparameter).__name__} have no rule here")
