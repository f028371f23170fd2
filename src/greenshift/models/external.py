"""Networks from elsewhere: the user's own factories and timm."""

import contextlib
import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import torch
from torch import nn

from greenshift.errors import InputError


def build_from_factory(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Import `package.module:factory` and call it.

    Args:
        name: The factory; a part after the colon may be dotted (`Class.method`).
        arguments: `num_classes`, `in_channels`, `image_size`, `width`; what the factory's signature does
            not accept is left out.

    Raises:
        InputError: As for `greenshift.models.build_model`.
    """
    with _current_directory_importable():
        factory = _import_factory(name)
        accepted = _accepted(name, factory, arguments)
        try:
            model = factory(**accepted)
        except Exception as error:
            raise InputError(f"model {name}: calling it failed: {_line(error)}") from error
    return _checked(name, model, arguments)


def build_from_timm(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a timm network with fresh weights.

    Args:
        name: timm's name, without the prefix.
        arguments: `num_classes`, `in_channels`, `image_size`, `width`, which must be 1.

    Raises:
        InputError: As for `greenshift.models.build_model`.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError(f"model timm:{name} needs {error.name}: pip install 'greenshift[timm]'") from error
    except Exception as error:
        # For example a torchvision that was built for another torch.
        raise InputError(f"model timm:{name}: timm cannot be imported: {_line(error)}") from error
    known = timm.list_models()
    architecture = name.partition(".")[0]
    if architecture not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists all of them"
        raise InputError(f"model timm:{name}: timm has no such model; {hint}")
    if arguments["width"] != 1:
        raise InputError(f"model timm:{name}: timm's networks have no width multiplier; use width 1")
    options = {"num_classes": arguments["num_classes"], "in_chans": arguments["in_channels"]}
    config = timm.models.get_pretrained_cfg(architecture)
    if config is not None and config.fixed_input_size:
        options["img_size"] = arguments["image_size"]
    try:
        model = timm.create_model(name, pretrained=False, **options)
    except Exception as error:
        raise InputError(f"model timm:{name}: timm could not build it: {_line(error)}") from error
    return _checked(f"timm:{name}", model, arguments)


@contextlib.contextmanager
def _current_directory_importable() -> Iterator[None]:
    """Do as `python -m` does: the user's module usually lies where the command is typed."""
    folder = os.getcwd()
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def _import_factory(name: str) -> Callable[..., Any]:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"model {name}: module '{module_name}' cannot be imported: {_line(error)}") from error
    try:
        factory = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        public = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        close = difflib.get_close_matches(attribute, public, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "check the name after the colon"
        raise InputError(f"model {name}: module '{module_name}' has no '{attribute}'; {hint}") from None
    if isinstance(factory, nn.Module) or not callable(factory):
        what = "a network" if isinstance(factory, nn.Module) else f"a {type(factory).__name__}"
        raise InputError(f"model {name}: this is {what}; name a function or class that builds a network")
    return factory


def _accepted(name: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError as error:
        raise InputError(f"model {name}: its signature cannot be read; wrap it in a Python function") from error
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        names |= set(arguments)
    if arguments["width"] != 1 and "width" not in names:
        raise InputError(f"model {name}: it does not accept 'width'; add that argument or use width 1")
    return {key: value for key, value in arguments.items() if key in names}


def _checked(name: str, model: Any, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the model if it is one and maps one image of the data to one row of logits."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model {name}: it gave a {type(model).__name__}, not a torch.nn.Module")
    channels, size, classes = (arguments[key] for key in ("in_channels", "image_size", "num_classes"))
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(torch.zeros(1, channels, size, size, device=device))
    except Exception as error:
        shape = f"{channels}x{size}x{size}"
        raise InputError(f"model {name}: it does not take an image of {shape}: {_line(error)}") from error
    model.train(training)
    if not isinstance(output, torch.Tensor) or output.shape != (1, classes):
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise InputError(f"model {name}: for one image it gives {got}, not logits of shape (1, {classes})")
    return model


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
