"""The built-in networks by name."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

Builder = Callable[..., nn.Module]
B = TypeVar("B", bound=Builder)

_BUILDERS: dict[str, Builder] = {}


def register(name: str, **fixed: Any) -> Callable[[B], B]:
    """Function decorator: make a builder known under a name, with some of its arguments fixed.

    The builder is called with the keywords `num_classes`, `in_channels`, `image_size` and `width`
    beside the fixed ones, and with `depth` if it has such an argument. A
    family registers each of its members on one builder.

    Args:
        name: Name for `build_model`; must be new.
        **fixed: Arguments that make the member, such as `layers=20`.

    Returns:
        The decorator; it returns the builder unchanged.

    Raises:
        ValueError: If the name is taken.
    """

    def mark(builder: B) -> B:
        if name in _BUILDERS:
            raise ValueError(f"a model named '{name}' is registered already")
        _BUILDERS[name] = functools.partial(builder, **fixed)
        return builder

    return mark


def model_names() -> tuple[str, ...]:
    """Return the names of the built-in models, sorted."""
    return tuple(sorted(_BUILDERS))


def find_builder(name: str) -> Builder | None:
    """Return the builder of a built-in model, or None if there is none of that name."""
    return _BUILDERS.get(name)
