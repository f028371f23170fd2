"""Reading targets: TOML files of the catalog or of the user, checked to the last key."""

import difflib
import importlib.resources
import tomllib
from pathlib import Path
from typing import Any

from greenshift.errors import InputError
from greenshift.targets.reading import MODEL_READERS
from greenshift.targets.table import Table
from greenshift.targets.target import Figure, Target


def target_names() -> tuple[str, ...]:
    """Names of the targets in the catalog, in alphabetical order."""
    folder = importlib.resources.files("greenshift.targets") / "catalog"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_target(name_or_path: str | Path) -> Target:
    """Read a target by its name in the catalog or from a TOML file.

    Args:
        name_or_path: A name of `target_names()`, or the path of a file that ends in `.toml`; either may be
            followed by a colon and the name of a variant, such as `asic-45nm:aladdin`.

    Returns:
        The target.

    Raises:
        InputError: If there is no such target, variant or file, or the file is no valid target; names file and key.
    """
    name, variant = _parts(str(name_or_path))
    targets = parse_targets(*_document(name))
    if variant == "":
        return targets[0]
    known = [known for known, _ in targets[0].variants]
    if variant not in known:
        raise InputError(f"target '{name}' has no variant '{variant}'; known: {', '.join(known) or 'none'}")
    return targets[1 + known.index(variant)]


def load_variants(name_or_path: str | Path) -> tuple[Target, ...]:
    """Read a target with all its variants, the target itself first.

    Args:
        name_or_path: As for `load_target`; which variant it names does not matter.

    Raises:
        InputError: As `load_target`.
    """
    target = load_target(name_or_path)
    if not target.variants:
        return (target,)
    return parse_targets(*_document(_parts(str(name_or_path))[0]))


def parse_target(text: str, where: str) -> Target:
    """Read a target from TOML text, without its variants; as `parse_targets`."""
    return parse_targets(text, where)[0]


def parse_targets(text: str, where: str) -> tuple[Target, ...]:
    """Read a target and its variants from TOML text.

    Args:
        text: The TOML document; `targets/catalog` has examples of all models.
        where: Name of the file, for messages.

    Returns:
        The target as the file has it, then its variants, each with its own figures in place.

    Raises:
        InputError: If the text is no TOML, a key is unknown or missing, or a figure is negative, has no
            source or no factor; names file and key.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from error
    variants = document.pop("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(changes, dict) for changes in variants.values()):
        raise InputError(f"{where}: variants: tables are needed, such as [variants.fast.cycles]")
    titles = tuple((name, _title(changes, f"{where}: variants.{name}")) for name, changes in variants.items())
    targets = [_target(document, where, "", titles)]
    for name, changes in variants.items():
        merged = _merged(document, {key: value for key, value in changes.items() if key != "title"})
        targets.append(_target(merged, f"{where}: variant {name}", name, titles))
    return tuple(targets)


def _parts(text: str) -> tuple[str, str]:
    """Name or path, and variant; a colon inside a path is part of it."""
    if text.endswith(".toml"):
        return text, ""
    name, colon, variant = text.rpartition(":")
    return (name, variant) if colon else (text, "")


def _document(name: str) -> tuple[str, str]:
    """Text and name of a target's file."""
    if name.endswith(".toml"):
        return _read(Path(name)), name
    names = target_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InputError(f"target '{name}' is unknown; {hint}known: {', '.join(names)}; or give a .toml file")
    resource = importlib.resources.files("greenshift.targets") / "catalog" / f"{name}.toml"
    return resource.read_text(encoding="utf-8"), f"{name}.toml"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"target file {path}: {reason}") from error


def _title(changes: dict[str, Any], where: str) -> str:
    title = changes.get("title")
    if not isinstance(title, str) or not title.strip():
        raise InputError(f"{where}.title: a line is needed that says what differs")
    if len(changes) == 1:
        raise InputError(f"{where}: changes no figure")
    return title


def _merged(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Replace figures and other values; tables of figures are joined key by key."""
    result = dict(document)
    for key, value in changes.items():
        old = result.get(key)
        joined = isinstance(old, dict) and isinstance(value, dict) and "value" not in value
        result[key] = _merged(old, value) if joined and old is not None else value
    return result


def _target(document: dict[str, Any], where: str, variant: str, variants: tuple[tuple[str, str], ...]) -> Target:
    citations = document.get("sources")
    figures: dict[str, Figure] = {}
    root = Table(document, where, "", frozenset(citations) if isinstance(citations, dict) else frozenset(), figures)
    name, title, version, kind = (root.text(key) for key in ("name", "title", "version", "model"))
    cited = root.table("sources")
    pairs = tuple((key, cited.text(key)) for key in cited.names())
    if kind not in MODEL_READERS:
        raise InputError(f"{where}: model is {' or '.join(repr(known) for known in MODEL_READERS)}, not '{kind}'")
    model = MODEL_READERS[kind](root)
    root.done()
    if variant:
        name, title = f"{name}:{variant}", f"{title}; {dict(variants)[variant]}"
    return Target(name, title, version, kind, model, pairs, tuple(figures.items()), variants)
