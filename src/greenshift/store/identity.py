"""Which study a database holds, and whether it is the one that is asked for."""

import json
import time
from pathlib import Path

import sqlalchemy as sa

from greenshift.config import StudyConfig, from_mapping, identity, to_mapping
from greenshift.errors import InputError
from greenshift.store import tables
from greenshift.store.folder import DATABASE


def enter_study(connection: sa.Connection, folder: Path, config: StudyConfig) -> None:
    """Begin a study in an empty database, or go on with the same one with new settings.

    Raises:
        InputError: If the database is not a study's, is of another version, or holds another study.
    """
    strange = set(sa.inspect(connection).get_table_names()) - set(tables.metadata.tables)
    if strange:
        raise InputError(f"store {folder}: {DATABASE} is not a study (it has a table '{min(strange)}')")
    tables.metadata.create_all(connection)
    text = json.dumps(to_mapping(config))
    if connection.execute(sa.select(tables.study.c.id)).first() is None:
        row = {"schema_version": tables.SCHEMA_VERSION, "created_at": time.time(), "config": text, "facts": "{}"}
        connection.execute(sa.insert(tables.study).values(row))
        return
    _check_same_study(folder, stored_config(connection, folder), config)
    connection.execute(sa.update(tables.study).values(config=text))


def stored_config(connection: sa.Connection, folder: Path) -> StudyConfig:
    """Return the configuration in a study's database.

    Raises:
        InputError: If there is no study in it, or one of another version.
    """
    version = connection.execute(sa.select(tables.study.c.schema_version)).scalar()
    if version is None:
        raise InputError(f"store {folder}: {DATABASE} holds no study yet; start one with greenshift search")
    if version != tables.SCHEMA_VERSION:
        raise InputError(
            f"store {folder}: made by another version of greenshift (schema {version}, "
            f"this one reads {tables.SCHEMA_VERSION}); use that version or another store"
        )
    text = connection.execute(sa.select(tables.study.c.config)).scalar_one()
    return from_mapping(json.loads(text), f"store {folder}")


def _check_same_study(folder: Path, stored: StudyConfig, config: StudyConfig) -> None:
    there, here = identity(stored), identity(config)
    for name in dict.fromkeys([*here, *there]):
        if there.get(name) != here.get(name):
            raise InputError(
                f"store {folder}: holds another study: {name} is {there.get(name)!r} there and "
                f"{here.get(name)!r} here; use another store or the same settings"
            )
