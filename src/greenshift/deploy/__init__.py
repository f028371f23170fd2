"""Networks that really run: packed artifacts, the native runtime and exports."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenshift.deploy.runtime import Runtime

__all__ = ["load"]


def load(path: str | Path) -> "Runtime":
    """Return a packed network ready to run.

    Raises:
        InputError: The file is not a packed network, is damaged, or was written by a newer version.
    """
    from greenshift.deploy.file import read_network
    from greenshift.deploy.runtime import Runtime

    return Runtime(read_network(Path(path)))
