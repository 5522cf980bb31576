"""Moves cases between histories, and removes what is old."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from ..errors import OutputError
from ..report.environment import WorkerFacts
from ..text import quoted
from ..worker.checked import checked
from .columns import COLUMNS, UNSHOWN, values_of
from .database import open_history
from .store import insert_environment, insert_run, read_result

_FORMAT, _VERSION = "nbbench history", 1

_UNSHOWN = {"planned": str, "position": int, "extras": str}


def export_history(database: Path, file: Path) -> int:
    """Write all cases to a file, JSON a line (compressed where it ends in .gz); how many."""
    connection = open_history(database)
    rows = connection.execute(
        "SELECT runs.uuid, begun, machine, machine_hash, environments.content, ended, cases.content"
        f", {', '.join(UNSHOWN)} FROM cases JOIN runs ON runs.id = run"
        " LEFT JOIN environments ON environments.id = environment_id ORDER BY cases.id"
    )
    count = 0
    try:
        with _opened(file, "wt") as lines:
            lines.write(json.dumps({"format": _FORMAT, "version": _VERSION}) + "\n")
            for run, begun, machine, hashed, environment, ended, content, *unshown in rows:
                entry = {
                    "run": run, "begun": begun, "machine": json.loads(machine),
                    "machine_hash": hashed,
                    "environment": None if environment is None else json.loads(environment),
                    "ended": ended, "result": json.loads(zlib.decompress(content)),
                    **dict(zip(UNSHOWN, unshown, strict=True)),
                }  # fmt: skip
                lines.write(json.dumps(entry) + "\n")
                count += 1
    except OSError as error:
        raise OutputError(f"{quoted(str(file))} cannot be written: {error.strerror}") from None
    finally:
        connection.close()
    return count


def import_history(database: Path, file: Path) -> int:
    """Add the cases of an exported file that are not known yet; how many.

    All or nothing: raises `OutputError` for a file that is none, or is damaged.
    """
    connection = open_history(database)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            added = sum(_add(connection, entry) for entry in _entries(file))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{quoted(str(file))} cannot be read: {reason}") from None
    except (ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        raise OutputError(
            f"{quoted(str(file))} is no exported history, or damaged ({error}); give a file that "
            f"nbbench history export wrote"
        ) from None
    finally:
        connection.close()
    return added


def prune_history(database: Path, before: datetime | None) -> int:
    """Remove the cases that ended before a moment (None: all), and what nothing else is of."""
    connection = open_history(database)
    try:
        moment = float("inf") if before is None else before.timestamp()
        connection.execute("BEGIN IMMEDIATE")
        removed = connection.execute("DELETE FROM cases WHERE ended < ?", (moment,)).rowcount
        connection.execute("DELETE FROM begun_cases WHERE kept < ?", (moment,))
        connection.execute("DELETE FROM runs WHERE id NOT IN (SELECT run FROM cases)")
        connection.execute(
            "DELETE FROM environments WHERE id NOT IN"
            " (SELECT environment_id FROM cases WHERE environment_id IS NOT NULL)"
        )
        connection.execute("COMMIT")
        connection.execute("VACUUM")
        return int(removed)
    except sqlite3.Error as error:
        raise OutputError(f"the history cannot be pruned: {error}") from None
    finally:
        connection.close()


def _add(connection: sqlite3.Connection, entry: dict[str, Any]) -> int:
    """Add a case, unless it is known; how many were added."""
    content = zlib.compress(json.dumps(entry["result"]).encode(), 1)
    result = read_result(content)
    machine = json.dumps(entry["machine"])
    run = insert_run(
        connection, str(entry["run"]), float(entry["begun"]), machine, str(entry["machine_hash"])
    )
    environment = entry["environment"]
    if environment is not None:
        worker = checked(WorkerFacts, environment, "environment")
        environment = insert_environment(connection, worker)
    names = ", ".join((*UNSHOWN, *COLUMNS))
    unshown = [checked(kind | None, entry.get(name)) for name, kind in _UNSHOWN.items()]
    return connection.execute(
        f"INSERT OR IGNORE INTO cases (run, environment_id, ended, key, {names}, content)"
        f" VALUES ({', '.join('?' * (len(UNSHOWN) + len(COLUMNS) + 5))})",
        (
            run,
            environment,
            float(entry["ended"]),
            result.case.key,
            *unshown,
            *values_of(result),
            content,
        ),
    ).rowcount


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    with _opened(file, "rt") as lines:
        head = json.loads(next(lines, "") or "null")
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise ValueError("its first line says no such thing")
        if head.get("version") != _VERSION:
            raise ValueError(f"it is of version {head.get('version')!r}; upgrade nbbench")
        for line in lines:
            yield json.loads(line)


def _opened(file: Path, mode: str) -> TextIO:
    if file.suffix == ".gz":
        return cast(TextIO, gzip.open(file, mode, encoding="utf-8"))
    return cast(TextIO, file.open(mode, encoding="utf-8"))
