"""Options that mirror the fields of `StudyConfig`, so that a file and the command line say the same."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from greenshift.config import StudyConfig, from_mapping, load_config, meaning, to_mapping
from greenshift.errors import InputError

_NAMES = {"carbon_intensity_g_per_kwh": "--carbon-intensity", "fidelity_min": "--min-fidelity"}
_NAMES["fidelity_max"] = "--max-fidelity"
_REPEATED = frozenset({"warm_start"})  # folders, whose names may hold commas


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option per field of `StudyConfig` in place of its `**given` parameter.

    Options that are not given arrive as None.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [_option(field) for field in dataclasses.fields(StudyConfig)]
    command.__signature__ = inspect.Signature(own + options)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in own + options}
    return command


def _option(field: dataclasses.Field[Any]) -> inspect.Parameter:
    flag = _NAMES.get(field.name, "--" + field.name.replace("_", "-"))
    kind = list[str] if field.name in _REPEATED else _kind(typing.get_type_hints(StudyConfig)[field.name])
    flags = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
    text = meaning(field.name)
    if field.default not in (None, "", ()):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        text += f" [{default}]"
    if field.name in _REPEATED:
        text += "; repeat it for several"
    option = typer.Option(None, *flags, help=text, show_default=False)
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _kind(hint: Any) -> type:
    """Type that the command line reads; choices and lists are read as text and checked by `StudyConfig`."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((kind for kind in kinds if kind in (bool, int, float)), str)


def study_config(file: Path | None, given: dict[str, Any]) -> StudyConfig:
    """Join a study file with the options that were given; options win. What a study's table fixes is filled in.

    Args:
        file: `study.toml`, or None for the defaults.
        given: Option values by field; None means not given.

    Raises:
        InputError: If the file or a value is bad, or contradicts the table.
    """
    values = {} if file is None else to_mapping(load_config(file))
    for name, value in given.items():
        if value is not None and value != []:  # an option that may be repeated and was not given is an empty list
            values[name] = _READERS[name](value) if name in _READERS else value
    config = from_mapping(values, "options" if file is None else str(file))
    if config.replay is None:
        return config
    from greenshift.replay import load_table, with_table

    given_names = [name for name, value in given.items() if value not in (None, [])]
    return with_table(config, load_table(Path(config.replay)), given_names)


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _prior(text: str) -> dict[str, int | float | str]:
    """Read `lr=0.1,weight_bits=4`."""
    table: dict[str, int | float | str] = {}
    for part in text.split(","):
        key, separator, value = (word.strip() for word in part.partition("="))
        if not (key and separator and value) or key in table:
            raise InputError(f"prior: '{part.strip()}' is not one NAME=VALUE; write for example lr=0.1,weight_bits=4")
        table[key] = _number(value)
    return table


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_READERS: dict[str, Callable[[str], Any]] = {"objectives": _words, "techniques": _words, "prior": _prior}
