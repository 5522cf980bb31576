"""A page to share: tables that sort, plots, the comparison, and the machines folded below.

It stands by itself, and its own rule lets it load nothing and run no script but its own. Without
scripts it shows the same, except that of very many rows the first ones stand in it alone.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from html import escape

from ..plan.result import Result
from ..text import one_line
from ..worker.case import Status
from ..worker.timing import Timing
from .differences import Differences
from .differences_text import lines_after, lines_before, table
from .environment import EnvironmentFacts
from .html_page import (
    caution_html,
    column_kind,
    doubt,
    facts_html,
    image,
    long_class,
    reasons_html,
    tables_html,
    wrapped,
)
from .own_columns import NOTHING, Added
from .sortable import SCRIPT, STYLE, sortable_html
from .tables import EMPTY, begun_results, summary

_MAX_STATIC = 500
"""Rows that stand in the page without its script; all are in it for the script."""

_MAX_LINES = 20
"""More lines below a table are folded."""

GENERATOR = '<meta name="generator" content="nbbench">'
"""What a page has in its head, by which it is known and may be written over."""

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
{generator}
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'sha256-{digest}'">
<title>{title}</title>
<style>
:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;
overflow-wrap:break-word}}
{style}</style>
<h1>{title}</h1>
{body}
<script>{script}</script>
</html>
"""


@dataclasses.dataclass(frozen=True)
class Compared:
    """What a page compares, and plots of it."""

    differences: Differences
    plots: Sequence[bytes] = ()


def page(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    plots: Sequence[bytes],
    title: str,
    differences: Differences | None = None,
    added: Added = NOTHING,
    below: str = "",
    compared: Compared | None = None,
) -> str:
    """The page; ``differences`` are those from the run's baseline, which stand in its table.

    ``below`` is HTML that stands right below the table, ``compared`` a part of the page below it.
    """
    body = f"<p>{EMPTY}</p>"
    if results:
        body = wrapped(
            caution_html(facts)
            + _results_html(results, differences, added)
            + below
            + "".join(map(image, plots))
            + ("" if compared is None else _comparison_html(compared))
            + facts_html(facts)
        )
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return _PAGE.format(
        generator=GENERATOR, title=escape(one_line(title)), body=body, script=SCRIPT, style=STYLE,
        digest=digest,
    )  # fmt: skip


def _results_html(results: Sequence[Result], differences: Differences | None, added: Added) -> str:
    """All results, and why cases failed."""
    whole, begun = summary(results, differences, added), begun_results(results)
    reasons = reasons_html(results)
    count = reasons.count("<li>")
    reasons = _folded(reasons, count, f"{count:,} reasons why cases have no result")
    if not whole.rows:
        return reasons
    static = tables_html(whole, begun, None, _MAX_STATIC) + _cut_note(len(whole.rows))
    failed = [n for n, each in enumerate(begun) if each.outcome.status is not Status.OK]
    kinds = {head: column_kind(head) for head in whole.heads}
    doubts = [doubt(result) for result in begun]
    shown = sortable_html(whole, static, kinds, _exact_times(begun), failed, doubts)
    return shown + reasons


def _folded(html: str, count: int, title: str) -> str:
    """Lines of HTML, which open by a click where they are many."""
    if count <= _MAX_LINES:
        return html
    return f"<details><summary>{title}</summary>{html}</details>"


def _exact_times(results: Sequence[Result]) -> dict[str, list[float | None]]:
    """The seconds behind the texts of the table."""
    return {
        "time": [_median(result.outcome.timing) for result in results],
        "first token": [_of_token(result.outcome.timing, "first") for result in results],
        "each token": [_of_token(result.outcome.timing, "each") for result in results],
    }


def _median(timing: Timing | None) -> float | None:
    return None if timing is None else timing.median_s


def _of_token(timing: Timing | None, which: str) -> float | None:
    time = None if timing is None or timing.tokens is None else getattr(timing.tokens, which)
    return None if time is None else float(time.median_s)


def _cut_note(count: int) -> str:
    if count <= _MAX_STATIC:
        return ""
    return (
        f"<p>the first {_MAX_STATIC} of {count:,} rows; the page shows all of them where "
        "JavaScript is on</p>"
    )


def _comparison_html(compared: Compared) -> str:
    """The comparison: its table, its plots, and what could not be compared."""
    differences = compared.differences
    whole = table(differences)
    before, (total, *after) = lines_before(differences), lines_after(differences)
    kinds = {head: column_kind(head) for head in whole.heads}
    kinds |= {"verdict": "t", "memory": "t"}
    parts = ["<h2>Comparison</h2>", *(f"<p>{escape(line)}</p>" for line in [*before, total])]
    if whole.rows:
        first = dataclasses.replace(whole, rows=whole.rows[:_MAX_STATIC])
        static = _plain_table(first.heads, first.rows, kinds) + _cut_note(len(whole.rows))
        parts.append(sortable_html(whole, static, kinds))
    parts += map(image, compared.plots)
    lines = "".join(f"<p>{escape(line)}</p>" for line in after)
    title = f"{len(after):,} lines on what was not compared"
    return "".join([*parts, _folded(lines, len(after), title)])


def _plain_table(heads: Sequence[str], rows: Sequence[Sequence[str]], kinds: dict[str, str]) -> str:
    marks = [f' class="{kinds[head]}"' if kinds[head] else "" for head in heads]
    top = "".join(
        f'<th scope="col"{mark}>{escape(head)}</th>'
        for mark, head in zip(marks, heads, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{long_class(cell) or mark}>{escape(cell)}</td>"
            for mark, cell in zip(marks, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'
