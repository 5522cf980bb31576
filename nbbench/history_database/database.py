"""Where the history lies, and how it is used: a damaged one is mended on the way."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import platformdirs

from ..errors import OutputError
from ..paths import absolute_path
from .connection import (
    BUSY_S,
    SQLITE_ERRORS,
    SWITCH,
    USUAL_NAME,
    connect,
    connect_to_read,
    failed,
    is_damage,
    is_locked,
)
from .damage import mend

_OFF = ("off", "0", "no", "false", "none")

_Found = TypeVar("_Found")

Warn = Callable[[str], None]


def history_file() -> Path | None:
    """Where the history is kept; None where it is switched off.

    A relative path is that of this moment, however the current folder changes.
    """
    named = os.environ.get(SWITCH, "").strip()
    if named.lower() in _OFF:
        return None
    if named:
        return absolute_path(named)
    return Path(platformdirs.user_data_dir("nbbench", appauthor=False)) / USUAL_NAME


def needed_history_file() -> Path:
    """Where the history is kept; raises `OutputError` where it is switched off."""
    file = history_file()
    if file is None:
        raise OutputError(f"the history is switched off by {SWITCH}; unset it")
    return file


def warn_of_damage(text: str) -> None:
    """Warn of a history that was set aside."""
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def warn_twice(text: str, warn: Warn) -> None:
    """Warn beside a run's display and in Python, where no display may be."""
    warn(text)
    warn_of_damage(text)


def open_history(
    file: Path, warn: Warn = warn_of_damage, busy_s: float = BUSY_S
) -> sqlite3.Connection:
    """A connection to a history, which is made where there is none.

    One that is damaged is set aside with a warning, and a new one begun with what can be read of
    it. Raises `OutputError` for a file that cannot be opened, that is no history, or that a newer
    nbbench has written; `HistoryLocked` where another process holds it.
    """
    file = Path(os.path.realpath(file))  # beside which the parts of the database lie
    try:
        try:
            return connect(file, busy_s)
        except SQLITE_ERRORS as error:
            if not is_damage(error, file):
                raise
            mend(file, error, warn)
            return connect(file, busy_s)
    except (*SQLITE_ERRORS, OSError) as error:
        raise failed(file, error) from None


def open_to_read(
    file: Path, warn: Warn = warn_of_damage, busy_s: float = BUSY_S
) -> sqlite3.Connection:
    """A connection to a history that need not be writable; raises like `open_history`."""
    file = Path(os.path.realpath(file))
    try:
        return connect(file, busy_s)
    except (*SQLITE_ERRORS, OSError) as error:
        if is_damage(error, file):
            return open_history(file, warn, busy_s)
        if isinstance(error, OutputError) or is_locked(error) or not file.is_file():
            raise failed(file, error) from None
    try:
        return connect_to_read(file)
    except SQLITE_ERRORS as error:
        raise failed(file, error) from None


def use_history(
    file: Path,
    act: Callable[[sqlite3.Connection], _Found],
    *,
    is_reading: bool = False,
    warn: Warn = warn_of_damage,
) -> _Found:
    """What an act returns that is given the history; once more where that proves damaged.

    Raises `OutputError`, with what SQLite says, in a sentence.
    """
    what = "read" if is_reading else "written"
    for is_last in (False, True):
        connection = open_to_read(file, warn) if is_reading else open_history(file, warn)
        with closing(connection):
            try:
                return act(connection)
            except SQLITE_ERRORS as error:
                if is_last or not is_damage(error, file):
                    raise failed(file, error, what) from None
                problem = error
        mend(Path(os.path.realpath(file)), problem, warn)
    raise AssertionError("the second time returns or raises")
