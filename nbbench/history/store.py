"""Adds to the history while a benchmark runs, and finds what an earlier run has measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sqlite3
import time
import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..machine.gpus import visible_conditions
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..report.saved_json import result_line, result_of
from ..worker.case import Case, Outcome, Status
from .columns import COLUMNS, EXTRAS, UNSHOWN, values_of
from .database import open_history

_INSERT = (
    "INSERT OR REPLACE INTO cases"
    f" (run, environment_id, ended, key, {', '.join((*UNSHOWN, *COLUMNS))}, content)"
    f" VALUES ({', '.join('?' * (len(UNSHOWN) + len(COLUMNS) + 5))})"
)

_OF_THE_MACHINE = (
    "system", "architecture", "machine", "cpu", "cpu_cores_usable", "cpu_quota_cores",
    "cpu_governor", "nbbench_version",
)  # fmt: skip
"""Facts that make two machines two, or times of them incomparable; others change by the hour."""

_OF_CASE = "key = ? AND environment = ? AND machine = ?"
"""What a case's row of `begun_cases` is found by."""

_VISITS_BUSY_MS = 100
"""How long visits wait for another process's write: the end of their case has them, too."""

PASSING = (Status.TIMEOUT, Status.CRASHED, Status.CANCELLED, Status.SKIPPED)
"""How a case may end once and not the next time; any other end is an answer."""

_OF_PACKAGES = re.compile(r"\b(?:ImportError|ModuleNotFoundError|No module named|install(?:ed)?)\b")
"""What a reason says that a package was missing for, which may be there the next time."""


class HistoryStore:
    """The history, open for one benchmark. Raises `OutputError` where it cannot be written.

    ``extras`` are those of `EXTRAS` that the benchmark asks for: what lacks one is not found.
    """

    def __init__(
        self, file: Path, machine: MachineFacts, extras: Collection[str] = frozenset()
    ) -> None:
        self._file, self._machine, self._extras = file, machine, extras
        self._machine_hash, self._uuid = machine_hash(machine), uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self._runs: dict[str, int] = {}
        self._environments: dict[str, int] = {}

    def add(
        self,
        result: Result,
        worker: WorkerFacts | None,
        planned: Case | None = None,
        position: int | None = None,
    ) -> None:
        """Add a case that has ended, in a transaction of its own.

        ``planned`` is the case that a search has found this one for, ``position`` its number in the
        order of its run.
        """
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                run = self._run_id(connection, None if worker is None else worker.machine)
                environment = self._environment_id(worker)
                content = zlib.compress(result_line(result).encode(), 1)
                key = result.case.key
                values = (
                    run, environment, time.time(), key, planned and planned.key, position,
                    " ".join(self._extras), *values_of(result.as_saved()),
                )  # fmt: skip
                connection.execute(_INSERT, (*values, content))
                if worker is not None:
                    connection.execute(
                        f"DELETE FROM begun_cases WHERE {_OF_CASE}", self._of_case(key, worker)
                    )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                self._runs, self._environments = {}, {}  # they may have gone with it
                raise
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"the history cannot be written: {error}") from None

    def keep_visits(self, result: Result, worker: WorkerFacts) -> None:
        """Keep what the visits of a case have measured so far, instead of what was kept before.

        It waits for no other process; raises `OutputError` where it cannot be kept now.
        """
        content = zlib.compress(result_line(result).encode(), 1)
        key = self._of_case(result.case.key, worker)
        try:
            connection = self._opened()
            (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
            connection.execute(f"PRAGMA busy_timeout = {_VISITS_BUSY_MS}")
            try:
                connection.execute(
                    "INSERT OR REPLACE INTO begun_cases"
                    " (key, environment, machine, kept, extras, content) VALUES (?, ?, ?, ?, ?, ?)",
                    (*key, time.time(), " ".join(self._extras), content),
                )
            finally:
                connection.execute(f"PRAGMA busy_timeout = {usual}")
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"the history cannot be written: {error}") from None

    def find(self, case: Case, worker: WorkerFacts) -> Result | None:
        """What became of the same case with the same versions on this machine; None if nothing.

        The latest counts; what ended so that it may end otherwise is nothing. A case of which a
        size is searched is found as a whole: the result has the case that was found for it.
        """
        rows = self._opened().execute(
            "SELECT cases.content, extras FROM cases JOIN runs ON runs.id = run"
            " JOIN environments ON environments.id = environment_id"
            f" WHERE {_same(case)} AND environments.hash = ? AND machine_hash = ?"
            " ORDER BY ended DESC, cases.id DESC",
            (case.key, environment_hash(worker), self._machine_hash),
        )
        return next(self._answers(rows, case), None)

    def find_visits(self, case: Case, worker: WorkerFacts) -> Result | None:
        """What the visits of a case have measured that has not ended; None if there are none."""
        rows = self._opened().execute(
            f"SELECT content, extras FROM begun_cases WHERE {_OF_CASE}",
            self._of_case(case.key, worker),
        )
        return next(self._answers(rows, case), None)

    def find_on_nodes(self, case: Case) -> Result | None:
        """What became of the same case on a node of a cluster, whichever; None if nothing."""
        rows = self._opened().execute(
            f"SELECT content, extras FROM cases WHERE {_same(case)} ORDER BY ended DESC, id DESC",
            (case.key,),
        )
        found = (result for result in self._answers(rows, case) if result.outcome.node)
        return next(found, None)

    def _answers(self, rows: Iterable[tuple[bytes, str | None]], case: Case) -> Iterator[Result]:
        """The results of rows that answer for a case, until one that may end otherwise by now.

        What a search has found is no other case's, and what lacks an extra is passed over.
        """
        for content, extras in rows:
            result = read_result(content)
            is_of_search = not case.searched and result.outcome.searched_runs is not None
            if is_of_search or self._lacks(result.outcome, (extras or "").split()):
                continue
            if may_pass(result.outcome):
                return
            yield result

    def _lacks(self, outcome: Outcome, extras: Collection[str]) -> bool:
        """Whether an outcome has not all that is asked for, though it might."""
        return outcome.status is Status.OK and any(
            extra not in extras and getattr(outcome, extra) is None
            for extra in EXTRAS
            if extra in self._extras
        )

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _of_case(self, key: str, worker: WorkerFacts) -> tuple[str, str, str]:
        return key, environment_hash(worker), self._machine_hash

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_history(self._file)
        return self._connection

    def _run_id(self, connection: sqlite3.Connection, node: MachineFacts | None) -> int:
        """The number of this run; of its part on a node, where it runs on several machines."""
        hashed = self._machine_hash if node is None else machine_hash(node, ())
        if hashed not in self._runs:
            machine = json.dumps(dataclasses.asdict(node or self._machine))
            name = self._uuid if node is None else f"{self._uuid}-{hashed}"
            self._runs[hashed] = insert_run(connection, name, time.time(), machine, hashed)
        return self._runs[hashed]

    def _environment_id(self, worker: WorkerFacts | None) -> int | None:
        if worker is None:
            return None
        found = environment_hash(worker)
        if found not in self._environments:
            self._environments[found] = insert_environment(self._opened(), worker)
        return self._environments[found]


def may_pass(outcome: Outcome) -> bool:
    """Whether a case may end otherwise the next time, with all that is known the same.

    Packages beside the framework are no part of what is known of an environment.
    """
    if outcome.status in (Status.ERROR, Status.UNSUPPORTED):
        return _OF_PACKAGES.search(outcome.reason) is not None
    return outcome.status in PASSING


def _same(case: Case) -> str:
    """The condition of rows that are of the same case."""
    return "planned = ?" if case.searched else "key = ?"


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
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"a case of the history is damaged: {error}") from None


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
