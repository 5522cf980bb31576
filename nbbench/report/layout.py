"""Fitting a table into a width.

What is the same in all rows goes below, long labels lose their middle, and what still does not fit
goes into a second table. No column is lost.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from ..text import printed_width, shortened

MAX_LABEL = 40
"""Longer labels are shortened wherever a width is limited."""

MAX_LINE = 60
"""Letters of a cell of a page that stay in one line."""

_LABELS = (MAX_LABEL, 24, 16, 10)
"""Shorter than the last but one they are hard to read: two tables come first."""

_BEFORE_PART = re.compile(r" (?=\[|noisy)")


@dataclass(frozen=True)
class Table:
    """A table of texts; ``keys`` are the heads of the columns that say which case a row is of.

    Where columns are ``wrapped``, so are all heads, each word on a line of its own if need be.
    """

    heads: list[str]
    rows: list[list[str]]
    keys: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()


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
    for limit in _LABELS[:-1]:
        narrow = _with_short_labels(shorter, limit)
        if _width(narrow, gap) <= width:
            return Layout([narrow], note)
    choices = [list(_parts(_with_short_labels(shorter, n), width, gap)) for n in _LABELS[1:]]
    fewest = min(map(len, choices))
    return Layout(next(parts for parts in choices if len(parts) == fewest), note)


def short_labels(labels: Sequence[str], limit: int) -> dict[str, str]:
    """Each label shortened to about ``limit`` columns, so that no two become one.

    A label loses its middle; labels that differ in their middle alone keep it, and lose what they
    share; those that even then would read the same are numbered.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(labels):
        alike[shortened(label, limit)].append(label)
    short: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for text, members in alike.items():
        texts = [text] if len(members) == 1 else _around_difference(members, limit)
        for label, name in zip(members, texts, strict=True):
            short[label] = name
            while short[label] in taken:
                numbers[name] += 1
                short[label] = f"{name} ({numbers[name] + 1})"
            taken.add(short[label])
    return short


def _around_difference(labels: Sequence[str], limit: int) -> list[str]:
    """Labels as what differs in them, between the ends of what they share."""
    before = len(commonprefix(labels))  # noqa: RUF071  # letter by letter is what is meant
    rests = [label[before:][::-1] for label in labels]
    behind = len(commonprefix(rests))  # noqa: RUF071
    cores = [rest[behind:][::-1] for rest in rests]
    widest = max(map(printed_width, cores))
    half = max((limit - min(widest, limit) - 2) // 2, 0)
    prefix, suffix = labels[0][:before], rests[0][:behind][::-1]
    head = prefix if len(prefix) <= half + 1 else f"{prefix[:half]}…"
    tail = suffix if len(suffix) <= half + 1 else f"…{suffix[len(suffix) - half :]}"
    return [f"{head}{shortened(core, limit)}{tail}" for core in cores]


def column_widths(table: Table) -> list[int]:
    """How wide each column is, its head included."""
    widths = []
    for head, *cells in zip(table.heads, *table.rows, strict=True):
        heads = head.split() if table.wrapped else [head]
        parts = (
            [part for cell in cells for part in lines_of(cell)] if head in table.wrapped else cells
        )
        widths.append(max(map(printed_width, [*heads, *parts])))
    return widths


def lines_of(cell: str) -> list[str]:
    """A wrapped cell's parts that stay whole: a time, its interval, and that it is noisy."""
    return _BEFORE_PART.split(cell)


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
    keys = tuple(key for key in table.keys if key in heads)
    return Table(list(heads), rows, keys, table.wrapped)


def _with_short_labels(table: Table, limit: int) -> Table:
    """The table with its keys' texts shortened."""
    columns = [list(column) for column in zip(*table.rows, strict=True)]
    for number, head in enumerate(table.heads):
        if head in table.keys:
            short = short_labels(columns[number], limit)
            columns[number] = [short[cell] for cell in columns[number]]
    return dataclasses.replace(table, rows=[list(row) for row in zip(*columns, strict=True)])


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
