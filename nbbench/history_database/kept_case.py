"""One case as the history keeps it: read with care, since a row may be damaged."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..text import counted, error_text
from ..worker.checked import checked
from .database import use_history
from .store import read_result

_CHUNK = 500
"""Cases that are read, or written, at a time."""

LAST_MOMENT = 253370764800.0
"""The year 9999 begins; a case ends in a year from 1970 to before that."""

WHEN = f"typeof(cases.ended) IN ('real', 'integer') AND cases.ended BETWEEN 0 AND {LAST_MOMENT:.0f}"
"""The condition of a case that has ended at a time; another is damaged."""


@dataclass(frozen=True)
class KeptCase:
    """A result, with the machine and the environment that it was measured in."""

    result: Result
    machine: MachineFacts
    worker: WorkerFacts | None


def read_case(machine: str, environment: str | None, content: bytes) -> KeptCase:
    """A case from the texts that are kept of it; raises ``ValueError`` for what is damaged."""
    try:
        worker = None if environment is None else _worker(environment)
        facts = _machine(machine)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"a case of the history is damaged: {error_text(error)}") from None
    return KeptCase(read_result(content), facts, worker)


@lru_cache(maxsize=64)
def _machine(text: str) -> MachineFacts:
    """The machine of many cases, each of which names it."""
    facts: MachineFacts = checked(MachineFacts, json.loads(text), "machine")
    return facts


@lru_cache(maxsize=64)
def _worker(text: str) -> WorkerFacts:
    worker: WorkerFacts = checked(WorkerFacts, json.loads(text), "environment")
    return worker


def chunks(connection: sqlite3.Connection, columns: str) -> Iterator[tuple[Any, ...]]:
    """These columns of all cases, the first of which is their number, some rows at a time.

    No lock is held between, and no more than some are in memory.
    """
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    last = -(1 << 63)
    while True:
        rows = connection.execute(
            f"SELECT {columns} FROM cases LEFT JOIN runs ON runs.id = cases.run"
            " LEFT JOIN environments ON environments.id = cases.environment_id"
            f" WHERE cases.id > ? ORDER BY cases.id LIMIT {_CHUNK}",
            (last,),
        ).fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def warn_of_unreadable(count: int) -> None:
    """Warn of cases that were passed over; of none, do nothing."""
    if count:
        warnings.warn(
            f"passed over {counted(count, 'case')} of the history that cannot be read; nbbench "
            f"history prune --damaged removes what is damaged",
            RuntimeWarning,
            stacklevel=4,
        )


def json_value(column: str, path: str) -> str:
    """The SQL for a value of a column's JSON; null where that is damaged."""
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '$.{path}') END"


def read_rows(file: Path, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows that a statement finds in a history; raises `OutputError`.

    Text that is damaged is read as far as it can be.
    """

    def act(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        return connection.execute(statement, values).fetchall()

    return use_history(file, act, is_reading=True)
