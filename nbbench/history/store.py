"""Adds to the history while a benchmark runs, and finds what an earlier run has measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ..machine.gpus import visible_conditions
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..report.saved_json import result_line, result_of
from ..text import error_text
from ..worker.case import Case, Outcome, Status
from .columns import COLUMNS, values_of
from .connection import BUSY_S, SQLITE_ERRORS, failed, identity_of, is_damage
from .damage import mend
from .database import open_history, open_to_read, warn_of_damage
from .tables import transaction

_INSERT = (
    "INSERT OR REPLACE INTO cases"
    f" (run, environment_id, ended, key, {', '.join(COLUMNS)}, content)"
    f" VALUES ({', '.join('?' * (len(COLUMNS) + 5))})"
)

_DELETE_OTHERS = "DELETE FROM cases WHERE key = ? AND ended = ? AND model = ? AND run <> ?"
"""What was saved of the same case from a damaged history that had lost its run."""

_OF_THE_MACHINE = (
    "system", "architecture", "machine", "cpu", "cpu_cores_usable", "cpu_quota_cores",
    "cpu_governor", "nbbench_version",
)  # fmt: skip
"""Facts that make two machines two, or times of them incomparable; others change by the hour."""

PASSING = (Status.TIMEOUT, Status.CRASHED, Status.CANCELLED, Status.SKIPPED)
"""How a case may end once and not the next time; any other end is an answer."""


_MAX_FOUND = 10
"""How many of the same case are looked at for one that can be read."""

_Found = TypeVar("_Found")


class HistoryStore:
    """The history, open for one benchmark. Raises `OutputError` where it cannot be used.

    ``warn`` is given what happens to it meanwhile; ``busy_s`` is how long another's write is
    waited for.
    """

    def __init__(
        self,
        file: Path,
        machine: MachineFacts,
        warn: Callable[[str], None] = warn_of_damage,
        busy_s: float = BUSY_S,
    ) -> None:
        self._file, self._machine = Path(os.path.realpath(file)), machine
        self._warn, self._busy_s = warn, busy_s
        self._machine_hash, self._uuid = machine_hash(machine), uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self.identity: tuple[int, int] | None = None
        """Which file it was when it was last opened."""
        self.unreadable = 0
        """Cases that were looked for, and found damaged."""

    def add(self, result: Result, worker: WorkerFacts | None, ended: float | None = None) -> None:
        """Add a case that has ended (at a time, by default now), in a transaction of its own.

        Raises `HistoryLocked` where another process writes.
        """
        content = zlib.compress(result_line(result).encode(), 1)
        moment = ended or time.time()
        values = (moment, result.case.key, *values_of(result), content)
        once_more = (result.case.key, moment, result.case.model)

        def act(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                run = self._run_id(connection, None if worker is None else worker.machine)
                environment = None if worker is None else insert_environment(connection, worker)
                connection.execute(_INSERT, (run, environment, *values))
                connection.execute(_DELETE_OTHERS, (*once_more, run))

        self._use(act, "written")

    def find(self, case: Case, worker: WorkerFacts) -> Outcome | None:
        """What became of the same case with the same versions on this machine; None if nothing.

        The latest that can be read counts; what ended so that it may end otherwise is nothing.
        """
        rows = self._use(
            lambda connection: connection.execute(
                "SELECT cases.content FROM cases JOIN runs ON runs.id = run"
                " JOIN environments ON environments.id = environment_id"
                " WHERE key = ? AND environments.hash = ? AND machine_hash = ?"
                " ORDER BY ended DESC LIMIT ?",
                (case.key, environment_hash(worker), self._machine_hash, _MAX_FOUND),
            ).fetchall(),
            "read",
        )
        outcome = next(self._readable(rows), None)
        return None if outcome is None or outcome.status in PASSING else outcome

    def find_on_nodes(self, case: Case) -> Outcome | None:
        """What became of the same case on a node of a cluster, whichever; None if nothing."""
        rows = self._use(
            lambda connection: connection.execute(
                "SELECT content FROM cases WHERE key = ? ORDER BY ended DESC", (case.key,)
            ).fetchall(),
            "read",
        )
        outcome = next((found for found in self._readable(rows) if found.node), None)
        return None if outcome is None or outcome.status in PASSING else outcome

    def is_replaced(self) -> bool:
        """Whether the database was deleted or renamed since it was opened; it is opened anew then.

        A process that goes on writing to a deleted file would lose what it writes.
        """
        if self._connection is None or identity_of(self._file) == self.identity:
            return False
        self.close()
        if not self._file.exists():  # what belonged to the deleted one must not meet a new one
            for suffix in ("-wal", "-shm"):
                with suppress(OSError):
                    self._file.with_name(self._file.name + suffix).unlink()
        return True

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait_longer(self, busy_s: float) -> None:
        """Wait for another's write from now on as long as this."""
        self.close()
        self._busy_s = busy_s

    def _readable(self, rows: Sequence[tuple[bytes]]) -> Iterator[Outcome]:
        for (content,) in rows:
            try:
                yield read_result(content).outcome
            except ValueError:
                self.unreadable += 1

    def _use(self, act: Callable[[sqlite3.Connection], _Found], what: str) -> _Found:
        """What an act returns; once more where the history proves damaged, which is mended."""
        is_reading = what == "read"
        try:
            try:
                return act(self._opened(is_reading))
            except SQLITE_ERRORS as error:
                if not is_damage(error, self._file):
                    raise
                self.close()
                mend(self._file, error, self._warn)
                return act(self._opened(is_reading))
        except (*SQLITE_ERRORS, OSError) as error:
            raise failed(self._file, error, what) from None

    def _opened(self, is_reading: bool) -> sqlite3.Connection:
        if self._connection is None:
            opened = open_to_read if is_reading else open_history
            self._connection = opened(self._file, self._warn, self._busy_s)
            self.identity = identity_of(self._file)
        return self._connection

    def _run_id(self, connection: sqlite3.Connection, node: MachineFacts | None) -> int:
        """The number of this run; of its part on a node, where it runs on several machines."""
        hashed = self._machine_hash if node is None else machine_hash(node, ())
        machine = json.dumps(dataclasses.asdict(node or self._machine))
        name = self._uuid if node is None else f"{self._uuid}-{hashed}"
        return insert_run(connection, name, time.time(), machine, hashed)


def insert_run(
    connection: sqlite3.Connection, name: str, begun: float, machine: str, hashed: str
) -> int:
    """The number of a run, which is added where it is new."""
    connection.execute(
        "INSERT OR IGNORE INTO runs (uuid, begun, machine, machine_hash) VALUES (?, ?, ?, ?)",
        (name, begun, machine, hashed),
    )
    found = connection.execute("SELECT id FROM runs WHERE uuid = ?", (name,)).fetchone()
    return int(found[0])


def insert_environment(connection: sqlite3.Connection, worker: WorkerFacts) -> int:
    """The number of an environment, which is added where it is new."""
    hashed = environment_hash(worker)
    connection.execute(
        "INSERT OR IGNORE INTO environments (hash, content) VALUES (?, ?)",
        (hashed, json.dumps({**dataclasses.asdict(worker), "values": dict(worker.values)})),
    )
    found = connection.execute("SELECT id FROM environments WHERE hash = ?", (hashed,)).fetchone()
    return int(found[0])


def read_result(content: bytes) -> Result:
    """A result as it is kept; raises ``ValueError`` for what is damaged."""
    try:
        return result_of(json.loads(zlib.decompress(content)))
    except (
        zlib.error, KeyError, TypeError, ValueError, AttributeError, ArithmeticError,
        RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"a case of the history is damaged: {error_text(error)}") from None


def environment_hash(worker: WorkerFacts) -> str:
    """A hash of the versions and settings that a worker says of itself."""
    return _hash(worker.values)


def machine_hash(machine: MachineFacts, gpus: Sequence[str] | None = None) -> str:
    """A hash of what makes the machine another one, its GPUs included: by default those here."""
    facts = {name: getattr(machine, name) for name in _OF_THE_MACHINE}
    if gpus is None:
        gpus = [condition.gpu for condition in visible_conditions()]
    return _hash({**facts, "gpus": list(gpus)})


def _hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
