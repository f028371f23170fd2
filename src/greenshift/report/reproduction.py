"""How to get a study's figures again: command line and versions."""

import shlex
import time
from collections.abc import Mapping
from typing import Any

from greenshift.accounts.setting import installed_versions
from greenshift.config import StudyConfig, to_mapping
from greenshift.report.data import Reproduction

# Options of `greenshift search` that are not called like their field.
_OPTIONS = {
    "fidelity_min": "min-fidelity",
    "fidelity_max": "max-fidelity",
    "carbon_intensity_g_per_kwh": "carbon-intensity",
}


def reproduction(config: Mapping[str, Any], command: str | None = None) -> Reproduction:
    """Say how to repeat a study with what is installed here.

    Args:
        config: The study's fields.
        command: Its command line, made up from `config` if left out.
    """
    created = time.strftime("%Y-%m-%d %H:%M %Z")
    return Reproduction(command or search_command(config), installed_versions(), created)


def search_command(config: Mapping[str, Any]) -> str:
    """Return the command line that starts the study: one option per field that is not at its default.

    Args:
        config: The study's fields.
    """
    defaults = to_mapping(StudyConfig())
    words = ["greenshift", "search"]
    for name, value in config.items():
        if value == defaults[name]:
            continue
        option = _OPTIONS.get(name, name.replace("_", "-"))
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif name == "warm_start":
            words += [word for folder in value for word in (f"--{option}", folder)]
        elif isinstance(value, Mapping):
            words += [f"--{option}", ",".join(f"{key}={item}" for key, item in value.items())]
        else:
            words += [f"--{option}", ",".join(value) if isinstance(value, list | tuple) else str(value)]
    return shlex.join(words)
