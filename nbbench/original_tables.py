"""A report in the layout that Transformers' own benchmark printed, for those who compare with it.

Times in seconds, rounded to milliseconds; memory as the peak in MiB, under the label that the
original gave it. A case that has neither shows N/A; the reasons are in the report's frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

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


_SECTIONS: tuple[tuple[str, str, str, Callable[[Result], str]], ...] = (
    ("inference", "INFERENCE - SPEED - RESULT", "Time in s", _time),
    ("inference", "INFERENCE - MEMORY - RESULT", "Memory in MB", _memory),
    ("training", "TRAIN - SPEED - RESULTS", "Time in s", _time),
    ("training", "TRAIN - MEMORY - RESULTS", "Memory in MB", _memory),
)


def original_tables(report: Report) -> str:
    """The tables of speed and memory that were asked for, and the environment, as text."""
    lines: list[str] = []
    for mode, title, label, shown in _SECTIONS:
        asked = "speed" if shown is _time else "memory"
        results = [r for r in report.results if r.case.mode == mode and getattr(r.case, asked)]
        if results:
            lines += _section(title, label, [(r, shown(r)) for r in results])
    lines += [*_title("ENVIRONMENT INFORMATION"), *_environment(report)]
    return "\n".join(lines) + "\n"


def _title(title: str) -> list[str]:
    return ["", "=" * 20 + title.center(40) + "=" * 20]


def _section(title: str, label: str, rows: list[tuple[Result, str]]) -> Iterator[str]:
    rule = "-" * 80
    yield from _title(title)
    yield rule
    heads = ("Model Name", "Batch Size", "Seq Length", label)
    yield "".join(head.center(width) for head, width in zip(heads, _WIDTHS, strict=True))
    yield rule
    names = _names([result for result, _ in rows])
    for (result, text), name in zip(rows, names, strict=True):
        length = result.case.sequence_length
        yield _row(name, str(result.case.batch_size), "" if length is None else str(length), text)
    yield rule


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


def _environment(report: Report) -> Iterator[str]:
    """``- key: value`` for every key, all frameworks' values where they differ."""
    for key, row in report.environment.iterrows():
        values = list(dict.fromkeys("" if value is None else str(value) for value in row))
        yield f"- {key}: {', '.join(values)}"
