"""Tables of a page that a script sorts and filters; without the script they stand as they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .layout import Table

SCRIPT = Path(__file__).with_name("sortable.js").read_text(encoding="utf-8")
"""It makes the table of each element of the class ``sortable``, and uses no network."""

STYLE = """
.nbbench .sortable .scroll{max-height:80vh;border-bottom:1px solid rgba(128,128,128,.5)}
.nbbench .sortable th button{all:unset;cursor:pointer;font-weight:bold}
.nbbench .sortable th button:focus-visible{outline:2px solid Highlight}
.nbbench .sortable th[aria-sort=ascending] button::after{content:" ▲";content:" ▲" / ""}
.nbbench .sortable th[aria-sort=descending] button::after{content:" ▼";content:" ▼" / ""}
.nbbench .sortable .bar{margin:.5em 0}
.nbbench .sortable input{font:inherit;width:16em;max-width:100%}
"""

_NUMBER = re.compile(r"(-?\d[\d,]*(?:\.\d*)?(?:e[+-]?\d+)?)(?: (s|ms|µs)\b)?(?:,? .*)?")
"""A number, perhaps of a unit of time, and what stands behind it, such as its interval."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}

Exact = Mapping[str, Sequence[float | None]]


def sortable_html(
    table: Table,
    static: str,
    kinds: Mapping[str, str],
    exact: Exact | None = None,
    failed: Sequence[int] = (),
    doubts: Sequence[str] = (),
) -> str:
    """A table's rows for the script, and ``static``, what stands there without it.

    ``kinds`` are classes of columns by their heads, ``exact`` the numbers behind texts that are
    rounded, ``failed`` the rows that are marked so, and ``doubts`` why the times of each row are
    not to be relied on.
    """
    data = {
        "count": len(table.rows),
        "columns": [
            {"head": head, "kind": kinds.get(head, ""), "timed": head in (exact or {})}
            | _column([row[number] for row in table.rows], (exact or {}).get(head))
            for number, head in enumerate(table.heads)
        ],
        "failed": list(failed),
        "doubts": _coded(list(doubts)) if any(doubts) else None,
    }
    # no text ends the element, or begins a comment in it
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")
    return f'<div class="sortable">{static}<script type="application/json">{text}</script></div>'


def _column(texts: Sequence[str], exact: Sequence[float | None] | None) -> dict[str, Any]:
    """Its different cells once, with the numbers that they are sorted by; None for texts."""
    if exact is None:
        exact = numbers_of(texts)
    if exact is None:
        return {**_coded(texts), "values": None}
    values = [None if value is None else float(f"{value:.6g}") for value in exact]
    coded = _coded(list(zip(texts, values, strict=True)))
    cells = coded.pop("texts")
    return {**coded, "texts": [text for text, _ in cells], "values": [each for _, each in cells]}


def _coded(cells: Sequence[Any]) -> dict[str, list[Any]]:
    """The different cells, and of each row the index of its own."""
    known = {cell: index for index, cell in enumerate(dict.fromkeys(cells))}
    return {"texts": list(known), "rows": [known[cell] for cell in cells]}


def numbers_of(texts: Sequence[str]) -> list[float | None] | None:
    """The number that each cell begins with, times in seconds; None unless all have one.

    Empty cells have none, and do not count.
    """
    found = [_NUMBER.fullmatch(text) for text in texts]
    if not any(found) or any(text and not each for text, each in zip(texts, found, strict=True)):
        return None
    return [None if each is None else _value(each) for each in found]


def _value(found: re.Match[str]) -> float | None:
    value = float(found[1].replace(",", "")) * _SECONDS.get(found[2], 1.0)
    return value if math.isfinite(value) else None
