"""Where and with what a study runs: what a card needs and nobody can tell afterwards."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from greenshift.energy import machine

_PACKAGES = ("greenshift", "torch", "numpy", "ConfigSpace", "smac", "pymoo")


def record_setting() -> dict[str, Any]:
    """Return this machine and the versions of the packages that matter, as JSON values."""
    return {"machine": machine().to_json(), "versions": installed_versions()}


def installed_versions() -> dict[str, str]:
    """Return the version of Python and of the packages that matter, of those that are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
