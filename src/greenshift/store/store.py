"""The store: records of one study, one writer, any number of readers.

`FOLDER/study.db` is SQLite in WAL mode, so readers see a running search and never hold it up.
`FOLDER/lock` is held by the one process that searches; the operating system lets go of it when that
process dies. `FOLDER/checkpoints/` has the trainings that can go on.

An evaluation is claimed before it starts and recorded when it ends. One that is cut short, whether by
`kill -9` or with a record of its interruption, leaves its claim behind, and `orphans` finds it.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

import greenshift
from greenshift.config import StudyConfig, to_mapping
from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.records import Evaluation, Task
from greenshift.store import tables
from greenshift.store.folder import (
    CHECKPOINTS,
    DATABASE,
    is_locked,
    open_for_reading,
    open_for_writing,
    prepare_folder,
    take_lock,
)
from greenshift.store.identity import enter_study, stored_config
from greenshift.store.values import PROBE, Claim, Consumption, Session, add_up


class Store:
    """A study's run folder, open for reading or, in one process at a time, for writing.

    Every method that touches the database raises InputError if the database cannot be used.
    """

    def __init__(self, folder: Path, engine: sa.Engine, lock: IO[str] | None) -> None:
        """Use `Store.create` or `Store.open`."""
        self.folder = folder
        self._engine = engine
        self._lock = lock
        self._session = 0

    @classmethod
    def create(cls, folder: Path, config: StudyConfig) -> Self:
        """Open a study for writing; start it if the folder has none.

        Args:
            folder: The run folder, made if it does not exist.
            config: The study, which must be the one already in the folder, if any (`config.identity`).

        Raises:
            InputError: If the folder cannot be written, another process writes to it, it holds another
                study, or its database is damaged or of another version.
        """
        prepare_folder(folder)
        lock = take_lock(folder)
        store = cls(folder, open_for_writing(folder), lock)
        try:
            with store._transaction() as connection:
                enter_study(connection, folder, config)
        except BaseException:
            store.close()
            raise
        return store

    @staticmethod
    def exists(folder: Path) -> bool:
        """Return whether the folder has a database, whatever is in it."""
        return (folder / DATABASE).exists()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a study for reading, also while a search writes to it.

        Raises:
            InputError: If there is no readable study in the folder.
        """
        if not (folder / DATABASE).is_file():
            problem = f"has no {DATABASE}" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
            raise InputError(f"store {folder}: {problem}; name the folder of a study")
        store = cls(folder, open_for_reading(folder), None)
        store.config()
        return store

    def close(self) -> None:
        """Let go of the database and, as a writer, of the lock."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    # ---- reading

    def config(self) -> StudyConfig:
        """Return the study's configuration, as its latest run had it."""
        with self._transaction() as connection:
            return stored_config(connection, self.folder)

    def facts(self) -> dict[str, Any]:
        """Return what the search worked out besides its evaluations (`greenshift.study`)."""
        with self._transaction() as connection:
            text = connection.execute(sa.select(tables.study.c.facts)).scalar_one()
        return dict(json.loads(text))

    def evaluations(self, order: Literal["end", "start"] = "end") -> list[Evaluation]:
        """Return all evaluations, baselines included.

        Args:
            order: `end` for the order in which they ended, `start` for that in which they were started.
        """
        table = tables.evaluations
        columns = (table.c.id,) if order == "end" else (table.c.sequence, table.c.id)
        with self._transaction() as connection:
            texts = connection.execute(sa.select(table.c.record).order_by(*columns)).scalars().all()
        return [Evaluation.from_json(json.loads(text)) for text in texts]

    def orphans(self) -> list[Claim]:
        """Return the claims without a final record, in the order in which they were started.

        For a reader these are the evaluations that run now, if a search `is_running`.
        """
        with self._transaction() as connection:
            rows = connection.execute(sa.select(tables.claims).order_by(tables.claims.c.sequence)).all()
        return [
            Claim(
                sequence=row.sequence,
                trial=row.trial,
                label=row.label,
                configuration=json.loads(row.configuration),
                fidelity=json.loads(row.fidelity),
                started_at=row.started_at,
            )
            for row in rows
        ]

    def sessions(self) -> list[Session]:
        """Return the runs of the search and the probes before them, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(tables.sessions).order_by(tables.sessions.c.id)).all()
        return [
            Session(
                started_at=row.started_at,
                updated_at=row.updated_at,
                state=row.state,
                version=row.version,
                config=json.loads(row.config),
                reading=None if row.reading is None else Reading.from_json(json.loads(row.reading)),
            )
            for row in rows
        ]

    def consumed(self) -> Consumption:
        """Return what all runs of the search consumed together, up to their last update."""
        return add_up([session.reading for session in self.sessions() if session.reading is not None])

    def selections(self) -> list[dict[str, Any]]:
        """Return the selections that were made, oldest first, as they were recorded."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(tables.selections.c.record).order_by(tables.selections.c.id))
            return [json.loads(text) for text in rows.scalars()]

    def is_running(self) -> bool:
        """Return whether a process writes to this store now."""
        return is_locked(self.folder)

    # ---- writing

    def begin_session(self, config: StudyConfig) -> None:
        """Start the row of this run; earlier runs that never ended were killed."""
        table = tables.sessions
        with self._transaction() as connection:
            connection.execute(sa.update(table).where(table.c.state == "running").values(state="killed"))
            self._session = _add_session(connection, config, "running", time.time())

    def record_probe(self, config: StudyConfig, reading: Reading) -> None:
        """Count what finding the study's budget consumed, as a session of its own that has just ended."""
        with self._transaction() as connection:
            began_at, text = time.time() - reading.wall_s, json.dumps(reading.to_json())
            _add_session(connection, config, PROBE, began_at, text)

    def update_session(self, reading: Reading, state: str = "running") -> None:
        """Record what this run has consumed since it began, and how it stands."""
        table = tables.sessions
        values = {"updated_at": time.time(), "state": state, "reading": json.dumps(reading.to_json())}
        with self._transaction() as connection:
            connection.execute(sa.update(table).where(table.c.id == self._session).values(values))

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Record what the search worked out (JSON values); facts of other names stay."""
        known = {**self.facts(), **facts}
        with self._transaction() as connection:
            connection.execute(sa.update(tables.study).values(facts=json.dumps(known)))

    def claim(self, task: Task) -> None:
        """Say that an evaluation starts. One that is claimed again keeps its place in the order."""
        fidelity = _canonical(task.fidelity)
        with self._transaction() as connection:
            if self._claimed(connection, task.trial, fidelity) is None:
                connection.execute(
                    sa.insert(tables.claims).values(
                        sequence=_next_sequence(connection),
                        trial=task.trial,
                        label=task.label,
                        configuration=json.dumps(task.configuration),
                        fidelity=fidelity,
                        started_at=time.time(),
                    )
                )

    def record(self, evaluation: Evaluation) -> None:
        """Record an evaluation that has ended; unless it was interrupted, its claim is settled."""
        fidelity = _canonical(evaluation.fidelity)
        with self._transaction() as connection:
            sequence = self._claimed(connection, evaluation.trial, fidelity)
            connection.execute(
                sa.insert(tables.evaluations).values(
                    sequence=_next_sequence(connection) if sequence is None else sequence,
                    trial=evaluation.trial,
                    outcome=evaluation.outcome,
                    record=json.dumps(evaluation.to_json()),
                )
            )
            if sequence is not None and evaluation.outcome != "interrupted":
                connection.execute(sa.delete(tables.claims).where(tables.claims.c.sequence == sequence))

    def record_selection(self, selection: Mapping[str, Any]) -> None:
        """Record a selection: a JSON object that says which point was taken and what it was worth."""
        with self._transaction() as connection:
            connection.execute(
                sa.insert(tables.selections).values(created_at=time.time(), record=json.dumps(dict(selection)))
            )

    def checkpoint_path(self, trial: int, digest: str) -> Path:
        """Return where the training of a trial's design keeps its state."""
        return self.folder / CHECKPOINTS / f"{trial}-{digest}.safetensors"

    # ---- inside

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise InputError(
                f"store {self.folder}: {DATABASE} cannot be used ({cause}); restore it or use another store"
            ) from error

    @staticmethod
    def _claimed(connection: sa.Connection, trial: int, fidelity: str) -> int | None:
        table = tables.claims
        where = (table.c.trial == trial) & (table.c.fidelity == fidelity)
        sequence: int | None = connection.execute(sa.select(table.c.sequence).where(where)).scalar()
        return sequence


def _add_session(
    connection: sa.Connection, config: StudyConfig, state: str, began_at: float, reading: str | None = None
) -> int:
    row = {"started_at": began_at, "updated_at": time.time(), "state": state, "reading": reading}
    about = {"version": greenshift.__version__, "config": json.dumps(to_mapping(config))}
    connection.execute(sa.insert(tables.sessions).values(**row, **about))
    added: int = connection.execute(sa.select(sa.func.max(tables.sessions.c.id))).scalar_one()
    return added


def _canonical(fidelity: Mapping[str, float]) -> str:
    return json.dumps({name: float(fidelity[name]) for name in sorted(fidelity)})


def _next_sequence(connection: sa.Connection) -> int:
    highest = (sa.select(sa.func.max(table.c.sequence)) for table in (tables.claims, tables.evaluations))
    return 1 + max((connection.execute(query).scalar() or 0 for query in highest), default=0)
