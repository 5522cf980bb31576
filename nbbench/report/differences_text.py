"""A comparison as a person reads it: text, Markdown and HTML."""

from __future__ import annotations

from collections import Counter, defaultdict
from html import escape

from ..text import cell_text, one_line, printed_width
from ..worker.case import AXES, Outcome
from .differences import Differences
from .layout import Table, column_widths, fit
from .markup import html_table, markdown_table, markdown_text
from .verdict import Verdict, ratio_text

_NOT_BEGUN = Outcome.skipped().reason
"""Cases that were not begun have no row, but one line together."""

_VERDICTS = (Verdict.FASTER, Verdict.SLOWER, Verdict.SAME, Verdict.UNSURE)


def differences_text(differences: Differences, width: int | None = None) -> str:
    """The comparison for a terminal: what must be known first, a table, and the sum of it."""
    layout = fit(table(differences), width, gap=2)
    parts = [*lines_before(differences)]
    if layout.tables[0].rows:
        parts += ["\n\n".join(map(left_aligned, layout.tables)), layout.note]
    return "\n".join([*filter(None, parts), *lines_after(differences)])


def left_aligned(shown: Table) -> str:
    """A table as lines, its columns at the left."""
    widths = column_widths(shown)
    return "\n".join(
        "  ".join(
            cell + " " * (width - printed_width(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in [shown.heads, *shown.rows]
    )


def differences_markdown(differences: Differences) -> str:
    """The comparison as Markdown."""
    shown = table(differences)
    text = markdown_table(shown.heads, shown.rows) if shown.rows else ""
    before, after = (
        map(markdown_text, lines) for lines in (lines_before(differences), lines_after(differences))
    )
    return "\n\n".join(filter(None, [*before, text, *after]))


def differences_html(differences: Differences) -> str:
    """The comparison for a notebook."""
    shown = table(differences)
    heads, rows = shown.heads, shown.rows
    parts = [f"<p>{escape(line)}</p>" for line in lines_before(differences)]
    if rows:
        parts.append(html_table(heads, rows))
    parts += [f"<p>{escape(line)}</p>" for line in lines_after(differences)]
    return f'<div class="nbbench">{"".join(parts)}</div>'


def table(differences: Differences) -> Table:
    """The axes in which the cases differ, the ratio, and the verdicts."""
    axes = [axis for axis in AXES if axis.name in ("model", *differences.varying)]
    of_nodes = len({difference.node for difference in differences.each}) > 1
    keys = (*(axis.head for axis in axes), *(["node"] if of_nodes else []))
    bases = [axis for axis in AXES if axis.name in differences.of_bases]
    heads = [*keys, *(f"against {axis.head}" for axis in bases)]
    heads += ["time ratio", "verdict", "memory ratio", "memory"]
    rows = [
        [
            *(cell_text(axis.value(d.case)) for axis in axes),
            *([one_line(d.node)] if of_nodes else []),
            *(cell_text(axis.value(d.other)) for axis in bases),
            ratio_text(d),
            d.verdict.value,
            "" if d.memory_ratio is None else f"{d.memory_ratio:.2f}",
            d.memory,
        ]
        for d in differences.each
        if not d.reason.endswith(_NOT_BEGUN)
    ]
    return Table(heads, rows, keys)


def lines_before(differences: Differences) -> list[str]:
    """What must be known before a comparison's table is read."""
    lines = [f"the environment differs: {one_line(note)}" for note in differences.notes]
    lines += map(one_line, differences.of_models)
    return [*lines, f"time and memory {one_line(differences.title)}; below 1 is less"]


def lines_after(differences: Differences) -> list[str]:
    """The sum of a comparison, and what was not compared."""
    lines = []
    counts = Counter(difference.verdict for difference in differences.each)
    listed = ", ".join(
        f"{counts[verdict]} {verdict.value}" for verdict in _VERDICTS if counts[verdict]
    )
    if not differences.each:
        lines.append("nothing was compared: no case stands on both sides")
    elif differences.mean is not None:
        mean, low, high = differences.mean
        lines.append(f"{listed}; geometric mean {mean:.3f} [{low:.3f}, {high:.3f}]")
    else:
        lines.append(listed)
    lines += [f"not compared: {one_line(label)}" for label in differences.unmatched]
    return lines + _reasons(differences)


def _reasons(differences: Differences) -> list[str]:
    """Why there are no ratios, one line for all cases of the same reason."""
    labels: dict[str, list[str]] = defaultdict(list)
    for difference in differences.each:
        if difference.reason:
            labels[difference.reason].append(difference.case.label)
    return [
        one_line(f"{first}{f' and {len(rest):,} more' if rest else ''}: {reason}")
        for reason, (first, *rest) in labels.items()
    ]
