"""The files of a run folder: opening the database, and the lock that admits one writer."""

import os
import sqlite3
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from greenshift.errors import InputError

DATABASE = "study.db"
CHECKPOINTS = "checkpoints"
_LOCK = "lock"
_LOCK_TRIES = 5  # a reader that looks whether a search is running holds the lock for an instant
_LOCK_WAIT_S = 0.02


def prepare_folder(folder: Path) -> None:
    """Make the run folder and its checkpoint folder.

    Raises:
        InputError: If that is impossible, or the folder cannot be written.
    """
    try:
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"store {folder}: {error.strerror}; name a folder that can be written") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"store {folder}: the folder is read-only; name one that can be written")


def take_lock(folder: Path) -> IO[str]:
    """Become the one writer of a run folder until the returned file is closed or this process dies.

    Raises:
        InputError: If another process is the writer, or the lock file cannot be written.
    """
    import fcntl

    try:
        file = open(folder / _LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - lives as long as the lock
    except OSError as error:
        raise InputError(f"store {folder}: {error.strerror}: {_LOCK}; name a folder that can be written") from error
    for left in reversed(range(_LOCK_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if left:
                time.sleep(_LOCK_WAIT_S)
                continue
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise InputError(
                f"store {folder}: another search writes to it (process {holder}); wait for it or use another store"
            ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock, without keeping it from anybody."""
    import fcntl

    try:
        with open(folder / _LOCK, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def open_for_writing(folder: Path) -> sa.Engine:
    """Return an engine on the folder's database, which is created on first use."""
    engine = sa.create_engine(f"sqlite:///{folder / DATABASE}")
    sa.event.listen(engine, "connect", _write_ahead)
    return engine


def open_for_reading(folder: Path) -> sa.Engine:
    """Return an engine that cannot change the folder's database.

    SQLite needs to write a small index beside a WAL database even to read it. Where the folder is
    read-only and no writer left a log behind, it is told that nothing changes instead.
    """
    path = folder / DATABASE
    still = not os.access(folder, os.W_OK) and not path.with_name(DATABASE + "-wal").exists()
    uri = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if still else ''}"
    return sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool)


def _write_ahead(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Let readers in while this connection writes; a killed process loses nothing that was committed."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
