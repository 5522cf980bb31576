"""Tables of a page that a script sorts and filters; without the script they stand as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .layout import MAX_LINE, Table

SCRIPT = Path(__file__).with_name("sortable.js").read_text(encoding="utf-8")
"""It makes the table of each element of the class ``sortable``, and uses no network."""

STYLE = """
.nbbench .sortable .scroll{max-height:80vh;border-bottom:1px solid rgba(128,128,128,.5)}
.nbbench .sortable thead th{padding:0;height:1px}
.nbbench .sortable th button{all:unset;cursor:pointer;font-weight:bold;box-sizing:border-box;
display:block;width:100%;padding:.2em .5em}
.nbbench .sortable th button::before{content:"";position:absolute;inset:0}
.nbbench .sortable th button:hover{text-decoration:underline}
.nbbench .sortable th button:focus-visible::before{outline:2px solid Highlight;outline-offset:-2px}
.nbbench .sortable th[aria-sort=ascending] button::after{content:" ▲";content:" ▲" / ""}
.nbbench .sortable th[aria-sort=descending] button::after{content:" ▼";content:" ▼" / ""}
.nbbench .sortable .bar{margin:.5em 0}
.nbbench .sortable input{font:inherit;width:16em;max-width:100%}
@container (max-width:50em){.nbbench .sortable th button{padding:.2em .3em}}
@container (max-width:42em){.nbbench .sortable th button{padding:.2em}}
"""

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d*)?(?:e[+-]?\d+)?(?: (?P<behind>.*))?")
"""A number, and what stands behind it, such as its interval."""

_UNIT = re.compile(r"[A-Za-zµ%/²³]+")

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
        "max_line": MAX_LINE,
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
    """Its cells, and what they are sorted by: as numbers, or by ``values`` that they only round.

    Of texts that repeat each stands there once, and ``rows`` has the index of each row's.
    """
    numeric = exact is not None or begin_with_numbers(texts)
    column: dict[str, Any] = {"numeric": numeric}
    if exact is not None:  # in microseconds, which take the fewest digits
        values = [None if each is None else float(f"{each * 1e6:.5g}") for each in exact]
        column["values"] = [each if each is None or each % 1 else int(each) for each in values]
    coded = _coded(texts)
    if exact is not None or 2 * len(coded["texts"]) > len(texts):
        return {**column, "texts": list(texts)}
    return {**column, **coded}


def _coded(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The different texts, and of each row the index of its own."""
    known = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    return {"texts": list(known), "rows": [known[text] for text in texts]}


def begin_with_numbers(texts: Sequence[str]) -> bool:
    """Whether each cell that is not empty begins with a number, as the script reads one.

    One of 3.20 s does, and so does one of 0.84 [0.83, 0.86], but not the version 4.57.6. Numbers of
    several units say nothing of the order.
    """
    found = [_NUMBER.fullmatch(text) for text in texts if text]
    units = {
        unit[0]
        for each in found
        if each is not None and (unit := _UNIT.match(each["behind"] or "")) is not None
    }
    return bool(found) and all(found) and len(units) <= 1
