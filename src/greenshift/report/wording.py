"""Designs, fidelities and objectives in words."""

import dataclasses
import re
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

from greenshift.activations import Activation
from greenshift.design import Design
from greenshift.fidelities import QUANTITIES, resource_unit
from greenshift.quantities import format_objective, format_quantity
from greenshift.records import Evaluation
from greenshift.schemes import Depth, LayerKey, PowerOfTwo, Shift, Uniform

# What an objective is called on an axis, what there is less of if it falls, and its value in a sentence.
_WORDS: dict[str, tuple[str, str, str]] = {
    "error": ("validation error", "error", "{} validation error"),
    "energy_j": ("energy per inference", "energy", "{} per inference"),
    "latency_s": ("latency of one inference", "time", "a latency of {}"),
    "size_bytes": ("stored size", "storage", "{} of storage"),
    "peak_memory_bytes": ("peak activation memory", "memory", "{} of memory"),
    "latency_s@host": ("latency of one inference on this host's runtime", "time", "a latency of {} on the host"),
    "emissions_g": ("emissions of one validation pass on the host", "emissions", "{} per validation pass"),
}


def objective_title(name: str) -> str:
    """Return what an objective is called on an axis or in a table head."""
    return _WORDS[name][0]


def objective_noun(name: str) -> str:
    """Return what there is less of if the objective falls, such as `energy`."""
    return _WORDS[name][1]


def describe_value(name: str, value: float) -> str:
    """Write the value of an objective as it stands in a sentence, such as `410 nJ per inference`."""
    return _WORDS[name][2].format(format_objective(name, value))


@singledispatch
def describe_scheme(scheme: Any) -> str:
    """Say in a few words what a scheme does to a layer; a scheme without words of its own lists its fields."""
    fields = ", ".join(f"{key} {value}" for key, value in dataclasses.asdict(scheme).items())
    return f"{type(scheme).__name__.lower()} ({fields})"


@describe_scheme.register
def _(scheme: Shift) -> str:
    words = (
        f"{scheme.kind} shift, {scheme.weight_bits}-bit weights, "
        f"{scheme.act_integer_bits}.{scheme.act_fraction_bits} fixed-point activations"
    )
    if scheme.rounding == "stochastic":
        words += ", stochastic rounding"
    return words + (", as in the original code" if scheme.original else "")


@describe_scheme.register
def _(scheme: PowerOfTwo) -> str:
    kind = "power-of-two" if scheme.terms == 1 else "two-term power-of-two"
    words = f"{scheme.weight_bits}-bit {kind} weights, {scheme.act_bits}-bit activations"
    words += ", windows by the largest weight" if scheme.scale == "max" else ""
    words += ", rounded in the logarithm" if scheme.rounding == "log" else ""
    return words + (", learned steps" if scheme.step == "learned" else "")


@describe_scheme.register
def _(scheme: Uniform) -> str:
    if scheme.weight_bits == scheme.act_bits:
        words = f"int{scheme.weight_bits}"
    else:
        words = f"integers, {scheme.weight_bits}-bit weights, {scheme.act_bits}-bit activations"
    words += "" if scheme.per_channel else ", one weight scale per layer"
    return words + (", learned steps" if scheme.step == "learned" else "")


def describe_layers(key: LayerKey) -> str:
    """Say which layers a key selects, such as `last 5 convolutions and linear layers`."""
    if isinstance(key, Depth):
        if key.count == 0:
            return "no layer"
        end = "last" if key.origin == "output" else "first"
        return f"{end} {key.count} convolution{'s' if key.count > 1 else ''} and linear layers"
    return "all layers" if key == "*" else key


def describe_design(design: Design) -> str:
    """Say in words what is done to a backbone, such as `int8 on all layers; distilled`, or `float32` if nothing is."""
    used: dict[Any, list[LayerKey]] = {}
    for key, scheme in design.schemes:
        if not (isinstance(key, Depth) and key.count == 0):
            used.setdefault(scheme, []).append(key)
    parts = [f"{describe_scheme(s)} on {', '.join(map(describe_layers, keys))}" for s, keys in used.items()]
    parts = parts or ["float32"]
    parts += [f"width {design.width:g}"] * (design.width != 1) + [f"depth {design.depth:g}"] * (design.depth != 1)
    parts += [f"{design.blocks} blocks"] * (design.blocks != "dense")
    if design.resolution is not None:
        parts.append(f"images of {design.resolution}x{design.resolution} pixels")
    parts += [_describe_activation(*choice) for choice in design.activations]
    if design.pruning is not None:
        what = "multiply-accumulates" if design.channel_pruning else "weights"
        pattern = "" if design.pruning.pattern == "unstructured" else f" in {design.pruning.pattern}"
        parts.append(f"{design.pruning.sparsity:.3g} of the {what} pruned{pattern}")
    return "; ".join(parts + ["distilled"] * (design.recipe.distillation is not None))


def _describe_activation(glob: str, choice: Activation) -> str:
    scales = " with trained scales" if choice.trained else ""
    return f"{choice.name}{scales} as activation" + ("" if glob == "*" else f" of {glob}")


def describe_fidelity(fidelity: Mapping[str, float]) -> str:
    """Say at which fidelity an evaluation was made, such as `18 epochs` or `shift depth 5`."""
    parts = [QUANTITIES[name].words.format(value) for name, value in fidelity.items()]
    return ", ".join(parts) or "full"


def describe_range(config: Mapping[str, Any]) -> str:
    """Say which resource a study's trials differ in, such as `epochs, 2 to 18`."""
    if config["fidelity"] is None:
        return "every trial is a full training"
    name, low, high = resource_unit(config["fidelity"]), config["fidelity_min"], config["fidelity_max"]
    if low is None and high is None:
        return name
    return f"{name}, {f'{low} to' if low else 'up to'} {high or 'the full value'}"


def describe_fit(cost: Mapping[str, Any] | None) -> str:
    """Say whether a network fits its target, or why not."""
    if cost is None:
        return "unknown"
    return "fits" if cost["fits"] else "; ".join(cost["limits"])


def describe_name(evaluation: Evaluation) -> str:
    """Return `trial 23`, or the label of a baseline."""
    return evaluation.label or f"trial {evaluation.trial}"


def format_setting(value: Any) -> str:
    """Write the value of a hyperparameter, numbers with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe_configuration(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one `name = value` per hyperparameter."""
    return tuple(f"{name} = {format_setting(value)}" for name, value in configuration.items())


def describe_limits(config: Mapping[str, Any]) -> str:
    """Say which constraints a study has, such as `at most 256kB of storage`, or `none`."""
    nouns = {"max_size": "storage", "max_energy": "energy", "max_latency": "time", "max_memory": "memory"}
    parts = [f"at most {describe_amount(config[key])} of {noun}" for key, noun in nouns.items() if config.get(key)]
    error = config.get("max_error")
    parts += [f"an error of at most {error.replace('%', ' %')}"] if error else []
    return ", ".join(parts) or "none"


def describe_amount(text: str) -> str:
    """Write a budget or a bound as a person would: `8trials,60%` becomes `8 trials, 60 % of float32's`."""
    spaced = re.sub(r"(?<=[\d.])(?=[A-Za-zµ%])", " ", text.replace(" ", "")).replace(",", ", ")
    return spaced.replace("%", "% of float32's")


def describe_energy(energy_j: float | None, provenance: str) -> str:
    """Write an energy with its provenance, such as `12.3 kJ (estimated)`; one that is missing has none."""
    text = format_quantity(energy_j, "J")
    return text if energy_j is None else f"{text} ({provenance})"
