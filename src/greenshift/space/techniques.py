"""The techniques of a full space: what each is, where it comes from, its hyperparameters and its part of a design."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ConfigSpace import (
    AndConjunction,
    Categorical,
    ConfigurationSpace,
    EqualsCondition,
    Float,
    NotEqualsCondition,
)
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    FloatHyperparameter,
    IntegerHyperparameter,
    OrdinalHyperparameter,
)

from greenshift.design import Design, Distillation, Pruning
from greenshift.errors import InputError
from greenshift.space.groups import LayerGroup
from greenshift.space.scheme_choices import CHOICES, WITHOUT_ZERO, Parameter, Values, add_schemes
from greenshift.space.scope import Scope

WIDTHS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
UNSTRUCTURED = "unstructured"
# Multiples of M = 4 inputs are what sparse tensor cores take (Mishra et al., arXiv 2104.08378).
PATTERNS = (UNSTRUCTURED, "2:4")


@dataclass(frozen=True)
class Technique:
    """A way to a cheaper network.

    Attributes:
        name: Its name on the command line.
        summary: What it does, in one sentence.
        sources: Where it comes from.
        add: Adds its hyperparameters to a space; None if layer groups choose it by `scheme_GROUP`, or if nothing
            about it is searched.
        apply: Returns a design with what a configuration says of the technique.
    """

    name: str
    summary: str
    sources: tuple[str, ...]
    add: Callable[[ConfigurationSpace, Scope], None] | None = None
    apply: Callable[[Values, Design], Design] | None = None

    @property
    def schemes(self) -> tuple[str, ...]:
        """Values of `scheme_GROUP` that it brings."""
        return tuple(choice.name for choice in CHOICES.values() if choice.technique == self.name)


def _add_prune(space: ConfigurationSpace, scope: Scope) -> None:
    meta = {"technique": "prune"}
    pruned = Categorical("prune", ["off", "on"], meta=meta)
    sparsity = Float("sparsity", (0.3, 0.95), default=0.5, meta=meta)
    space.add(pruned, sparsity)
    if len(scope.patterns) > 1:
        pattern = Categorical("prune_pattern", list(scope.patterns), meta=meta)
        space.add(pattern)
        space.add(EqualsCondition(pattern, pruned, "on"), EqualsCondition(sparsity, pattern, UNSTRUCTURED))
    else:
        space.add(EqualsCondition(sparsity, pruned, "on"))
    apart = [
        NotEqualsCondition(pruned, space[f"scheme_{group.name}"], scheme)
        for scheme in scope.schemes
        if scheme in WITHOUT_ZERO
        for group in scope.stages
    ]
    if apart:
        space.add(apart[0] if len(apart) == 1 else AndConjunction(*apart))


def _prune(values: Values, design: Design) -> Design:
    if values.get("prune", "off") == "off":  # it is not there where a stage has no zero
        return design
    pattern = values.get("prune_pattern", UNSTRUCTURED)
    if pattern == UNSTRUCTURED:
        sparsity = values["sparsity"]
    else:
        kept, size = map(int, pattern.split(":"))
        sparsity = 1 - kept / size
    return dataclasses.replace(design, pruning=Pruning(sparsity, pattern, keep_first=True, keep_last=True))


def _add_distill(space: ConfigurationSpace, scope: Scope) -> None:  # noqa: ARG001 - all techniques are called alike
    meta = {"technique": "distill"}
    distilled = Categorical("distill", ["on", "off"], meta=meta)
    temperature = Float("temperature", (1.0, 10.0), default=4.0, log=True, meta=meta)
    weight = Float("distill_weight", (0.1, 0.9), default=0.5, meta=meta)
    space.add(distilled, temperature, weight)
    space.add(EqualsCondition(temperature, distilled, "on"), EqualsCondition(weight, distilled, "on"))


def _distill(values: Values, design: Design) -> Design:
    learned = Distillation(values["temperature"], values["distill_weight"]) if values["distill"] == "on" else None
    return dataclasses.replace(design, recipe=dataclasses.replace(design.recipe, distillation=learned))


def _add_compact(space: ConfigurationSpace, scope: Scope) -> None:  # noqa: ARG001
    # Steps, because every width is another network to be traced before its cost is known.
    space.add(OrdinalHyperparameter("width", WIDTHS, default_value=1.0, meta={"technique": "compact"}))


def _compact(values: Values, design: Design) -> Design:
    return dataclasses.replace(design, width=float(values["width"]))


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
        "weights are removed by magnitude between the first convolution and the last linear layer",
        ("Zhu and Gupta, arXiv 1710.01878", "Mishra et al., arXiv 2104.08378"),
        _add_prune,
        _prune,
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
        "the backbone has fewer channels",
        ("Howard et al., MobileNets, arXiv 1704.04861",),
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
    scope = Scope((LayerGroup("GROUP", (), (), 1),), (name,), technique.schemes or ("float",), PATTERNS)
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
