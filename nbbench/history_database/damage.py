"""What becomes of a damaged history: it is set aside, and what can be read of it goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from ..errors import OutputError
from ..text import counted, quoted
from .columns import KINDS
from .connection import (
    BUSY_S,
    PARTS,
    SQLITE_ERRORS,
    connect,
    failed,
    is_damage,
    looks_like_ours,
    no_history,
)
from .tables import transaction

_SAME = "SELECT 1 FROM cases WHERE key = :key AND ended = :ended AND model = :model"

_MAX_MISSES = 5000
"""Rows that cannot be read one after the other, before the rest is given up."""

_HEAD = 100
"""The bytes of a database's head, before its first table."""

_PAGES_FREE, _PAGES_FREE_LENGTH, _VALID_FOR = 32, 8, 92
"""Where in it the free pages stand, and what says whether the number of pages is to be believed."""

_RUN = ("uuid", "begun", "machine", "machine_hash")

_ENVIRONMENT = ("hash", "content")

_CASE = ("run", "environment_id", "ended", "key", *KINDS, "content")


def mend(file: Path, error: Exception, warn: Callable[[str], None]) -> None:
    """Set a damaged history aside, begin a new one with what can be read, and say so.

    Nothing happens where another process was first. Raises `OutputError` for a file that was no
    history, or that cannot be renamed.
    """
    if not looks_like_ours(file):
        raise no_history(file)
    try:
        with FileLock(f"{file}.lock", timeout=BUSY_S):
            if _is_whole(file):
                return
            aside = _set_aside(file)
            with closing(connect(file)) as connection:
                saved = _salvage(connection, aside)
    except OutputError:
        raise
    except OSError as problem:  # its lock's included
        reason = problem.strerror or problem
        raise OutputError(
            f"the history {quoted(str(file), 300)} is damaged ({error}) and cannot be set aside: "
            f"{reason}"
        ) from None
    except SQLITE_ERRORS as problem:
        raise failed(file, problem, "begun anew") from None
    kept = f"with the {counted(saved, 'case')} of it that can be read" if saved else "and is empty"
    warn(
        f"the history was damaged ({error}) and is now {aside.name}; a new one is beside it, {kept}"
    )


def _is_whole(file: Path) -> bool:
    """Whether nothing is wrong with it any longer."""
    try:
        with closing(connect(file)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return bool(found == ("ok",))
    except SQLITE_ERRORS as error:
        if is_damage(error, file):
            return False
        raise


def _set_aside(file: Path) -> Path:
    """Rename a damaged database and what belongs to it; its new name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.stem}.damaged-{stamp}-{os.getpid()}{file.suffix}")
    while aside.exists():
        aside = aside.with_name(f"{aside.stem}-{time.monotonic_ns()}{file.suffix}")
    for suffix in ("", *PARTS):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside


def _salvage(connection: sqlite3.Connection, aside: Path) -> int:
    """Add what can be read of a damaged history; how many cases."""
    try:
        return _copy_cases(connection, aside, aside.stem)
    except _NoTables:
        pass
    with TemporaryDirectory(prefix=".nbbench-", dir=aside.parent) as folder:
        copy = _with_new_head(aside, Path(folder))
        with suppress(_NoTables):
            return _copy_cases(connection, copy, aside.stem)
    return 0


class _NoTables(Exception):
    """Not even the tables of a damaged history can be found."""


def _with_new_head(aside: Path, folder: Path) -> Path:
    """A copy of a damaged database, whose first bytes are those of a whole one."""
    new, copy = folder / "new", folder / "copy"
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("CREATE TABLE any (id)")
    shutil.copyfile(aside, copy)
    with copy.open("r+b") as opened:
        opened.write(new.read_bytes()[:_HEAD])
        opened.seek(_PAGES_FREE)
        opened.write(bytes(_PAGES_FREE_LENGTH))
        opened.seek(_VALID_FOR)
        opened.write(bytes(4))  # so that its length is what its pages are
    return copy


def _copy_cases(connection: sqlite3.Connection, source: Path, name: str) -> int:
    """Add the cases that can be read; raises `_NoTables`."""
    with closing(sqlite3.connect(source, isolation_level=None)) as damaged:
        try:
            damaged.execute("PRAGMA cell_size_check = ON")
            damaged.execute("PRAGMA query_only = ON")
            present = {row[1] for row in damaged.execute("PRAGMA table_info(cases)")}
        except SQLITE_ERRORS:
            raise _NoTables from None
        if "content" not in present:
            raise _NoTables
        names = [column for column in _CASE if column in present]
        insert = _insert("cases", names)
        saved = 0
        with transaction(connection):
            runs = dict(_copied(connection, damaged, "runs", _RUN))
            environments = dict(_copied(connection, damaged, "environments", _ENVIRONMENT))
            for _, run, environment, *values in _rows(damaged, "cases", names):
                known = dict(zip(names[2:], values, strict=True))
                if connection.execute(_SAME, known).fetchone():
                    continue  # a run that goes on has added its cases once more
                if run not in runs:  # its row is lost, and with it the machine
                    runs[run] = _unknown_run(connection, f"{name}-{run}")
                found = (runs[run], environments.get(environment), *values)
                with suppress(sqlite3.IntegrityError):
                    saved += connection.execute(insert, found).rowcount
    return saved


def _copied(
    connection: sqlite3.Connection,
    damaged: sqlite3.Connection,
    table: str,
    names: Sequence[str],
) -> Iterator[tuple[int, int]]:
    """Each row's number before and now; the first name is that of what is there once."""
    insert, find = _insert(table, names), f"SELECT id FROM {table} WHERE {names[0]} = ?"
    for number, *values in _rows(damaged, table, names):
        with suppress(sqlite3.IntegrityError):
            connection.execute(insert, values)
        found = connection.execute(find, values[:1]).fetchone()
        if found:
            yield number, found[0]


def _insert(table: str, names: Sequence[str]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"


def _unknown_run(connection: sqlite3.Connection, name: str) -> int:
    """A run of which nothing is known but its cases."""
    added = connection.execute(
        "INSERT INTO runs (uuid, begun, machine, machine_hash) VALUES (?, ?, '{}', '')",
        (name, time.time()),
    )
    return int(added.lastrowid or 0)


def _rows(
    damaged: sqlite3.Connection, table: str, names: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table by their numbers, without those that cannot be read.

    Where many cannot, ever more are passed over at a time.
    """
    last, misses = 0, 0
    shown = ", ".join(("id", *names))
    statement = f"SELECT {shown} FROM {table} NOT INDEXED WHERE id > ? ORDER BY id"
    while misses < _MAX_MISSES:
        try:
            for row in damaged.execute(statement, (last,)):
                if row[0] <= last:
                    raise sqlite3.DatabaseError("its pages lead back")
                yield row
                last, misses = row[0], 0
            return
        except (*SQLITE_ERRORS, OverflowError):
            misses += 1
            last += 1 + misses // 100
