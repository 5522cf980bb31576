"""The tables of the history, how older ones become this version's, and whose a database is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .columns import COLUMNS, KINDS

APPLICATION_ID = 0x6E626268
"""What SQLite keeps in a database's head to say whose it is: "nbbh"."""

_TABLES = frozenset({"runs", "environments", "cases"})

_MAX_VERSION = 1000
"""A greater number of a version comes from damage, and not from a newer nbbench."""


class TablesDamaged(sqlite3.DatabaseError):
    """A history that SQLite can open lacks what every history has."""


class TablesNewer(Exception):
    """A newer nbbench has written the history."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it; the error stays that of what failed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def are_anothers(connection: sqlite3.Connection) -> bool:
    """Whether a database is neither a history nor empty."""
    identity = _number(connection, "application_id")
    tables = _names(connection)
    if identity == APPLICATION_ID or tables >= _TABLES:
        return False
    return bool(tables or identity or _number(connection, "user_version"))


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version, one step after the other, all or none of each.

    Raises `TablesNewer`, or `TablesDamaged`.
    """
    version = _version(connection)
    if version > len(_MIGRATIONS):
        raise TablesNewer
    while version < len(_MIGRATIONS):
        with transaction(connection):
            version = _version(connection)  # another process may have been first
            if version < len(_MIGRATIONS):
                _MIGRATIONS[version](connection)
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")
    if not _names(connection) >= _TABLES:
        raise TablesDamaged("tables are missing")
    _add_missing_columns(connection)
    if _number(connection, "application_id") != APPLICATION_ID:  # made before there was one
        with suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def show_all_columns(connection: sqlite3.Connection) -> None:
    """Have an older database that cannot be written show the columns it lacks, as empty.

    Raises `TablesNewer`, or `TablesDamaged`.
    """
    if _version(connection) > len(_MIGRATIONS):
        raise TablesNewer
    if not _names(connection) >= _TABLES:
        raise TablesDamaged("tables are missing")
    missing = _missing_columns(connection)
    if missing:
        more = ", ".join(f"NULL AS {name}" for name in missing)
        connection.execute(f"CREATE TEMP VIEW cases AS SELECT *, {more} FROM main.cases")
    if "begun_cases" not in _names(connection):
        connection.execute(_BEGUN_CASES.format("TEMP TABLE"))


def _version(connection: sqlite3.Connection) -> int:
    version = _number(connection, "user_version")
    if not 0 <= version <= _MAX_VERSION:
        raise TablesDamaged(f"its version is {version}")
    return version


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _names(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in found}


def _make_tables(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{name} {column.kind}" for name, column in COLUMNS.items())
    for statement in (
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE NOT NULL,"
        " begun REAL NOT NULL, machine TEXT NOT NULL, machine_hash TEXT NOT NULL)",
        "CREATE TABLE environments (id INTEGER PRIMARY KEY, hash TEXT UNIQUE NOT NULL,"
        " content TEXT NOT NULL)",
        "CREATE TABLE cases (id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs,"
        " environment_id INTEGER REFERENCES environments, ended REAL NOT NULL,"
        f" key TEXT NOT NULL, {columns}, content BLOB NOT NULL, UNIQUE (run, key, model))",
        "CREATE INDEX cases_by_key ON cases (key, ended)",
        "CREATE INDEX cases_by_model ON cases (model, ended)",
        "CREATE INDEX cases_by_time ON cases (ended)",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ):
        connection.execute(statement)


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Add what came after a database was made: every new axis has a column."""
    if not _missing_columns(connection) and "begun_cases" in _names(connection):
        return
    with transaction(connection):
        for name in _missing_columns(connection):  # another process may have been first
            connection.execute(f"ALTER TABLE cases ADD COLUMN {name} {KINDS[name]}")
        connection.execute(_BEGUN_CASES.format("TABLE"))
        connection.execute(_PLANNED)
        connection.execute(_ALIKE)


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    present = {row[1] for row in connection.execute("PRAGMA table_info(cases)")}
    if "content" not in present:
        raise TablesDamaged("its cases have no content")
    return [name for name in KINDS if name not in present]


_BEGUN_CASES = (
    "CREATE {} IF NOT EXISTS begun_cases (key TEXT NOT NULL, environment TEXT NOT NULL,"
    " machine TEXT NOT NULL, kept REAL NOT NULL, extras TEXT, content BLOB NOT NULL,"
    " PRIMARY KEY (key, environment, machine)) WITHOUT ROWID"
)
"""Cases with their visits so far, which a run takes over that is resumed: of those that have not
ended, and of the sizes that a search tries, whose own case has not."""

_PLANNED = (
    "CREATE INDEX IF NOT EXISTS cases_by_planned ON cases (planned, ended)"
    " WHERE planned IS NOT NULL"
)

_ALIKE = "CREATE INDEX IF NOT EXISTS cases_by_alike ON cases (alike) WHERE alike IS NOT NULL"

_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_make_tables,)
"""What brings a database from each version to the next; a step that was released never changes."""
