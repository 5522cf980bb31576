"""Adds to the history while a benchmark runs, and finds what an earlier run has measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ..machine.gpus import visible_conditions
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..report.saved_json import result_line, result_of
from ..text import error_text
from ..worker.case import Case, Outcome, Phase, Status
from .alike import (
    LABEL_OF_VISITS,
    alike_key,
    rows_alike,
    saved_label,
    visits_alike,
    visits_key,
)
from .candidates import Candidate, CandidateRow, own_first, with_extras
from .columns import KINDS, values_of
from .connection import BUSY_S, PARTS, SQLITE_ERRORS, failed, identity_of, is_damage
from .damage import mend
from .database import open_history, open_to_read, warn_of_damage
from .tables import transaction

_INSERT = (
    "INSERT OR REPLACE INTO cases"
    f" (run, environment_id, ended, key, {', '.join(KINDS)}, content)"
    f" VALUES ({', '.join('?' * (len(KINDS) + 5))})"
)

_INSERT_VISITS = (
    "INSERT OR REPLACE INTO begun_cases (key, environment, machine, kept, extras, content)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)

_DELETE_OTHERS = "DELETE FROM cases WHERE key = ? AND ended = ? AND model = ? AND run <> ?"
"""What was saved of the same case from a damaged history that had lost its run."""

_OF_THE_MACHINE = (
    "system", "architecture", "machine", "cpu", "cpu_cores_usable", "cpu_quota_cores",
    "cpu_governor", "nbbench_version",
)  # fmt: skip
"""Facts that make two machines two, or times of them incomparable; others change by the hour."""

_HASH_DIGITS = 16

_OF_VALUES = f"substr(environments.hash, 1, {_HASH_DIGITS})"
"""What tells versions and settings; behind it may stand what tells the GPU and the machine."""

_MEASURED_IN = "environment = ? AND machine = ?"
"""What a row of `begun_cases` is found by, beside its case."""

PASSING = (Status.TIMEOUT, Status.CRASHED, Status.CANCELLED, Status.SKIPPED)
"""How a case may end once and not the next time; any other end is an answer."""


_OF_PACKAGES = re.compile(r"\b(?:ImportError|ModuleNotFoundError|No module named|install(?:ed)?)\b")
"""What a reason says that a package was missing for, which may be there the next time."""

_OF_MOMENT = re.compile(
    r"\bare available; nothing was run\b|\bhas no memory left to begin with\b"
    r"|\bdevice \S+ cannot be used\b|\bbusy or unavailable\b"
    r"|\bNo space left on device\b|\bnot enough space on the disk\b|\bDisk quota exceeded\b"
    r"|\b[Tt]oo many open files\b|\bcan't start new thread\b|\bResource temporarily unavailable\b"
)
"""What a reason says of a case that lacked what others held at that moment: memory, a GPU, room on
the disk, open files, threads or processes."""

_SAME_MEMORY = 1.02
"""How many times as much memory is as much: a machine's differs a little from start to start."""

_MAX_FOUND = 100
"""How many of the same case are looked at for one that answers."""

_Found = TypeVar("_Found")


class HistoryStore:
    """The history, open for one benchmark. Raises `OutputError` where it cannot be used.

    ``warn`` is given what happens to it meanwhile; ``busy_s`` is how long another's write is
    waited for. ``extras`` are those of `EXTRAS` that the benchmark asks for: what lacks one is not
    found.
    """

    def __init__(
        self,
        file: Path,
        machine: MachineFacts,
        warn: Callable[[str], None] = warn_of_damage,
        busy_s: float = BUSY_S,
        extras: Collection[str] = frozenset(),
    ) -> None:
        self._extras = extras
        self._file, self._machine = Path(os.path.realpath(file)), machine
        self._warn, self._busy_s = warn, busy_s
        self._machine_hash, self._uuid = machine_hash(machine), uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self.identity: tuple[int, int] | None = None
        """Which file it was when it was last opened."""
        self.unreadable = 0
        """Cases that were looked for, and found damaged."""

    def add(
        self,
        result: Result,
        worker: WorkerFacts | None,
        ended: float | None = None,
        planned: Case | None = None,
        position: int | None = None,
    ) -> None:
        """Add a case that has ended (at a time, by default now), in a transaction of its own.

        ``planned`` is the case that a search has found this one for, ``position`` its number in the
        order of its run. Visits so far that it has are forgotten: not those of a size that a search
        has measured. Raises `HistoryLocked` where another process writes.
        """
        content = zlib.compress(result_line(result).encode(), 1)
        key, moment, saved = result.case.key, ended or time.time(), result.as_saved()
        alike = alike_key(planned or result.case)
        unshown = (planned and planned.key, position, " ".join(self._extras), alike)
        values = (moment, key, *values_of(saved), *unshown, content)
        once_more = (key, moment, saved.case.model)
        is_cancelled = result.outcome.status is Status.CANCELLED

        def act(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                run = self._run_id(connection, None if worker is None else worker.machine)
                environment = None if worker is None else insert_environment(connection, worker)
                connection.execute(_INSERT, (run, environment, *values))
                connection.execute(_DELETE_OTHERS, (*once_more, run))
                if worker is not None and planned is None and not is_cancelled:
                    for visits in (key, visits_key(alike, saved.case.model)):
                        connection.execute(
                            f"DELETE FROM begun_cases WHERE key = ? AND {_MEASURED_IN}",
                            (visits, *self._measured_in(worker)),
                        )

        self._use(act, "written")

    def keep_visits(self, result: Result, worker: WorkerFacts) -> None:
        """Keep what the visits of a case have measured so far, instead of what was kept before."""
        content = zlib.compress(result_line(result).encode(), 1)
        key = visits_key(alike_key(result.case), saved_label(result.case))
        values = (
            key, *self._measured_in(worker), time.time(), " ".join(self._extras), content,
        )  # fmt: skip
        self._use(lambda connection: connection.execute(_INSERT_VISITS, values), "written")

    def ended(self, case: Case, worker: WorkerFacts) -> Iterator[Candidate]:
        """What became of the same case with the same versions on this machine, or a worker's node.

        The case's own label comes first, and the latest; nothing older counts than what may end
        otherwise the next time (a timeout, a crash). A search for a size is found as a whole: the
        result has the case that was found by it.
        """
        alike, values = rows_alike(case)
        statement = (
            "SELECT cases.id, cases.model, extras, cases.content, runs.machine FROM cases"
            " JOIN runs ON runs.id = run"
            " JOIN environments ON environments.id = environment_id"
            f" WHERE {alike} AND {_OF_VALUES} = ? AND machine_hash = ?"
            f" ORDER BY cases.model = ? DESC, ended DESC, cases.id DESC LIMIT {_MAX_FOUND}"
        )
        values += [*self._measured_in(worker), saved_label(case)]
        on_node = worker.machine is not None
        return self._answers(case, statement, values, worker.machine or self._machine, on_node)

    def kept_as(self, row: str) -> tuple[str, str, str, bytes] | None:
        """The run of a case that was found, its machine, its environment and what came of it.

        None where it was pruned meanwhile.
        """
        statement = (
            "SELECT uuid, machine, environments.content, cases.content FROM cases"
            " JOIN runs ON runs.id = run JOIN environments ON environments.id = environment_id"
            " WHERE cases.id = ?"
        )
        found: tuple[str, str, str, bytes] | None = self._use(
            lambda connection: connection.execute(statement, (int(row),)).fetchone(), "read"
        )
        return found

    def nodes_of(self, run: str) -> set[str]:
        """What a run calls the nodes that have measured its cases; empty for what is damaged."""
        statement = "SELECT content FROM cases JOIN runs ON runs.id = run WHERE uuid = ?"
        rows = self._use(
            lambda connection: connection.execute(statement, (run,)).fetchall(), "read"
        )
        names = set()
        for (content,) in rows:
            try:
                names.add(read_result(content).outcome.node)
            except ValueError:
                names.add("")
        return names

    def visits_so_far(self, case: Case, worker: WorkerFacts) -> Iterator[Candidate]:
        """What visits have measured of the same case that has not ended, its own label first."""
        alike, values = visits_alike(case)
        statement = (
            f"SELECT key, {LABEL_OF_VISITS}, extras, content, NULL"
            f" FROM begun_cases WHERE {alike} AND {_MEASURED_IN} ORDER BY kept DESC"
        )
        values += self._measured_in(worker)
        return self._answers(case, statement, values, self._machine, on_node=False)

    def _answers(
        self,
        case: Case,
        statement: str,
        values: Sequence[Any],
        machine: MachineFacts,
        on_node: bool,
    ) -> Iterator[Candidate]:
        """The results that answer for a case on a machine, until one that may end otherwise by now.

        What a search has found is no other case's, and what a node of a cluster has measured is
        for such nodes alone. What lacks an extra that no other row has is passed over, as is what
        was cancelled, which says nothing.
        """
        found = self._use(
            lambda connection: connection.execute(statement, values).fetchall(), "read"
        )
        rows = [
            CandidateRow(str(row), label, extras, content, self._readable, then)
            for row, label, extras, content, then in found
        ]
        for row in own_first(rows, saved_label(case)):
            if row.result is None or row.result.outcome.status is Status.CANCELLED:
                continue
            if row.is_of_node != on_node:
                continue
            if not case.searched and row.result.outcome.searched_runs is not None:
                continue
            if may_pass(row.result.outcome) or _has_more_memory(machine, case, row):
                return
            candidate = with_extras(row, rows, self._extras)
            if candidate is not None:
                yield candidate

    def close_if_replaced(self) -> bool:
        """Let go of a database that was deleted or renamed since it was opened; whether it was.

        What is asked of it next opens it anew: a process that goes on writing to a deleted file
        would lose what it writes.
        """
        if self._connection is None or identity_of(self._file) == self.identity:
            return False
        self.close()
        if not self._file.exists():  # what belonged to the deleted one must not meet a new one
            for suffix in PARTS:
                with suppress(OSError):
                    self._file.with_name(self._file.name + suffix).unlink()
        return True

    def close(self) -> None:
        """Let go of the database, with all that was written in the file itself.

        While another run has it open, SQLite would leave that in a file beside it, which is lost
        where someone renames or copies the database alone.
        """
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._connection.close()
            self._connection = None

    def wait_longer(self, busy_s: float) -> None:
        """Wait for another's write from now on as long as this."""
        self.close()
        self._busy_s = busy_s

    def _measured_in(self, worker: WorkerFacts) -> tuple[str, str]:
        machine = worker.machine
        hashed = self._machine_hash if machine is None else machine_hash(machine, ())
        return environment_hash(worker), hashed

    def _readable(self, content: Any) -> Result | None:
        try:
            return read_result(content)
        except ValueError:
            self.unreadable += 1
            return None

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


def may_pass(outcome: Outcome) -> bool:
    """Whether a case may end otherwise the next time, with all that is known the same.

    Packages beside the framework are no part of what is known of an environment, nor is what kept
    it from being made, or its interpreter from being started.
    """
    if outcome.phase in (Phase.PREPARING, Phase.STARTING):
        return True
    if _OF_MOMENT.search(outcome.reason):
        return True
    if outcome.status in (Status.ERROR, Status.UNSUPPORTED):
        return _OF_PACKAGES.search(outcome.reason) is not None
    return outcome.status in PASSING


def _has_more_memory(machine: MachineFacts, case: Case, row: CandidateRow) -> bool:
    """Whether a case that had too little, or as much as there was, would have more by now."""
    assert row.result is not None
    is_limited = case.searched or row.result.outcome.status is Status.OOM
    if not is_limited or case.memory_limit is not None:
        return False
    return (machine.cpu_ram_mb or 0) > row.cpu_ram_mb * _SAME_MEMORY


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
    """The number of an environment, which is added where it is new.

    It has the GPU and the machine, too, of which one environment may have met several.
    """
    met = {"gpu": worker.gpu.gpu, "driver": worker.gpu.gpu_driver}
    if worker.machine is not None:
        met["machine"] = machine_hash(worker.machine, ())
    hashed = environment_hash(worker)
    if any(met.values()):
        hashed += _hash(met)
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
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:_HASH_DIGITS]
