"""Connections to a history: one to write, one to read what cannot be written, none to others'."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from ..text import quoted
from .network_folders import is_shared
from .tables import (
    APPLICATION_ID,
    TablesDamaged,
    TablesNewer,
    are_anothers,
    migrate,
    show_all_columns,
)

SWITCH = "NBBENCH_HISTORY"
"""The variable that switches the history off, or names another file for it."""

BUSY_S = 5.0
"""How long one process waits for another's write."""

USUAL_NAME = "history.sqlite"

PARTS = ("-wal", "-shm", "-journal")
"""How end the names of what belongs to a database and must not meet another one."""

_OF_DAMAGE = ("malformed", "not a database", "unsupported file format", "unsupported schema")

_MAGIC = b"SQLite format 3\0"

_WRITTEN_AT, _MAX_WRITTEN = 18, 2
"""Where in its head a database says how it is written, and the last way that there is."""

_ID_AT = 68
"""Where in its head a database has its application's number."""


_SETTINGS = ("journal_mode = WAL", "synchronous = NORMAL")
"""Readers and a writer at a time, with an index in memory that all of them share; a crash of the
system may cost the last case."""

_SETTINGS_IF_SHARED = ("journal_mode = DELETE", "synchronous = FULL")
"""Those of several machines share no memory, and would damage the database with such an index."""

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What comes from SQLite; the second where the text of its own error is damaged, too."""


class HistoryLocked(OutputError):
    """Another process writes to the history just now, and has not ended in time."""


def connect(file: Path, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to a history, which is made where there is none.

    Raises `OutputError` for what is no history or of a newer nbbench, before anything of it is
    touched; ``sqlite3.Error`` and ``OSError`` for what cannot be opened or is damaged.
    """
    refuse_anothers(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        file, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    with _closed_on_error(connection, file):
        if are_anothers(connection):
            raise no_history(file)
        for setting in _SETTINGS_IF_SHARED if is_shared(file) else _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
    return connection


def connect_to_read(file: Path) -> sqlite3.Connection:
    """A connection to a history that cannot be written, as on a disk that is for reading only."""
    connection = _unlocked(file)
    with _closed_on_error(connection, file):
        show_all_columns(connection)
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection, file: Path) -> Iterator[None]:
    """Close a connection that cannot be used; `OutputError` for the file of a newer nbbench."""
    try:
        yield
    except TablesNewer:
        connection.close()
        raise _newer(file) from None
    except BaseException:
        connection.close()
        raise


def _unlocked(file: Path) -> sqlite3.Connection:
    """A connection that makes no file beside the database, and waits for nobody."""
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip


def refuse_anothers(file: Path) -> None:
    """Raise `OutputError` for what is surely no history: a folder, a device, another's database.

    What cannot be read as a database is left to who opens it.
    """
    try:
        found = file.stat()
    except OSError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{quoted(str(file), 300)} is a folder; name a file for the history")
    if not stat.S_ISREG(found.st_mode):
        raise no_history(file)
    with suppress(*SQLITE_ERRORS), closing(_unlocked(file)) as connection:
        if are_anothers(connection):
            raise no_history(file)


def looks_like_ours(file: Path) -> bool:
    """Whether a file that cannot be read as a database was a history once."""
    if file.name == USUAL_NAME:
        return True
    head = _head(file, 1 << 16)
    identity = int.from_bytes(head[_ID_AT : _ID_AT + 4], "big")
    made = b"machine_hash TEXT NOT NULL" in head  # before there was a number
    return identity == APPLICATION_ID or (head.startswith(_MAGIC) and made)


def _head(file: Path, length: int) -> bytes:
    """The first bytes of a file that SQLite cannot read; to open another frees its locks."""
    try:
        with file.open("rb") as opened:
            return opened.read(length)
    except OSError:
        return b""


def no_history(file: Path) -> OutputError:
    """The error for a file that is somebody else's."""
    return OutputError(
        f"{quoted(str(file), 300)} is not an nbbench history; give another file (a history is the "
        f"one that {SWITCH} names)"
    )


def _newer(file: Path) -> OutputError:
    return OutputError(
        f"the history {quoted(str(file))} was written by a newer nbbench; upgrade this one, or "
        f"name another file in {SWITCH}"
    )


def is_locked(error: Exception) -> bool:
    """Whether another process holds the database."""
    text = str(error)
    of_sqlite = isinstance(error, sqlite3.OperationalError)
    return of_sqlite and ("locked" in text or "locking protocol" in text)


def is_damage(error: Exception, file: Path) -> bool:
    """Whether an error comes from a database that is damaged, and not from what it runs on."""
    if type(error) in (sqlite3.DatabaseError, TablesDamaged, UnicodeDecodeError):
        return True
    text = str(error)
    if "readonly" in text:  # SQLite takes a form of writing that it does not know for that
        head = _head(file, _WRITTEN_AT + 1)
        return len(head) > _WRITTEN_AT and head[_WRITTEN_AT] > _MAX_WRITTEN
    of_sqlite = isinstance(error, sqlite3.OperationalError) and "malformed JSON" not in text
    return of_sqlite and any(known in text for known in _OF_DAMAGE)


def failed(file: Path, error: Exception, what: str = "opened") -> OutputError:
    """The error of SQLite, or of the system, in a sentence."""
    name = f"the history {quoted(str(file), 300)}"
    if isinstance(error, OutputError):
        return error
    if is_locked(error):
        return HistoryLocked(f"{name} is held by another process; try again when it has ended")
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"{name} cannot be {what}: {reason}")


def identity_of(file: Path) -> tuple[int, int] | None:
    """Which file a path leads to now; None where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino
