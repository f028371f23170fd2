"""How to get a study's figures again: command line and versions."""

import platform
import shlex
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from greenshift.report.data import Reproduction

_PACKAGES = ("greenshift", "torch", "numpy", "ConfigSpace", "smac", "plotly")


def reproduction(config: Mapping[str, Any], command: str | None = None) -> Reproduction:
    """Say how to repeat a study with what is installed here.

    Args:
        config: The study's fields.
        command: Its command line, made up from `config` if left out.
    """
    created = time.strftime("%Y-%m-%d %H:%M %Z")
    return Reproduction(command or search_command(config), _versions(), created)


def search_command(config: Mapping[str, Any]) -> str:
    """Return the command line that starts the study, one option per field that is set.

    Args:
        config: The study's fields.
    """
    words = ["greenshift", "search"]
    for name, value in config.items():
        option = "--" + name.replace("_", "-").removesuffix("-g-per-kwh")
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, list | tuple):
            words += [option, ",".join(map(str, value))]
        elif value is not None:
            words += [option, str(value)]
    return shlex.join(words)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
