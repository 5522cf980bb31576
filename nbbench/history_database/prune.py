"""Removes cases from the history: what is old, and what cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from .database import use_history
from .exchange import EXPORTED, entry_of
from .kept_case import chunks
from .query import seconds_of
from .tables import transaction


def prune_history(database: Path, before: datetime | None) -> int:
    """Remove the cases that ended before a moment (None: all), and what nothing else is of."""

    def act(connection: sqlite3.Connection) -> int:
        with transaction(connection):
            if before is None:
                removed = connection.execute("DELETE FROM cases").rowcount
                connection.execute("DELETE FROM begun_cases")
            else:
                moment = (seconds_of(before),)
                removed = connection.execute("DELETE FROM cases WHERE ended < ?", moment).rowcount
                connection.execute("DELETE FROM begun_cases WHERE kept < ?", moment)
            _remove_unused(connection)
        _shrink(connection)
        return int(removed)

    return use_history(database, act)


def prune_damaged(database: Path) -> int:
    """Remove the cases that cannot be read, and what nothing else is of; how many."""

    def act(connection: sqlite3.Connection) -> int:
        damaged = list(_unreadable(connection))
        with transaction(connection):
            for number in damaged:
                connection.execute("DELETE FROM cases WHERE id = ?", (number,))
            _remove_unused(connection)
        _shrink(connection)
        return len(damaged)

    return use_history(database, act)


def _unreadable(connection: sqlite3.Connection) -> Iterator[int]:
    """The numbers of the cases that no export would have."""
    for number, *row in chunks(connection, EXPORTED):
        try:
            entry_of(*row)
        except ValueError:
            yield number


def _shrink(connection: sqlite3.Connection) -> None:
    """Make the file smaller, where nothing keeps it from that; the next time will do, too."""
    with suppress(sqlite3.OperationalError):
        connection.execute("VACUUM")


def _remove_unused(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM runs WHERE id NOT IN (SELECT run FROM cases)")
    connection.execute(
        "DELETE FROM environments WHERE id NOT IN"
        " (SELECT environment_id FROM cases WHERE environment_id IS NOT NULL)"
    )
