"""Fitting a table into a width.

What is the same in all rows goes below, long labels lose their middle, and what still does not fit
goes into a second table. No column is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..text import printed_width, shortened

MAX_LABEL = 40
"""Longer labels are shortened wherever a width is limited."""

_LABELS = (MAX_LABEL, 24, 16, 10)


@dataclass(frozen=True)
class Table:
    """A table of texts; ``keys`` are the heads of the columns that say which case a row is of."""

    heads: list[str]
    rows: list[list[str]]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A table that fits: as one or several, with the same rows; ``note`` is what all rows share."""

    tables: list[Table]
    note: str = ""


def fit(table: Table, width: int | None, gap: int = 1) -> Layout:
    """The table within ``width`` characters, ``gap`` of them between columns; None is no limit.

    A width that no column fits into is overrun.
    """
    if width is None or _width(table, gap) <= width:
        return Layout([table])
    shorter, note = _without_constants(table)
    for limit in _LABELS:
        narrow = _with_short_labels(shorter, limit)
        if _width(narrow, gap) <= width:
            return Layout([narrow], note)
    for limit in _LABELS[1:]:  # two tables with readable labels, rather than one without
        narrow = _with_short_labels(shorter, limit)
        if _narrowest(narrow, gap) <= width:
            break
    return Layout(list(_parts(narrow, width, gap)), note)


def short_labels(labels: Sequence[str], limit: int) -> dict[str, str]:
    """Each label shortened in its middle, and longer than ``limit`` only where two would meet."""
    different = dict.fromkeys(labels)
    longest = max(map(printed_width, different), default=0)
    while limit < longest:
        short = {label: shortened(label, limit) for label in different}
        if len(set(short.values())) == len(short):
            return short
        limit += limit // 2
    return {label: label for label in different}


def column_widths(table: Table) -> list[int]:
    """How wide each column is, its head included."""
    columns = zip(table.heads, *table.rows, strict=True)
    return [max(map(printed_width, column)) for column in columns]


def _width(table: Table, gap: int) -> int:
    return sum(column_widths(table)) + gap * (len(table.heads) - 1)


def _without_constants(table: Table) -> tuple[Table, str]:
    """The table without the keys that are the same in all of several rows, and those in a line."""
    if len(table.rows) < 2:
        return table, ""
    first = dict(zip(table.heads, table.rows[0], strict=True))
    same = [
        head
        for head, *cells in zip(table.heads, *table.rows, strict=True)
        if head in table.keys and len(set(cells)) == 1
    ]
    if set(table.keys) <= set(same):
        same = [head for head in same if head != table.keys[0]]
    note = ", ".join(f"{head} {first[head]}" for head in same if first[head])
    kept = [head for head in table.heads if head not in same]
    return _chosen(table, kept), f"in all rows: {note}" if note else ""


def _chosen(table: Table, heads: Sequence[str]) -> Table:
    """These columns of a table."""
    numbers = [table.heads.index(head) for head in heads]
    rows = [[row[number] for number in numbers] for row in table.rows]
    return Table(list(heads), rows, tuple(key for key in table.keys if key in heads))


def _with_short_labels(table: Table, limit: int) -> Table:
    """The table with its keys' texts shortened."""
    columns = [list(column) for column in zip(*table.rows, strict=True)]
    for number, head in enumerate(table.heads):
        if head in table.keys:
            short = short_labels(columns[number], limit)
            columns[number] = [short[cell] for cell in columns[number]]
    return Table(table.heads, [list(row) for row in zip(*columns, strict=True)], table.keys)


def _narrowest(table: Table, gap: int) -> int:
    """The keys, and the widest of the other columns."""
    widths = dict(zip(table.heads, column_widths(table), strict=True))
    others = [width for head, width in widths.items() if head not in table.keys]
    return sum(widths[key] + gap for key in table.keys) + max(others, default=0)


def _parts(table: Table, width: int, gap: int) -> Iterator[Table]:
    """The table as several: each has the keys, and as many of the other columns as fit."""
    widths = dict(zip(table.heads, column_widths(table), strict=True))
    keys = sum(widths[key] + gap for key in table.keys)
    chosen: list[str] = []
    for head in (head for head in table.heads if head not in table.keys):
        taken = keys + sum(widths[other] + gap for other in chosen)
        if chosen and taken + widths[head] > width:
            yield _chosen(table, [*table.keys, *chosen])
            chosen = []
        chosen.append(head)
    yield _chosen(table, [*table.keys, *chosen])
