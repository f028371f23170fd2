"""What every scheme shares: a JSON form, and the keys that say which layers it is for."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from greenshift.errors import InputError


@runtime_checkable
class Scheme(Protocol):
    """A frozen dataclass that says how a layer is made cheaper."""

    __dataclass_fields__: ClassVar[Any]


_SCHEMES: dict[str, Callable[..., Scheme]] = {}

S = TypeVar("S", bound=type)
T = TypeVar("T")
_ADDED = "added"


def register(scheme: S) -> S:
    """Class decorator: make a scheme readable from JSON under its lower-case class name."""
    _SCHEMES[scheme.__name__.lower()] = scheme
    return scheme


def added(default: T) -> T:
    """Declare a field that a scheme got after designs with it were stored.

    At its default it is left out of the JSON form, so that stored designs keep their digests.
    """
    return dataclasses.field(default=default, metadata={_ADDED: True})


def check_bits(scheme: Scheme, name: str, fewest: int, most: int) -> None:
    """Check a field of a scheme that counts bits.

    Raises:
        InputError: If it is no whole number, or out of range.
    """
    value = getattr(scheme, name)
    if isinstance(value, bool) or not isinstance(value, int) or not fewest <= value <= most:
        own = type(scheme).__name__.lower()
        raise InputError(f"{own}: {name} is {fewest} to {most}, not {value}")


def scheme_to_json(scheme: Scheme) -> dict[str, Any]:
    """Return the scheme as a JSON object with its name under `scheme`."""
    silent = {
        f.name for f in dataclasses.fields(scheme) if _ADDED in f.metadata and getattr(scheme, f.name) == f.default
    }
    fields = {name: value for name, value in dataclasses.asdict(scheme).items() if name not in silent}
    return {"scheme": type(scheme).__name__.lower(), **fields}


def scheme_from_json(data: dict[str, Any]) -> Scheme:
    """Inverse of `scheme_to_json`.

    Raises:
        InputError: If the scheme's name or one of its fields is unknown or has a bad value.
    """
    fields = dict(data)
    name = fields.pop("scheme", None)
    if name not in _SCHEMES:
        raise InputError(f"scheme: unknown scheme '{name}'; known: {', '.join(sorted(_SCHEMES))}")
    try:
        return _SCHEMES[name](**fields)
    except TypeError as error:
        raise InputError(f"scheme {name}: {error}") from error


@dataclass(frozen=True)
class Depth:
    """Selects layers by their distance from one end of the network.

    As in the paper's code the count runs over convolutions in registration order, from the output
    backwards unless `origin` says otherwise; every linear layer is selected as soon as the count is
    above zero.

    Attributes:
        count: How many convolutions are selected, at least 0.
        origin: The end at which counting starts.
    """

    count: int
    origin: Literal["output", "input"] = "output"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.count < 0:
            raise InputError(f"shift depth must be at least 0, not {self.count}")
        if self.origin not in ("output", "input"):
            raise InputError(f"shift depth is counted from 'output' or 'input', not '{self.origin}'")

    def __str__(self) -> str:
        """Text form, such as `@output:20`."""
        return f"@{self.origin}:{self.count}"


LayerKey = str | Depth


def parse_key(text: str) -> LayerKey:
    """Read a layer key: `@output:N` or `@input:N` is a depth, anything else a layer name or glob.

    Raises:
        InputError: If a key that starts with `@` has neither form.
    """
    if not text.startswith("@"):
        return text
    match = re.fullmatch(r"@(output|input):(\d+)", text)
    if match is None:
        raise InputError(f"layer key '{text}' is neither @output:N nor @input:N")
    return Depth(int(match[2]), "output" if match[1] == "output" else "input")
