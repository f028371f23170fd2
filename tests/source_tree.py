"""The package's source as the tests of its shape see it: modules, their trees, their imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import greenshift

ROOT = Path(greenshift.__file__).parent


@dataclass(frozen=True)
class Import:
    """One name that a module imports.

    `name` is dotted and absolute; `deferred` is True inside a function, where it costs nothing at import.
    """

    module: str
    line: int
    name: str
    deferred: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(ROOT.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    parts = ("greenshift", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def module_names() -> frozenset[str]:
    return frozenset(map(module_name, files()))


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(found for path in files() for found in imports_of(module_name(path), tree(path)))


def imports_of(module: str, parsed: ast.AST, modules: frozenset[str] | None = None) -> list[Import]:
    """Imports of one module; `from package import submodule` counts as an import of the submodule."""
    known = module_names() if modules is None else modules
    return [found for node, deferred in _walk(parsed, False) for found in _imports(module, node, deferred, known)]


def _walk(node: ast.AST, deferred: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, deferred
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, deferred or inside)


def _imports(module: str, node: ast.AST, deferred: bool, known: frozenset[str]) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module, node.lineno, alias.name, deferred)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module}:{node.lineno}: a relative import"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield Import(module, node.lineno, full if full in known else str(node.module), deferred)
