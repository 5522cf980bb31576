"""Reads from the history: cases as a frame, and runs as reports."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, OutputError
from ..frameworks import backend_names, has_backend
from ..machine.machine import MachineFacts
from ..report.environment import EnvironmentKey, WorkerFacts, environment_key
from ..report.report import Report
from ..text import counted, quoted
from ..worker.checked import checked
from .columns import COLUMNS
from .database import SWITCH, history_file, open_history
from .filters import MODES, STATUSES, check_known, models_like, varying
from .store import read_result

if TYPE_CHECKING:
    import pandas as pd

_DAYS = {"d": 1, "day": 1, "w": 7, "week": 7, "month": 30, "year": 365, "h": 1 / 24, "hour": 1 / 24}

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?", re.I)

_FROM = (
    " FROM cases JOIN runs ON runs.id = cases.run"
    " LEFT JOIN environments ON environments.id = cases.environment_id"
)


class History:
    """Cases of the history that were asked for, the latest last.

    ``frame`` has a row for each, as it ended, ``reports()`` the runs that they are of.
    """

    def __init__(self, connection: sqlite3.Connection, condition: str, values: list[Any]) -> None:
        self._connection = connection
        self._condition, self._values = condition, values

    def __len__(self) -> int:
        count = self._ask(f"SELECT count(*){_FROM} {self._condition}").fetchone()[0]
        return int(count)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a case: when it ended, its axes, time and memory, versions and machine."""
        import pandas as pd

        shown = ", ".join(f"cases.{name} AS {name}" for name in COLUMNS)
        rows = self._ask(
            f"SELECT cases.ended AS ended, {shown},"
            " json_extract(environments.content, '$.values.framework_version') AS"
            " framework_version,"
            " json_extract(environments.content, '$.values.transformers_version') AS"
            " transformers_version,"
            " json_extract(runs.machine, '$.cpu') AS cpu, runs.uuid AS run, cases.key AS key"
            f"{_FROM} {self._condition} ORDER BY cases.ended, cases.id"
        )
        frame = pd.DataFrame(rows.fetchall(), columns=[column[0] for column in rows.description])
        frame["ended"] = pd.to_datetime(frame["ended"], unit="s", utc=True).dt.tz_convert(_zone())
        for name, column in COLUMNS.items():
            if column.kind == "INTEGER":
                frame[name] = frame[name].astype("Int64")
            elif column.kind == "REAL":
                frame[name] = frame[name].astype("float64")
        return frame

    def latest(self, count: int) -> list[dict[str, Any]]:
        """The latest cases by their columns, the very latest last; without pandas."""
        names = ("ended", *COLUMNS)
        rows = self._ask(
            f"SELECT cases.ended, {', '.join(f'cases.{name}' for name in COLUMNS)}{_FROM}"
            f" {self._condition} ORDER BY cases.ended DESC, cases.id DESC LIMIT {int(count)}"
        )
        return [dict(zip(names, row, strict=True)) for row in rows][::-1]

    def reports(self) -> list[Report]:
        """The runs as reports, the latest last; raises `OutputError` for what is damaged."""
        rows = self._ask(
            "SELECT runs.uuid, runs.machine, environments.content, cases.content"
            f"{_FROM} {self._condition} ORDER BY runs.begun, runs.id, cases.id"
        )
        runs: dict[str, list[tuple[str, str | None, bytes]]] = defaultdict(list)
        for run, *rest in rows:
            runs[run].append(tuple(rest))
        try:
            return [_report(cases) for cases in runs.values()]
        except ValueError as error:
            raise OutputError(f"{error}; nbbench history prune removes it") from None

    def __repr__(self) -> str:
        return f"{counted(f'{len(self):,}', 'case')} of the history: .frame, .reports()"

    def _repr_html_(self) -> str:
        latest = self.frame.tail(20)
        rows = [
            {str(name): value for name, value in row.items()} for row in latest.to_dict("records")
        ]
        shown = [
            "ended", "model", *(axis.name for axis in varying(rows)),
            "batch_size", "sequence_length", "status", "median_s", "peak_mib",
        ]  # fmt: skip
        table = latest[shown].to_html(index=False)
        return f"{table}<div>{counted(f'{len(self):,}', 'case')}, the latest last</div>"

    def _ask(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, self._values)
        except sqlite3.Error as error:
            raise OutputError(f"the history cannot be read: {error}") from None


def history(
    model: str | None = None,
    *,
    since: str | date | None = None,
    framework: str | None = None,
    mode: str | None = None,
    status: str | None = None,
    key: str | None = None,
    file: str | Path | None = None,
) -> History:
    """What was measured on this machine before, by whichever kernel or shell.

    ``model`` is a name, or the last part of a path's, in which ``*`` stands for any part and large
    and small letters are the same; ``since`` is a date like ``"2026-11-01"`` or an
    age like ``"7 days"``; ``key`` is that of one case (`Case.key`). ``file`` is a history other
    than one's own. Raises `ArgumentError` for what is none of these, and `OutputError` where the
    history is switched off or cannot be read.
    """
    found = history_file() if file is None else Path(file).expanduser()
    if found is None:
        raise OutputError(f"the history is switched off by {SWITCH}; unset it")
    if file is not None and not found.exists():
        raise OutputError(f"there is no history {quoted(str(file))}")
    connection = open_history(found)
    check_known("mode", mode, MODES)
    check_known("status", status, STATUSES)
    if not (framework is None or (isinstance(framework, str) and has_backend(framework))):
        check_known("framework", framework, {*backend_names(), *_kept(connection, "framework")})
    conditions: list[str] = []
    values: list[Any] = []
    if model is not None:
        conditions.append("cases.model IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(models_like(model, _kept(connection, "model"))))
    if since is not None:
        conditions.append("cases.ended >= ?")
        values.append(moment_of(since).timestamp())
    for name, value in (
        ("framework", framework), ("mode", mode), ("status", status), ("key", key),
    ):  # fmt: skip
        if value is not None:
            conditions.append(f"cases.{name} = ?")
            values.append(value)
    condition = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return History(connection, condition, values)


def moment_of(given: str | date, name: str = "since") -> datetime:
    """A date, or an age like ``"7 days"``, as a moment; `ArgumentError` for anything else.

    ``name`` is the argument that it was given as.
    """
    if isinstance(given, datetime):
        return given
    if isinstance(given, date):
        return datetime(given.year, given.month, given.day)
    age = _AGE.fullmatch(given.strip())
    days = _DAYS.get(age[2].lower()) if age else None
    try:
        if age and days:
            return datetime.now() - timedelta(days=float(age[1]) * days)
        return datetime.fromisoformat(given.strip())
    except (ValueError, OverflowError):
        raise ArgumentError(
            f"{name}: {quoted(given)} is neither a date like 2026-11-01 nor an age like '7 days'"
        ) from None


def _kept(connection: sqlite3.Connection, column: str) -> list[str]:
    """The values of a column that cases have."""
    rows = History(connection, "", [])._ask(f"SELECT DISTINCT {column} FROM cases")
    return [str(row[0]) for row in rows]


def _report(cases: list[tuple[str, str | None, bytes]]) -> Report:
    machine = checked(MachineFacts, json.loads(cases[0][0]), "machine")
    results, workers = [], dict[EnvironmentKey, WorkerFacts]()
    for _, environment, content in cases:
        result = read_result(content)
        results.append(result)
        if environment is not None:
            key = environment_key(result.case, result.outcome.node)
            workers[key] = checked(WorkerFacts, json.loads(environment), "environment")
    return Report(results, machine, workers)


def _zone() -> Any:
    return datetime.now().astimezone().tzinfo
