"""Turn layers of any network into cheaper ones."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from greenshift.compress.handlers import build_layer
from greenshift.errors import InputError
from greenshift.schemes import Depth, LayerKey, Scheme, parse_key


@dataclass(frozen=True)
class LayerReport:
    """What happened to one layer.

    Attributes:
        name: Qualified name.
        kind: Class name of the layer before the conversion.
        scheme: Its scheme now, or None if it was left alone.
        reason: Which key chose it, or why it was left alone.
    """

    name: str
    kind: str
    scheme: Scheme | None
    reason: str


@dataclass(frozen=True)
class ConversionReport:
    """What happened to every layer that has weights to multiply with."""

    layers: tuple[LayerReport, ...]

    @property
    def converted(self) -> tuple[LayerReport, ...]:
        """The layers that have a scheme now."""
        return tuple(layer for layer in self.layers if layer.scheme is not None)

    def __str__(self) -> str:
        """One line per layer."""
        return "\n".join(f"{layer.name:40s} {layer.scheme or '-'!s:60s} {layer.reason}" for layer in self.layers)


def weighted_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Convolutions and linear layers of a network in registration order, each shared layer once."""
    return [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def convert(
    model: nn.Module, schemes: Mapping[LayerKey, Scheme], example_inputs: Tensor
) -> tuple[nn.Module, ConversionReport]:
    """Give layers of a copy of `model` the schemes that their names or depths select.

    Keys are layer names, globs (`layer2.*`), `Depth(n)` or its text form `@output:n` / `@input:n`.
    The first key that matches a layer decides. The caller's model is not changed.

    Args:
        model: Any network; only plain `nn.Conv2d` and `nn.Linear` layers are converted.
        schemes: Scheme by key. An empty mapping gives a plain copy.
        example_inputs: A batch (N, C, H, W) that both networks are run on, to see that the new one
            works and to find layers that never run.

    Returns:
        The converted copy and a report with one entry per convolution and linear layer.

    Raises:
        InputError: If schemes were given and no layer was converted, a key selects nothing, or the
            converted network does not run.
    """
    new_model = copy.deepcopy(model)
    layers = dict(weighted_layers(new_model))
    reports = assign_schemes(new_model, schemes)
    replacements = {
        layers[report.name]: build_layer(layers[report.name], report.scheme)  # type: ignore[arg-type]
        for report in reports
        if report.scheme is not None
    }
    converted = replace_modules(new_model, replacements)
    _check_runs(model, converted, example_inputs)
    return converted, ConversionReport(reports)


def assign_schemes(model: nn.Module, schemes: Mapping[LayerKey, Scheme]) -> tuple[LayerReport, ...]:
    """Say which layer of a network gets which scheme, without building anything.

    Args:
        model: Any network.
        schemes: Scheme by key, as for `convert`.

    Raises:
        InputError: If schemes were given and no layer can be converted, or a key selects nothing.
    """
    keys = [(parse_key(key) if isinstance(key, str) else key, scheme) for key, scheme in schemes.items()]
    layers = weighted_layers(model)
    names = {key: _selected(key, layers) for key, _ in keys}
    reports: list[LayerReport] = []
    for name, layer in layers:
        chosen = next(((key, scheme) for key, scheme in keys if name in names[key]), None)
        reason = "no key selects it" if chosen is None else _refusal(layer)
        if chosen is None or reason is not None:
            reports.append(LayerReport(name, type(layer).__name__, None, str(reason)))
        else:
            reports.append(LayerReport(name, type(layer).__name__, chosen[1], f"selected by {chosen[0]}"))
    _check_selection(keys, names, layers, reports)
    return tuple(reports)


def _selected(key: LayerKey, layers: list[tuple[str, nn.Module]]) -> set[str]:
    if not isinstance(key, Depth):
        return {name for name, _ in layers if fnmatchcase(name, key)}
    convolutions = [name for name, layer in layers if isinstance(layer, nn.Conv2d)]
    if key.origin == "output":
        convolutions.reverse()
    linear = {name for name, layer in layers if isinstance(layer, nn.Linear)}
    return {*convolutions[: key.count], *(linear if key.count > 0 else ())}


def _refusal(layer: nn.Module) -> str | None:
    """Why a layer cannot be converted, or None if it can."""
    if type(layer) not in (nn.Conv2d, nn.Linear):
        return f"its class {type(layer).__name__} may compute something else than its base class"
    if hasattr(layer, "parametrizations"):
        return "it has parametrised weights"
    return None


def _check_selection(
    keys: list[tuple[LayerKey, Scheme]],
    names: Mapping[LayerKey, set[str]],
    layers: list[tuple[str, nn.Module]],
    reports: list[LayerReport],
) -> None:
    known = ", ".join(name for name, _ in layers[:8]) + (", ..." if len(layers) > 8 else "")
    for key, _ in keys:
        if not names[key] and not (isinstance(key, Depth) and key.count == 0 and len(keys) > 1):
            raise InputError(f"convert: '{key}' selects no layer; the convolutions and linear layers are {known}")
    if keys and all(report.scheme is None for report in reports):
        first = next(r for r in reports if any(r.name in selected for selected in names.values()))
        raise InputError(f"convert: no layer was converted; the first one selected is {first.name}: {first.reason}")


def replace_modules(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Put modules in the places of others, wherever a network has them.

    Args:
        model: The network; changed in place.
        replacements: New module by old one.

    Returns:
        The network, or what replaces it as a whole.
    """
    if model in replacements:
        return replacements[model]
    # With duplicates: a shared layer may have two names in one module.
    for name, child in list(model.named_modules(remove_duplicate=False)):
        if child in replacements:
            parent, _, own_name = name.rpartition(".")
            setattr(model.get_submodule(parent), own_name, replacements[child])
    return model


def _check_runs(model: nn.Module, converted: nn.Module, example_inputs: Tensor) -> None:
    outputs = []
    for network in (model, converted):
        training = network.training
        with torch.no_grad():
            try:
                outputs.append(network.eval()(example_inputs))
            except (RuntimeError, ValueError, TypeError) as error:
                which = "converted" if network is converted else "given"
                text = str(error).splitlines()[0]
                raise InputError(f"convert: the {which} model does not run on the example inputs: {text}") from error
            finally:
                network.train(training)
    if outputs[0].shape != outputs[1].shape:
        raise InputError(f"convert: output shape changed from {outputs[0].shape} to {outputs[1].shape}")
