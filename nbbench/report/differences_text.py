"""A comparison as a person reads it: text, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from html import escape

from ..plan.cases import AXES
from .differences import Difference, Differences, Verdict, ratio_text

_VERDICTS = (Verdict.FASTER, Verdict.SLOWER, Verdict.SAME, Verdict.UNSURE)


def differences_text(differences: Differences) -> str:
    """The comparison for a terminal: what must be known first, a table, and the sum of it."""
    heads, rows = table(differences)
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
    return "\n".join([*_before(differences), *(lines if rows else []), *_after(differences)])


def differences_markdown(differences: Differences) -> str:
    """The comparison as Markdown."""
    heads, rows = table(differences)
    lines = [heads, ["---"] * len(heads), *rows]
    text = "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines
    )
    parts = [*_before(differences), *([text] if rows else []), *_after(differences)]
    return "\n\n".join(parts)


def differences_html(differences: Differences) -> str:
    """The comparison for a notebook."""
    heads, rows = table(differences)
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    parts = [f"<p>{escape(line)}</p>" for line in _before(differences)]
    if rows:
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    parts += [f"<p>{escape(line)}</p>" for line in _after(differences)]
    return f'<div class="nbbench">{"".join(parts)}</div>'


def table(differences: Differences) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: the axes in which the cases differ, the ratio, and the verdicts."""
    axes = [axis for axis in AXES if axis.name in ("model", *differences.varying)]
    heads = [*(axis.head for axis in axes), "time ratio", "verdict", "memory ratio", "memory"]
    rows = [
        [
            *("" if axis.value(d.case) is None else str(axis.value(d.case)) for axis in axes),
            ratio_text(d),
            d.verdict.value,
            "" if d.memory_ratio is None else f"{d.memory_ratio:.2f}",
            d.memory,
        ]
        for d in differences.each
    ]
    return heads, rows


def _before(differences: Differences) -> list[str]:
    lines = [f"the environment differs: {note}" for note in differences.notes]
    return [*lines, f"time and memory {differences.title}; below 1 is less"]


def _after(differences: Differences) -> list[str]:
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
    lines += [f"not compared: {label}" for label in differences.unmatched]
    return lines + [_reason(d) for d in differences.each if d.reason]


def _reason(difference: Difference) -> str:
    return f"{difference.case.label}: {difference.reason}"
