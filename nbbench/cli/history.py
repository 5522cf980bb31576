"""``nbbench history``: what was measured on this machine before."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ..arguments.flags import FlagParser
from ..errors import ArgumentError, OutputError
from ..history_database.connection import SWITCH
from ..history_database.database import needed_history_file
from ..history_database.exchange import export_history, import_history
from ..history_database.filters import varying
from ..history_database.prune import prune_damaged, prune_history
from ..history_database.query import history, moment_of
from ..paths import as_path, special_kind
from ..report.layout import Table, fit
from ..report.tables import axis_texts, table_lines
from ..report.width import output_width
from ..text import cell_text, counted, quoted, rounded, time_unit

_ABOUT = f"""\
List what was measured on this machine before, the latest last.

    nbbench history --model "bert-*" --since "7 days"
    nbbench history export FILE      write all cases, JSON a line; compressed where it ends in .gz
    nbbench history import FILE      add the cases of an exported file
    nbbench history prune --before "90 days"
    nbbench history prune --damaged  remove the cases that cannot be read

{SWITCH} names another file, or is off: then nothing is kept."""

_LISTED = 50
_MAX_LISTED = 9_999_999


def command(argv: list[str]) -> int:
    """List, or carry out what the first word names."""
    parser = FlagParser("nbbench history", _ABOUT)
    parser.add_argument("words", nargs="*", metavar="export|import|prune", help="what to do")
    for flag, help_text in (
        ("--model", "models with this name or folder, in which * is any part"),
        ("--since", "cases that ended since a date or in an age, like 2026-11-01 or '7 days'"),
        ("--framework", "cases of a framework"),
        ("--mode", "inference, training or generation"),
        ("--status", "cases that ended so: ok, oom, …"),
        ("--before", "with prune: remove what ended before a date or an age"),
        ("--limit", f"how many to list, by default {_LISTED}"),
    ):
        parser.add_argument(flag, metavar=flag[2:].upper(), help=help_text)
    for flag, help_text in (
        ("--all", "with prune: remove all"),
        ("--damaged", "with prune: remove what cannot be read"),
    ):
        parser.add_argument(flag, action="store_true", default=None, help=help_text)
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    words = values.pop("words", [])
    if not words:
        return _list(values)
    file = needed_history_file()
    if words[0] == "prune":
        return _prune(file, words, values)
    if words[0] not in ("export", "import"):
        raise ArgumentError(
            f"nbbench history knows export, import and prune, and not {quoted(words[0])}"
        )
    if len(words) != 2:
        raise ArgumentError(f"nbbench history {words[0]} takes one file")
    if values:
        name = next(iter(values)).replace("_", "-")
        raise ArgumentError(f"--{name} does not go with {words[0]}, which takes all cases; omit it")
    if words[0] == "export":
        print(f"{counted(export_history(file, as_path(words[1])), 'case')} written to {words[1]}")
    else:
        print(f"{counted(_import(file, as_path(words[1])), 'case')} added")
    return 0


def _prune(file: Path, words: list[str], values: dict[str, object]) -> int:
    before = values.pop("before", None)
    is_all, is_damaged = (bool(values.pop(name, False)) for name in ("all", "damaged"))
    if len(words) > 1 or values:
        raise ArgumentError(
            "nbbench history prune takes --before, --damaged or --all, and nothing else"
        )
    if (before is not None) + is_all + is_damaged != 1:
        raise ArgumentError(
            "nbbench history prune wants one of --before (a date or an age), --damaged and --all"
        )
    if is_damaged:
        removed = prune_damaged(file)
    else:
        removed = prune_history(file, None if before is None else moment_of(str(before), "before"))
    print(f"{counted(removed, 'case')} removed")
    return 0


def _import(database: Path, file: Path) -> int:
    kind = special_kind(file)
    if kind:
        raise OutputError(f"{quoted(str(file))} cannot be read: it is {kind}; give a regular file")
    return import_history(database, file)


def _list(values: dict[str, str]) -> int:
    for name in ("before", "all", "damaged"):
        if name in values:
            raise ArgumentError(f"--{name} belongs to prune: nbbench history prune --{name} …")
    limit = values.pop("limit", str(_LISTED))
    if not limit.isdecimal() or len(limit) > len(str(_MAX_LISTED)) or not int(limit):
        raise ArgumentError(f"limit: {quoted(limit)} is no whole number from 1 to {_MAX_LISTED:,}")
    found = history(**values)
    layout = fit(_table(found.latest(int(limit))), output_width())
    for text in (*(table_lines(table) for table in layout.tables if table.rows), layout.note):
        if text:
            print(text)
    print(counted(f"{len(found):,}", "case"))
    return 0


def _table(rows: list[dict[str, Any]]) -> Table:
    """The cases, with the columns in which they differ."""
    axes = varying(rows)
    cells = [
        {
            "ended": f"{datetime.fromtimestamp(row['ended']):%Y-%m-%d %H:%M}",
            "model": cell_text(row["model"]),
            **axis_texts({axis.head: row[axis.name] for axis in axes}),
            "batch": cell_text(row["batch_size"]),
            "length": cell_text(row["sequence_length"]),
            "status": cell_text(row["status"]),
            "time": _time(row["median_s"]),
            "peak MiB": "" if row["peak_mib"] is None else f"{row['peak_mib']:,.1f}",
        }
        for row in rows
    ]
    heads = list(cells[0]) if cells else []
    keys = tuple(heads[: heads.index("status")]) if cells else ()
    return Table(heads, [list(row.values()) for row in cells], keys)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    unit, scale = time_unit(seconds)
    return f"{rounded(seconds / scale)} {unit}"
