"""What may be written over without asking: only what nbbench would itself have written there."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..errors import OutputError
from ..paths import as_path, read_head
from ..text import quoted
from .saved_json import begins_as_report, is_gathered, read_content
from .shared_page import GENERATOR

_MARKS = {
    "speed.csv": {"model", "framework", "status", "reason", "median_s"},
    "memory.csv": {"model", "framework", "status", "reason", "peak_mib"},
    "environment.csv": {"key"},
    "lines.csv": {"model", "framework", "held_cpu_mib"},
}
"""Columns of each table, by which an earlier one is known."""

_ENVIRONMENT = re.compile("(framework|nbbench_version),")
"""A row that every table of environments has."""

_MAX_LINE = 1 << 20
"""Letters of a line that are read at once; a table of many people's files has long ones."""


def check_over_report(name: str, file: str | Path) -> None:
    """Raise `OutputError` where a file is there that is no report of a run.

    One that was damaged is; one that was gathered from others is not, since they are in it.
    """
    _check(name, file, "no report", begins_as_report)
    _check(name, file, "a report gathered from others", lambda path: not _has_others(path))


def check_over_gathered(name: str, file: str | Path) -> None:
    """Raise `OutputError` where a file is there that is no gathered report."""
    _check(name, file, "no gathered report", _is_gathered)


def check_over_page(name: str, file: str | Path) -> None:
    """Raise `OutputError` where a file is there that is no page of nbbench's."""
    _check(name, file, "no page that nbbench wrote", lambda path: GENERATOR in read_head(path))


def check_over_tables(name: str, folder: str | Path) -> None:
    """Raise `OutputError` where a folder has files of the tables' names that are no such tables."""
    for table in _MARKS:
        _check(name, as_path(folder) / table, "no table that nbbench wrote", _is_table)


def remove_tables(folder: str | Path, names: Iterable[str], ending: str) -> None:
    """Remove tables of an earlier report, which would pass for those of the one written last."""
    for name in names:
        path = as_path(folder) / f"{name}{ending}"
        with suppress(OSError, ValueError):
            if path.is_file() and (_is_table if ending == ".csv" else _is_parquet)(path):
                path.unlink()


def _is_parquet(path: Path) -> bool:
    """Whether it is a table of nbbench's; pyarrow, which has written the others, is there."""
    schema = importlib.import_module("pyarrow.parquet").read_schema(path)
    return _MARKS[f"{path.stem}.csv"] <= set(schema.names)


def _check(name: str, file: str | Path, what: str, is_own: Callable[[Path], bool]) -> None:
    """Raise `OutputError` for a file with content that is not nbbench's own."""
    path = as_path(file)
    try:
        if not path.is_file() or not path.stat().st_size or is_own(path):
            return  # a pipe or a device loses nothing
    except OSError:
        pass  # what cannot be read may be of worth, too
    raise OutputError(
        f"{name}: {quoted(str(path), 300)} is {what}, and would be written over; give another path "
        f"to write to, or move that file away"
    )


def _is_gathered(path: Path) -> bool:
    with suppress(OutputError):
        content = read_content(path)
        return is_gathered(content) or not content.results
    return False


def _has_others(path: Path) -> bool:
    with suppress(OutputError):
        return is_gathered(read_content(path))
    return False


def _is_table(path: Path) -> bool:
    with path.open("rb") as opened:
        encoding = json.detect_encoding(opened.read(4))
    with path.open(encoding=encoding, errors="ignore") as text:
        lines = iter(partial(text.readline, _MAX_LINE), "")
        if not _MARKS[path.name] <= set(next(lines, "").strip().split(",")):
            return False
        return path.name != "environment.csv" or any(map(_ENVIRONMENT.match, lines))
