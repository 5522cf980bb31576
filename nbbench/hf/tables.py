"""A report in the layout that Transformers' own benchmark printed, for those who compare with it.

Times in seconds, rounded to milliseconds; memory as the peak in MiB, under the label that the
original gave it. A case that has neither shows N/A; the reasons are in the report's frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..plan.result import Result
from ..report.environment import EnvironmentFacts
from ..report.tables import begun_results, failures
from ..text import one_line
from ..worker.case import Status, varying_axes
from ..worker.memory_profile import LineTrace
from .environment import environment_info
from .line_memory import MemoryState, MemorySummary, memory_summary
from .results import rows_of

_WIDTHS = (30, 15, 15, 15)


def _time(result: Result) -> str:
    timing = result.outcome.timing
    return "N/A" if timing is None else _figure(timing.median_s)


def _memory(result: Result) -> str:
    memory = result.outcome.memory
    return "N/A" if memory is None or memory.peak is None else str(memory.peak >> 20)


class Section(NamedTuple):
    """A block of the printed report: what is printed above it, and itself.

    ``label`` heads the column of figures; it is empty where memory is shown line by line.
    """

    mode: str
    asked: str
    title: str
    label: str
    text: str


_TABLES = (
    ("inference", "speed", "INFERENCE - SPEED - RESULT", "Time in s", _time),
    ("inference", "memory", "INFERENCE - MEMORY - RESULT", "Memory in MB", _memory),
    ("training", "speed", "TRAIN - SPEED - RESULTS", "Time in s", _time),
    ("training", "memory", "TRAIN - MEMORY - RESULTS", "Memory in MB", _memory),
)

_TRACES = {
    "inference": "INFERENCE - MEMOMRY - LINE BY LINE - SUMMARY",  # so the original spelt it
    "training": "TRAIN - MEMOMRY - LINE BY LINE - SUMMARY",
}


def former_tables(results: Sequence[Result], facts: Sequence[EnvironmentFacts]) -> str:
    """The tables of what was asked for, why cases are N/A, and the environment, as text."""
    texts = [f"{section.title}\n{section.text}" for section in sections(results)]
    return "\n".join([*texts, *reasons(results), environment_table(facts)]) + "\n"


def reasons(results: Sequence[Result]) -> list[str]:
    """Why cases are N/A, which the original did not print: a line each, but one for the skipped."""
    skipped = [r for r in results if r.outcome.status is Status.SKIPPED]
    lines = [
        f"N/A: {one_line(result.case.label)}: {one_line(result.outcome.reason)}"
        for result in begun_results(results)
        if result.outcome.status is not Status.OK
    ]
    return lines + [
        f"N/A: {label.removeprefix('skipped: ')}: {reason}" for label, reason in failures(skipped)
    ]


def sections(results: Sequence[Result]) -> Iterator[Section]:
    """The blocks of what was asked for, in the original's order, without the environment."""
    results = begun_results(results)
    for mode, asked, title, label, shown in _TABLES:
        chosen = [r for r in results if r.case.mode == mode and getattr(r.case, asked)]
        if chosen:
            yield Section(mode, asked, _title(title), label, _case_table(chosen, label, shown))
        traced = [r for r in results if r.case.mode == mode and r.outcome.lines is not None]
        if asked == "memory" and traced:
            yield Section(mode, "lines", _title(_TRACES[mode]), "", _line_by_line(traced))


def _case_table(results: list[Result], label: str, shown: Callable[[Result], str]) -> str:
    names = _names(results)
    return _table(
        (
            (name, str(r.case.batch_size), _length(r), shown(r))
            for name, r in zip(names, results, strict=True)
        ),
        label,
    )


def result_table(result: Mapping[str, Any], label: str) -> str:
    """The table of one of the nested results."""
    width = _WIDTHS[0]
    return _table(
        (
            (model[:width], str(batch_size), str(length), _figure(value))
            for model, batch_size, length, value in rows_of(result)
        ),
        label,
    )


def _figure(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return str(round(value, 3)) if round(value, 3) else "< 0.001"


def _table(rows: Iterable[tuple[str, str, str, str]], label: str) -> str:
    rule = "-" * 80
    heads = ("Model Name", "Batch Size", "Seq Length", label)
    head = "".join(text.center(width) for text, width in zip(heads, _WIDTHS, strict=True))
    return "\n".join([rule, head, rule, *(_row(*cells) for cells in rows), rule])


def _line_by_line(results: list[Result]) -> str:
    """The summaries of all traced cases; where there are several, each below its case's name."""
    blocks: list[str] = []
    for result in results:
        trace = result.outcome.lines
        if trace is None:
            continue
        if len(results) > 1:
            blocks.append(f"\n{one_line(result.case.label)}")
        blocks += [summary_text(memory_summary(trace)), _cost_of_tracing(result, trace)]
    return "\n".join(blocks)


def summary_text(summary: MemorySummary) -> str:
    """A summary line by line, its top and its bottom, and the total."""
    return "\n".join(
        [
            _states("Line by line memory consumption:", summary.sequential, ""),
            _states("Lines with top memory consumption:", summary.cumulative[:6], "=> "),
            _states("Lines with lowest memory consumption:", summary.cumulative[-6:], "=> "),
            f"\nTotal memory increase: {summary.total}",
        ]
    )


def _states(head: str, states: list[MemoryState], mark: str) -> str:
    lines = [
        f"{mark}{state.frame.filename}:{state.frame.line_number}: mem {state.cpu_gpu}: "
        f"{state.frame.line_text}"
        for state in states
    ]
    return "\n".join([f"\n{head}", *lines])


def _cost_of_tracing(result: Result, trace: LineTrace) -> str:
    text = f"The traced call took {trace.traced_s:.3g} s"
    if result.outcome.timing is not None:
        times = trace.traced_s / result.outcome.timing.median_s
        text += f", {times:.3g} times as long as one without tracing"
    return text + ("." if trace.whole else "; it ran more lines than were kept.")


def environment_table(facts: Sequence[EnvironmentFacts]) -> str:
    """``- key: value`` for all that is known, and a blank line; all values where they differ."""
    return info_table(*(environment_info(each) for each in facts))


def info_table(*columns: Mapping[str, Any]) -> str:
    """The same of what `environment_info` has given."""
    lines = [_title("ENVIRONMENT INFORMATION")]
    for key in dict.fromkeys(key for column in columns for key in column):
        known = [column[key] for column in columns if column.get(key) is not None]
        if known:
            lines.append(one_line(f"- {key}: {', '.join(dict.fromkeys(map(str, known)))}"))
    return "\n".join(lines) + "\n"


def _title(title: str) -> str:
    return "\n" + "=" * 20 + title.center(40) + "=" * 20


def _length(result: Result) -> str:
    length = result.case.sequence_length
    return "" if length is None else str(length)


def _row(*cells: str) -> str:
    """A row as the original printed it: a space wider per column than its head."""
    name, *others = (cell.center(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return " ".join([name + others[0], *others[1:]])


def _names(results: list[Result]) -> list[str]:
    """Names as the original cut them, at 30 characters, unless two would then read the same.

    Each is the model, with what else distinguishes it from the others, the node that it ran on
    included: the original had one of each.
    """
    shown = ("model", "mode", "batch_size", "sequence_length")
    axes = [axis for axis in varying_axes(r.case for r in results) if axis.name not in shown]
    nodes = {r.outcome.node for r in results if r.outcome.node}
    full = []
    for r in results:
        parts = [one_line(r.case.model), *(str(axis.value(r.case)) for axis in axes)]
        full.append(" ".join([*parts, *([r.outcome.node] if len(nodes) > 1 else [])]))
    width = _WIDTHS[0]
    if len({name[:width] for name in full}) < len(set(full)):
        return full
    return [name[:width] for name in full]
