"""Networks that really run: packed artifacts, the native runtime and exports."""

from typing import Any

__all__ = ["pack"]

# What is imported when it is asked for: packing needs torch, running does not.
_PARTS = {"pack": "greenshift.deploy.packing"}


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PARTS[name]), name)
