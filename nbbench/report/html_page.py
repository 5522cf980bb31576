"""A report as HTML for a notebook: tables, what failed, plots, and the machine folded below.

Colours come from what is around (``currentColor`` and JupyterLab's variables), so that it reads
in light and dark themes alike.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from html import escape
from itertools import islice

from ..plan.result import Result
from ..text import cell_text, one_line
from ..worker.case import Status
from .differences import Differences
from .environment import EnvironmentFacts
from .layout import MAX_LINE, Layout, Table, fit, lines_of
from .own_columns import NOTHING, Added
from .tables import RATES, TEXT_COLUMNS, begun_results, caution, footer, remarks, summary

WRAPPED = ("time", "first token", "each token")
"""Columns whose cells may be broken between their parts."""

_WIDTH, _GAP = 112, 2
"""Characters, and those that stand for the space between columns: what JupyterLab has room for
beside its side bar, in a window of 1280 pixels."""

_MAX_WHOLE = 20
"""Tables of more rows scroll in a box of their own."""

_MAX_FACTS = 3
"""Environments beside each other; more of them scroll."""

_TEXT = ' class="t"'

_STYLE = """
.nbbench table{border-collapse:collapse;border:none;margin:.3em 0}
.nbbench{container-type:inline-size;width:100%}
.nbbench th,.nbbench td{padding:.2em .5em;border:none;text-align:right;white-space:nowrap;
font-variant-numeric:tabular-nums}
.nbbench thead th{white-space:normal;vertical-align:bottom}
.nbbench th.t,.nbbench td.t{text-align:left}
.nbbench thead th{border-bottom:1px solid currentColor}
.nbbench tbody tr:nth-child(even){background:rgba(128,128,128,.1)}
.nbbench tr.failed td{color:var(--jp-error-color1,#b3261e)}
.nbbench td span{white-space:nowrap}
.nbbench td.long{white-space:normal;overflow-wrap:anywhere;min-width:min(20em,60vw);
max-width:40em;text-align:left}
.nbbench td.noisy{white-space:normal;font-style:italic;text-decoration:underline dotted}
.nbbench .scroll{overflow:auto}
.nbbench .long{max-height:32em;border-bottom:1px solid rgba(128,128,128,.5)}
.nbbench thead th{position:sticky;top:0;background:var(--jp-layout-color0,Canvas)}
.nbbench img{max-width:100%;background:#fff}
.nbbench .hidden{display:none}
@container (max-width:50em){.nbbench table{font-size:92%}.nbbench .rate{display:none}
.nbbench table th,.nbbench table td{padding:.2em .3em}.nbbench .hidden{display:block}
.nbbench td.t:first-child{white-space:normal;overflow-wrap:anywhere;min-width:7em}}
@container (max-width:42em){.nbbench table{font-size:85%}
.nbbench table th,.nbbench table td{padding:.2em}}
"""


def report_html(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    plots: Sequence[bytes] = (),
    differences: Differences | None = None,
    added: Added = NOTHING,
    below: str = "",
) -> str:
    """A report for a notebook; ``plots`` are PNG images to stand below the table.

    ``below`` is HTML that stands right below the table.
    """
    if not results:
        return "<p>an empty report: no case was run</p>"
    return wrapped(
        caution_html(facts)
        + results_html(results, differences, added)
        + below
        + "".join(map(image, plots))
        + facts_html(facts)
    )


def caution_html(facts: Sequence[EnvironmentFacts]) -> str:
    """What must be known before the times are read."""
    above = caution(facts)
    return f'<div role="note">{escape(above)}</div>' if above else ""


def facts_html(facts: Sequence[EnvironmentFacts]) -> str:
    """The machine in a line, and all that is known of it folded below."""
    table = _facts_table(facts)
    if len(facts) > _MAX_FACTS:
        table = f'<div class="scroll">{table}</div>'
    return f"<details><summary>{escape(footer(facts))}</summary>{table}</details>"


def _facts_table(facts: Sequence[EnvironmentFacts]) -> str:
    """A row a key, a column an environment."""
    columns = [each.rows() for each in facts]
    keys = dict.fromkeys(key for column in columns for key in column)
    heads = "".join(
        f'<th scope="col" class="t">{escape(text)}</th>'
        for text in ("", *(one_line(f"{each.framework} ({each.environment})") for each in facts))
    )
    rows = "".join(
        f'<tr><th scope="row" class="t">{escape(one_line(key))}</th>'
        + "".join(_fact(cell_text(column.get(key))) for column in columns)
        + "</tr>"
        for key in keys
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _fact(cell: str) -> str:
    return f"<td{long_class(cell) or _TEXT}>{escape(cell)}</td>"


def live_html(
    line: str,
    share: float | None,
    results: Sequence[Result],
    plots: Sequence[bytes] = (),
    row_count: int = 0,
) -> str:
    """A benchmark on its way: a line, a bar (``share`` is from 0 to 1), rows and plots so far.

    ``row_count`` is how many rows there are, where those that are given are the latest alone.
    """
    bar = ""
    if share is not None:
        bar = (
            f'<progress max="1" value="{share:.3f}" aria-label="cases done" style="width:12em">'
            "</progress> "
        )
    status = f'<div role="status" style="font-size:90%">{bar}{escape(one_line(line))}</div>'
    rows = results_html(results) + "".join(map(image, plots)) if results else ""
    if results and row_count > len(results):
        rows = f"<div>the latest {len(results)} of {row_count:,} rows</div>{rows}"
    return wrapped(status + rows)


def results_html(
    results: Sequence[Result], differences: Differences | None = None, added: Added = NOTHING
) -> str:
    """The table, as several where it would be too wide, and why cases failed, a reason once."""
    table = summary(results, differences, added)
    return tables_html(table, begun_results(results), _WIDTH) + reasons_html(results)


def tables_html(
    table: Table, begun: Sequence[Result], width: int | None, max_rows: int | None = None
) -> str:
    """The table, as several where it is wider than ``width``; its first ``max_rows`` rows."""
    whole = dataclasses.replace(table, wrapped=WRAPPED)
    layout = fit(whole, width, _GAP) if table.rows else Layout([])
    note = f"<div>{escape(layout.note)}</div>" if layout.note else ""
    rates = [name for name in RATES if name in table.heads]
    if rates:
        note += f'<div class="hidden">{" and ".join(rates)} are in report.summary</div>'
    return "".join(_table(part, table, begun, max_rows) for part in layout.tables) + note


def reasons_html(results: Sequence[Result]) -> str:
    """Why cases failed, a reason once; empty where none did."""
    reasons = "".join(
        f"<li><b>{escape(label)}</b>: {escape(reason)}</li>" for label, reason in remarks(results)
    )
    return f"<ul>{reasons}</ul>" if reasons else ""


def _table(part: Table, whole: Table, results: Sequence[Result], max_rows: int | None) -> str:
    """A table of some columns of the whole, whose texts may be longer."""
    numbers = [whole.heads.index(head) for head in part.heads]
    head = "".join(f'<th scope="col"{_kind(name)}>{escape(name)}</th>' for name in part.heads)
    rows = islice(zip(results, part.rows, whole.rows, strict=True), max_rows)
    body = "".join(
        _table_row(result, part.heads, cells, [full[number] for number in numbers])
        for result, cells, full in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    long = " long" if len(part.rows) > _MAX_WHOLE else ""
    return f'<div class="scroll{long}">{table}</div>'


def _table_row(result: Result, heads: list[str], cells: list[str], full: list[str]) -> str:
    failed = ' class="failed"' if result.outcome.status is not Status.OK else ""
    why = doubt(result)
    doubtful = f' class="noisy" title="{escape(why)}"' if why else ""
    row = "".join(
        f"<td{_attributes(name, cell, text, doubtful)}>"
        f"{_wrappable(cell) if name in WRAPPED else escape(cell)}</td>"
        for name, cell, text in zip(heads, cells, full, strict=True)
    )
    return f"<tr{failed}>{row}</tr>"


def _attributes(name: str, cell: str, text: str, doubtful: str) -> str:
    if name == "time" and doubtful:
        return doubtful
    if name in WRAPPED and cell.endswith("noisy"):
        return ' class="noisy" title="the interval is as wide as the time"'
    return (long_class(cell) or _kind(name)) + _title(cell, text)


def long_class(cell: str) -> str:
    """The class of a cell that is too long for one line; empty for others."""
    return ' class="long"' if len(cell) > MAX_LINE else ""


def doubt(result: Result) -> str:
    """Why a result's time is not to be relied on; empty for others."""
    timing = result.outcome.timing
    if timing is None:
        return ""
    reasons = ["the interval is wider than was asked for"] if timing.noisy else []
    if timing.throttled:
        reasons.append(f"the GPU's clock was lowered ({', '.join(timing.throttle or ())})")
    return "; ".join(reasons)


def _wrappable(cell: str) -> str:
    """A cell that is broken between its parts alone."""
    lines = lines_of(cell)
    return " ".join(f"<span>{escape(line)}</span>" for line in lines) if lines[1:] else escape(cell)


def _title(cell: str, text: str) -> str:
    """What a pointer shows of a text that was shortened."""
    return "" if cell == text else f' title="{escape(text)}"'


def _kind(name: str) -> str:
    kind = column_kind(name)
    return f' class="{kind}"' if kind else ""


def column_kind(head: str) -> str:
    """The class of a column's cells: texts, rates, or neither."""
    return "t" if head in TEXT_COLUMNS else "rate" if head in RATES else ""


def image(png: bytes) -> str:
    """A plot, inside the page."""
    data = base64.b64encode(png).decode()
    return f'<img alt="plot of the table above" src="data:image/png;base64,{data}">'


def wrapped(body: str) -> str:
    """HTML with the style that it is shown in."""
    return f'<div class="nbbench"><style>{_STYLE}</style>{body}</div>'
