"""A report in the layout that Transformers' own benchmark printed, for those who compare with it.

Times in seconds, rounded to milliseconds; memory as the peak in MiB, under the label that the
original gave it. A case that has neither shows N/A; the reasons are in the report's frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from .case import Result

if TYPE_CHECKING:
    from .report import Report

_WIDTHS = (30, 15, 15, 15)


def _time(result: Result) -> str:
    timing = result.outcome.timing
    if timing is None:
        return "N/A"
    rounded = round(timing.median_s, 3)
    return str(rounded) if rounded else "< 0.001"


def _memory(result: Result) -> str:
    memory = result.outcome.memory
    return "N/A" if memory is None or memory.peak is None else str(memory.peak >> 20)


Section: TypeAlias = tuple[str, str, str, Callable[[Result], str]]
"""A mode, the title, the label of the last column, and what stands in it."""

SECTIONS: tuple[Section, ...] = (
    ("inference", "INFERENCE - SPEED - RESULT", "Time in s", _time),
    ("inference", "INFERENCE - MEMORY - RESULT", "Memory in MB", _memory),
    ("training", "TRAIN - SPEED - RESULTS", "Time in s", _time),
    ("training", "TRAIN - MEMORY - RESULTS", "Memory in MB", _memory),
)


def original_tables(report: Report) -> str:
    """The tables of speed and memory that were asked for, and the environment, as text."""
    tables = [section(report, kind) for kind in SECTIONS]
    return "\n".join(filter(None, [*tables, environment_table(report)])) + "\n"


def section(report: Report, kind: Section) -> str:
    """One table; empty where nothing of its kind was asked for."""
    mode, title, label, shown = kind
    asked = "speed" if shown is _time else "memory"
    results = [r for r in report.results if r.case.mode == mode and getattr(r.case, asked)]
    if not results:
        return ""
    rule = "-" * 80
    heads = ("Model Name", "Batch Size", "Seq Length", label)
    head = "".join(text.center(width) for text, width in zip(heads, _WIDTHS, strict=True))
    rows = [_line(name, r, shown(r)) for name, r in zip(_names(results), results, strict=True)]
    return "\n".join([_title(title), rule, head, rule, *rows, rule])


def environment_table(report: Report) -> str:
    """``- key: value`` for every key, all frameworks' values where they differ."""
    lines = [_title("ENVIRONMENT INFORMATION")]
    for key, row in report.environment.iterrows():
        values = list(dict.fromkeys("" if value is None else str(value) for value in row))
        lines.append(f"- {key}: {', '.join(values)}")
    return "\n".join(lines)


def _title(title: str) -> str:
    return "\n" + "=" * 20 + title.center(40) + "=" * 20


def _line(name: str, result: Result, text: str) -> str:
    length = result.case.sequence_length
    return _row(name, str(result.case.batch_size), "" if length is None else str(length), text)


def _row(*cells: str) -> str:
    """A row as the original printed it: a space wider per column than its head."""
    name, *others = (cell.center(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return " ".join([name + others[0], *others[1:]])


def _names(results: list[Result]) -> list[str]:
    """Names as the original cut them, at 30 characters, unless two would then read the same."""
    full = [_name(result, results) for result in results]
    width = _WIDTHS[0]
    if len({name[:width] for name in full}) < len(set(full)):
        return full
    return [name[:width] for name in full]


def _name(result: Result, results: list[Result]) -> str:
    """The model, with what else tells it from the others: the original had one of each."""
    case, parts = result.case, [result.case.model]
    for name in ("framework", "environment", "dtype", "attention", "execution"):
        if len({getattr(other.case, name) for other in results}) > 1:
            parts.append(str(getattr(case, name)))
    return " ".join(parts)
