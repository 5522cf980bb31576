"""The database of the history: where it lies, its tables, and what becomes of a damaged one."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import platformdirs

from ..errors import OutputError
from ..text import quoted
from .columns import COLUMNS, UNSHOWN

SWITCH = "NBBENCH_HISTORY"
"""The variable that switches the history off, or names another file for it."""

_OFF = ("off", "0", "no", "false", "none")

_BUSY_S = 5.0
"""How long one process waits for another's write."""

_SUFFIXES = ("", "-wal", "-shm")


def history_file() -> Path | None:
    """Where the history is kept; None where it is switched off."""
    named = os.environ.get(SWITCH, "").strip()
    if named.lower() in _OFF:
        return None
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir("nbbench", appauthor=False)) / "history.sqlite"


def open_history(file: Path) -> sqlite3.Connection:
    """A connection to a history, which is made where there is none.

    One that is damaged is set aside with a warning, and a new one begun. Raises `OutputError` for a
    file that cannot be opened, or that a newer nbbench has written.
    """
    try:
        return _opened(file)
    except sqlite3.OperationalError as error:
        raise OutputError(f"the history {quoted(str(file))} cannot be opened: {error}") from None
    except sqlite3.DatabaseError as error:
        aside = _set_aside(file)
        warnings.warn(
            f"the history was damaged ({error}) and is now {aside.name}, beside a new one",
            RuntimeWarning,
            stacklevel=3,
        )
        return _opened(file)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"the history {quoted(str(file))} cannot be made: {reason}") from None


def _opened(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer at a time
        connection.execute("PRAGMA synchronous = NORMAL")  # a crash of the system may cost the last
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, file)
        _add_missing_columns(connection)
        connection.execute("SELECT count(*) FROM runs").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    """Bring the tables to this version, one step after the other, all or none of each."""
    version = _version(connection)
    if version > len(_MIGRATIONS):
        raise OutputError(
            f"the history {quoted(str(file))} was written by a newer nbbench; upgrade this one, or "
            f"name another file in {SWITCH}"
        )
    while version < len(_MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # another process may have been first
            if version < len(_MIGRATIONS):
                _MIGRATIONS[version](connection)
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


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
    ):
        connection.execute(statement)


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Add what came after a database was made: every new axis has a column."""
    if not _missing_columns(connection) and _has_begun_cases(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for name, kind in _missing_columns(connection).items():  # another process may be first
            connection.execute(f"ALTER TABLE cases ADD COLUMN {name} {kind}")
        connection.execute(_BEGUN_CASES)
        connection.execute(_PLANNED)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _missing_columns(connection: sqlite3.Connection) -> dict[str, str]:
    present = {row[1] for row in connection.execute("PRAGMA table_info(cases)")}
    wanted = {**{name: column.kind for name, column in COLUMNS.items()}, **UNSHOWN}
    return {name: kind for name, kind in wanted.items() if name not in present}


def _has_begun_cases(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'begun_cases'").fetchone()
    return found is not None


_BEGUN_CASES = (
    "CREATE TABLE IF NOT EXISTS begun_cases (key TEXT NOT NULL, environment TEXT NOT NULL,"
    " machine TEXT NOT NULL, kept REAL NOT NULL, extras TEXT, content BLOB NOT NULL,"
    " PRIMARY KEY (key, environment, machine)) WITHOUT ROWID"
)
"""Cases with their visits so far, which a run takes over that is resumed: of those that have not
ended, and of the sizes that a search tries, whose own case has not."""

_PLANNED = (
    "CREATE INDEX IF NOT EXISTS cases_by_planned ON cases (planned, ended)"
    " WHERE planned IS NOT NULL"
)


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_make_tables,)
"""What brings a database from each version to the next; a step that was released never changes."""


def _set_aside(file: Path) -> Path:
    """Rename a damaged database and what belongs to it; its new name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.stem}.damaged-{stamp}-{os.getpid()}{file.suffix}")
    for suffix in _SUFFIXES:
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside
