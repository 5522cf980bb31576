"""Adds to the history while a benchmark runs, and finds what an earlier run has measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..machine.gpus import visible_conditions
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..report.saved_json import result_line, result_of
from ..worker.case import Case, Outcome, Status
from .columns import COLUMNS, values_of
from .database import open_history

_INSERT = (
    "INSERT OR REPLACE INTO cases"
    f" (run, environment_id, ended, key, {', '.join(COLUMNS)}, content)"
    f" VALUES ({', '.join('?' * (len(COLUMNS) + 5))})"
)

_OF_THE_MACHINE = (
    "system", "architecture", "machine", "cpu", "cpu_cores_usable", "cpu_quota_cores",
    "cpu_governor", "nbbench_version",
)  # fmt: skip
"""Facts that make two machines two, or times of them incomparable; others change by the hour."""

PASSING = (Status.TIMEOUT, Status.CRASHED, Status.CANCELLED, Status.SKIPPED)
"""How a case may end once and not the next time; any other end is an answer."""


class HistoryStore:
    """The history, open for one benchmark. Raises `OutputError` where it cannot be written."""

    def __init__(self, file: Path, machine: MachineFacts) -> None:
        self._file, self._machine = file, machine
        self._machine_hash, self._uuid = machine_hash(machine), uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self._runs: dict[str, int] = {}
        self._environments: dict[str, int] = {}

    def add(self, result: Result, worker: WorkerFacts | None) -> None:
        """Add a case that has ended, in a transaction of its own."""
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                run = self._run_id(connection, None if worker is None else worker.machine)
                environment = self._environment_id(worker)
                content = zlib.compress(result_line(result).encode(), 1)
                values = (run, environment, time.time(), result.case.key, *values_of(result))
                connection.execute(_INSERT, (*values, content))
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                self._runs, self._environments = {}, {}  # they may have gone with it
                raise
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"the history cannot be written: {error}") from None

    def find(self, case: Case, worker: WorkerFacts) -> Outcome | None:
        """What became of the same case with the same versions on this machine; None if nothing.

        The latest counts; what ended so that it may end otherwise is nothing.
        """
        rows = self._opened().execute(
            "SELECT cases.content FROM cases JOIN runs ON runs.id = run"
            " JOIN environments ON environments.id = environment_id"
            " WHERE key = ? AND environments.hash = ? AND machine_hash = ?"
            " ORDER BY ended DESC LIMIT 1",
            (case.key, environment_hash(worker), self._machine_hash),
        )
        for (content,) in rows:
            outcome = read_result(content).outcome
            return None if outcome.status in PASSING else outcome
        return None

    def find_on_nodes(self, case: Case) -> Outcome | None:
        """What became of the same case on a node of a cluster, whichever; None if nothing."""
        rows = self._opened().execute(
            "SELECT content FROM cases WHERE key = ? ORDER BY ended DESC", (case.key,)
        )
        for (content,) in rows:
            outcome = read_result(content).outcome
            if outcome.node:
                return None if outcome.status in PASSING else outcome
        return None

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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
