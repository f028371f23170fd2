"""Where the official files of a dataset lie."""

import os
from collections.abc import Sequence
from pathlib import Path

from greenshift.errors import InputError

ENVIRONMENT = "GREENSHIFT_DATA"
SYSTEM_FOLDERS = ("/usr/share/datasets", "/usr/local/share/datasets", "~/.cache/greenshift")


def search_path(folder: str | None) -> tuple[Path, ...]:
    """Return the data folders in the order in which they are looked at, as absolute paths.

    Args:
        folder: The user's data folder or None. After it come the folder named by `GREENSHIFT_DATA` and
            the usual system folders.

    Raises:
        InputError: If the user's folder does not exist.
    """
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise InputError(f"data folder '{folder}' is not a folder; name the one that holds the datasets' folders")
    named = [root for root in (folder, os.environ.get(ENVIRONMENT)) if root]
    return tuple(Path(root).expanduser().absolute() for root in (*named, *SYSTEM_FOLDERS))


def locate(dataset: str, roots: Sequence[Path], places: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """Find the folder of a dataset: the first place that holds at least one of its files.

    Args:
        dataset: Name, for the message.
        roots: Data folders in order.
        places: Pairs of a subfolder (empty for the folder itself) and file names, in order of preference.

    Returns:
        The folder that holds the files.

    Raises:
        InputError: If no place holds any of the files.
    """
    for root in roots:
        for subfolder, names in places:
            if any((root / subfolder / name).is_file() for name in names):
                return root / subfolder
    wanted = " or ".join(dict.fromkeys(subfolder for subfolder, _ in places if subfolder))
    raise InputError(
        f"dataset {dataset}: no {wanted} in {', '.join(map(str, roots))}; put the official files there, "
        f"or name the folder that holds {wanted} with --data-dir or {ENVIRONMENT}"
    )


def read_exactly(path: Path, size_bytes: int, meaning: str) -> bytes:
    """Read a file that must have a known size.

    Args:
        path: The file.
        size_bytes: Its size in bytes.
        meaning: What that size is made of, for the message.

    Raises:
        InputError: If the file is missing, cannot be read, or has another size.
    """
    content = read(path)
    if len(content) != size_bytes:
        problem = "is truncated" if len(content) < size_bytes else "is too long"
        raise InputError(
            f"{path} {problem}: {len(content)} bytes, not {size_bytes} ({meaning}); unpack the official archive again"
        )
    return content


def read(path: Path) -> bytes:
    """Read a file.

    Raises:
        InputError: If the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; unpack the official archive again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
