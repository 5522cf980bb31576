"""Reads from the history: cases as a frame, and runs as reports."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ..errors import ArgumentError, OutputError
from ..frameworks import backend_names, has_backend
from ..report.environment import EnvironmentKey, WorkerFacts, environment_key, with_gpu_of
from ..report.report import Report
from ..text import counted, quoted
from ..worker.case import MODES
from .columns import COLUMNS
from .database import needed_history_file
from .filters import STATUSES, check_known, models_like, varying
from .kept_case import WHEN, KeptCase, json_value, read_case, read_rows, warn_of_unreadable

if TYPE_CHECKING:
    import pandas as pd

_DAYS = {"d": 1, "day": 1, "w": 7, "week": 7, "month": 30, "year": 365, "h": 1 / 24, "hour": 1 / 24}

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?", re.I)

_ZONE_FILE = re.compile(r"/zoneinfo[^/]*/(.+)")

_FROM = (
    " FROM cases JOIN runs ON runs.id = cases.run"
    " LEFT JOIN environments ON environments.id = cases.environment_id"
)


class History:
    """Cases of the history that were asked for, the latest last.

    ``frame`` has a row for each, as it ended, ``reports()`` the runs that they are of. What is
    damaged is passed over with a warning.
    """

    def __init__(self, file: Path, conditions: Sequence[str], values: list[Any]) -> None:
        self._file, self._values = file, values
        self._condition = f"WHERE {' AND '.join([*conditions, WHEN])}"
        timeless = f"WHERE {' AND '.join([*conditions, f'NOT ({WHEN})'])}"
        warn_of_unreadable(self._ask(f"SELECT count(*){_FROM} {timeless}")[0][0])

    def __len__(self) -> int:
        return int(self._ask(f"SELECT count(*){_FROM} {self._condition}")[0][0])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a case: when it ended, its axes, time and memory, versions and machine."""
        import pandas as pd

        shown = ", ".join(f"cases.{name} AS {name}" for name in COLUMNS)
        rows = self._ask(
            f"SELECT cases.ended AS ended, {shown},"
            f" {json_value('environments.content', 'values.framework_version')},"
            f" {json_value('environments.content', 'values.transformers_version')},"
            f" {json_value('runs.machine', 'cpu')}, runs.uuid, cases.key"
            f"{_FROM} {self._condition} ORDER BY cases.ended, cases.id"
        )
        more = ("framework_version", "transformers_version", "cpu", "run", "key")
        frame = pd.DataFrame(rows, columns=["ended", *COLUMNS, *more])
        moments = pd.Series(1e6 * frame["ended"].astype("float64")).astype("datetime64[us, UTC]")
        frame["ended"] = moments.dt.tz_convert(_zone())
        for name, column in COLUMNS.items():
            if column.kind != "TEXT":
                kind = "Int64" if column.kind == "INTEGER" else "float64"
                frame[name] = _numbers(frame[name], kind)
        return frame

    def latest(self, count: int) -> list[dict[str, Any]]:
        """The latest cases by their columns, the very latest last; without pandas."""
        names = ("ended", *COLUMNS)
        rows = self._ask(
            f"SELECT cases.ended, {', '.join(f'cases.{name}' for name in COLUMNS)}{_FROM}"
            f" {self._condition} ORDER BY cases.ended DESC, cases.id DESC LIMIT {int(count)}"
        )
        return [
            {name: _cell(name, value) for name, value in zip(names, row, strict=True)}
            for row in reversed(rows)
        ]

    def reports(self) -> list[Report]:
        """The runs as reports, the latest last."""
        rows = self._ask(
            "SELECT runs.uuid, runs.machine, environments.content, cases.content"
            f"{_FROM} {self._condition} ORDER BY runs.begun, runs.id, cases.position, cases.id"
        )
        runs: dict[str, list[KeptCase]] = defaultdict(list)
        damaged = 0
        for run, *kept in rows:
            try:
                runs[run].append(read_case(*kept))
            except ValueError:
                damaged += 1
        warn_of_unreadable(damaged)
        return [_report(cases) for cases in runs.values() if cases]

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

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        return read_rows(self._file, statement, self._values)


def history(
    model: str | Path | None = None,
    *,
    since: str | date | timedelta | None = None,
    framework: str | None = None,
    mode: str | None = None,
    status: str | None = None,
    key: str | None = None,
    file: str | Path | None = None,
) -> History:
    """What was measured on this machine before, by whichever kernel or shell.

    ``model`` is a name, or the last part of a path's, in which ``*`` stands for any part and large
    and small letters are the same; ``since`` is a date like ``"2026-11-01"``, an age like
    ``"7 days"`` or a ``timedelta``; ``key`` is that of one case (`Case.key`). ``file`` is a history
    other than one's own. Raises `ArgumentError` for what is none of these, and `OutputError` where
    the history is switched off or cannot be read.
    """
    if file is None:
        found = needed_history_file()
    else:
        if not isinstance(file, (str, os.PathLike)) or not str(file):
            raise ArgumentError(f"file: {quoted(file)} is no path; give that of a history")
        found = Path(os.path.expanduser(file))
        if not found.exists():
            raise OutputError(
                f"there is no history {quoted(str(file))}; check the path, or omit file for the "
                f"history of this machine"
            )
    check_known("mode", mode, MODES)
    check_known("status", status, STATUSES)
    if not (framework is None or (isinstance(framework, str) and has_backend(framework))):
        check_known("framework", framework, {*backend_names(), *_kept(found, "framework")})
    conditions: list[str] = []
    values: list[Any] = []
    if model is not None:
        name = _text("model", os.fspath(model) if isinstance(model, Path) else model)
        conditions.append("cases.model IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(models_like(name, _kept(found, "model"))))
    if since is not None:
        conditions.append("cases.ended >= ?")
        values.append(seconds_of(moment_of(since)))
    for name, value in (
        ("framework", framework), ("mode", mode), ("status", status), ("key", key),
    ):  # fmt: skip
        if value is not None:
            conditions.append(f"cases.{name} = ?")
            values.append(_text(name, value))
    return History(found, conditions, values)


def moment_of(given: Any, name: str = "since") -> datetime:
    """A date, or an age like ``"7 days"``, as a moment; `ArgumentError` for anything else.

    ``name`` is the argument that it was given as.
    """
    wrong = ArgumentError(
        f"{name}: {quoted(given)} is neither a date like 2026-11-01 nor an age like '7 days'"
    )
    try:
        if isinstance(given, datetime) and given == given:  # pandas has one that is no time
            return given
        if isinstance(given, date) and not isinstance(given, datetime):
            return datetime(given.year, given.month, given.day)
        if isinstance(given, timedelta) and given == given:
            return datetime.now() - given
        if not isinstance(given, str):
            raise wrong
        age = _AGE.fullmatch(given.strip())
        days = _DAYS.get(age[2].lower()) if age else None
        if age and days:
            return datetime.now() - timedelta(days=float(age[1]) * days)
        return datetime.fromisoformat(given.strip())
    except (ValueError, OverflowError):
        raise wrong from None


def seconds_of(moment: datetime) -> float:
    """A moment as seconds since 1970; one that no clock here can have is the nearest."""
    try:
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0 if moment.year < 2000 else float("inf")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: {quoted(value)} is no text; give one {name}")
    return value


def _cell(name: str, value: Any) -> Any:
    """A value as its column has it; None for another, which comes from damage."""
    is_text = name in COLUMNS and COLUMNS[name].kind == "TEXT"
    return value if isinstance(value, str if is_text else (int, float)) else None


def _numbers(column: Any, kind: str) -> Any:
    """A column as numbers; what is none, since it is damaged, is missing."""
    import pandas as pd

    try:
        return column.astype(kind)
    except (TypeError, ValueError, OverflowError):
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        if kind == "Int64":
            numbers = numbers.where((numbers == numbers.round()) & (numbers.abs() < 2**63))
        return numbers.astype(kind)


def _kept(file: Path, column: str) -> list[str]:
    """The values of a column that cases have."""
    return [str(row[0]) for row in read_rows(file, f"SELECT DISTINCT {column} FROM cases")]


def _report(cases: Sequence[KeptCase]) -> Report:
    workers: dict[EnvironmentKey, WorkerFacts] = {}
    for kept in cases:
        if kept.worker is not None:
            key = environment_key(kept.result.case, kept.result.outcome.node)
            workers[key] = with_gpu_of(kept.worker, workers.get(key))
    return Report([kept.result for kept in cases], cases[0].machine, workers)


def _zone() -> tzinfo | None:
    """The local time zone, in which each moment has its own offset; where it has no name, today's.

    One with a name can be written as Parquet.
    """
    link = _ZONE_FILE.search(os.path.realpath("/etc/localtime"))
    name = os.environ.get("TZ", link[1] if link else "")
    with suppress(KeyError, ValueError, OSError):  # of no such zone, or of what is no name
        return ZoneInfo(name.removeprefix(":"))
    return datetime.now().astimezone().tzinfo
