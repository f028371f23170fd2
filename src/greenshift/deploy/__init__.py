"""Networks that really run: packed artifacts, the native runtime and exports."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenshift.deploy.runtime import Runtime

__all__ = ["load", "pack"]

# What is imported when it is asked for: packing needs torch, running does not.
_PARTS = {"pack": "greenshift.deploy.packing"}


def load(path: str | Path) -> "Runtime":
    """Return a packed network ready to run.

    Raises:
        InputError: The file is not a packed network, is damaged, or was written by a newer version.
    """
    from greenshift.deploy.file import read_network
    from greenshift.deploy.runtime import Runtime

    return Runtime(read_network(Path(path)))


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PARTS[name]), name)
