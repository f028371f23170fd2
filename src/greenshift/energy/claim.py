"""Who on this machine may count its energy counters: one process at a time, by a locked file.

A counter counts the whole machine. Two processes that both counted it would count every joule twice, so a
process claims the counters first; worker processes of the claimant take their own shares under its claim.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import weakref
from pathlib import Path
from typing import IO

from greenshift.energy.probe import Probe

_held: weakref.WeakValueDictionary[Path, "Claim"] = weakref.WeakValueDictionary()


class Claim:
    """The right to count this machine's counters; it ends when nobody refers to it any more."""

    def __init__(self, file: IO[str] | None) -> None:
        """Keep the locked file open, or nothing if the claim is an ancestor's."""
        self._file = file

    def __del__(self) -> None:
        """Give the counters back."""
        if self._file is not None:
            self._file.close()


def runtime_folder() -> Path:
    """Folder of this host for files that only matter while processes run."""
    return Path(tempfile.gettempdir()) / f"greenshift-{os.getuid()}"


def claim_counters(folder: Path | None = None) -> Claim | str:
    """Claim this machine's counters for this process.

    Args:
        folder: Where the lock lies; the host's runtime folder if left out.

    Returns:
        The claim, to be kept for as long as counters are read, or in words who holds them instead.
    """
    path = (folder or runtime_folder()) / "counters.lock"
    claim = _held.get(path)
    if claim is not None:
        return claim
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.parent.lstat()
        # Others can write where it lies: what they put there in its place is not written to.
        if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.getuid():
            return f"{path.parent} is not a folder of this user; remove it"
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        return f"{path} cannot be opened ({error.strerror})"
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        if holder not in _ancestors():
            return f"another greenshift process holds this machine's counters (process {holder or 'unknown'})"
        claim = Claim(None)
    except OSError as error:  # a file system without locks
        file.close()
        return f"{path} cannot be locked ({error.strerror})"
    else:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        claim = Claim(file)
        _held[path] = claim
    return claim


def claim_probe(folder: Path | None = None) -> Probe:
    """Say whether this process could count the machine's counters now."""
    claim = claim_counters(folder)
    return Probe(False, claim) if isinstance(claim, str) else Probe(True, "no other greenshift process counts them")


def _ancestors() -> set[str]:
    import psutil

    with contextlib.suppress(psutil.Error):
        return {str(parent.pid) for parent in psutil.Process().parents()}
    return {str(os.getppid())}
