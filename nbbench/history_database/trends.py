"""Cases over time, as a plot, to see whether a model is as fast here as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..errors import ArgumentError
from ..plan.result import Result
from ..report.drawing import Plot, case_names, finished, literal, new_axes, scale_values
from ..text import counted, shortened
from ..worker.case import Case
from .alike import rows_alike, saved_label
from .database import needed_history_file
from .kept_case import WHEN, json_value, read_rows

_MAX_CASES = 10

_LABEL_POINTS = 12.0
"""How wide a label is that stands upright, with some room."""

_MAX_CHANGES = 3
"""Changes that one label names."""

_MAX_LETTERS = 60

_POINTS = (
    "SELECT cases.ended, median_s, CASE typeof(ci_low_s) WHEN 'real' THEN ci_low_s END,"
    " CASE typeof(ci_high_s) WHEN 'real' THEN ci_high_s END,"
    f" {json_value('environments.content', 'values.framework')},"
    f" {json_value('environments.content', 'values.framework_version')},"
    f" {json_value('environments.content', 'values.transformers_version')},"
    f" {json_value('runs.machine', 'cpu')}, {json_value('runs.machine', 'nbbench_version')}"
    " FROM cases JOIN runs ON runs.id = cases.run"
    " LEFT JOIN environments ON environments.id = cases.environment_id"
    f" WHERE {{alike}} AND typeof(median_s) = 'real' AND {WHEN} ORDER BY cases.ended, cases.id"
)


def draw_trends(results: Sequence[Result], ax: Any = None) -> Plot:
    """The time of each of these cases whenever it was measured, with its interval.

    A dotted line marks where versions or the processor changed, and what they are from then on.
    Changes that are close in time share a label.
    Raises `ArgumentError` where the history has no time of the cases, and `OutputError` where it is
    switched off.
    """
    shown = list({(each.case.key, saved_label(each.case)): each for each in results}.values())
    cases = [result.case for result in shown[:_MAX_CASES]]
    points = [_rows(_POINTS, case) for case in cases]
    if not any(points):
        raise ArgumentError(
            "the history has no times of these cases, since none of them ended ok; "
            "report.failures has the reasons"
            if any(_rows("SELECT 1 FROM cases WHERE {alike} LIMIT 1", case) for case in cases)
            else "the history has none of these cases; measure them on this machine, and not with "
            "history=False (--no-history)"
        )
    axes = new_axes(ax)
    names = case_names(shown, "")
    for name, rows in zip(names, points, strict=False):
        if rows:
            _draw(axes, name, rows)
    changes = _changes([row for rows in points for row in rows])
    scale_values(axes, [1e3 * row[1] for rows in points for row in rows])
    title = "Over time"
    if len(shown) > _MAX_CASES:
        title += f"\n{counted(len(shown) - _MAX_CASES, 'more case')} not shown"
    axes.set(ylabel="median time of a call (ms)", title=title)
    _date_axis(axes, [row[0] for rows in points for row in rows])
    _mark(axes, changes)
    return finished(axes, ax is None)


def _rows(statement: str, case: Case) -> list[tuple[Any, ...]]:
    """What the history answers for a case: for its own label, unless it has none of that.

    Cases of gathered reports name a device, by which those of the history are no others.
    """
    file, label = needed_history_file(), saved_label(case)
    alike, values = rows_alike(dataclasses.replace(case, device_name=""))
    if case.device_name:
        alike, values = f"{alike} AND cases.device_name = ?", [*values, case.device_name]
    own, values_of_own = f"{alike} AND cases.model = ?", [*values, label]
    if read_rows(file, f"SELECT 1 FROM cases WHERE {own} LIMIT 1", values_of_own):
        alike, values = own, values_of_own
    return read_rows(file, statement.format(alike=alike), values)


def _date_axis(axes: Any, moments: Sequence[float]) -> None:
    """Dates in few words; a single moment is not drawn amid years."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    around = max((max(moments) - min(moments)) / 20, 1800.0)
    axes.set_xlim(
        *(datetime.fromtimestamp(at) for at in (min(moments) - around, max(moments) + around))
    )


def _draw(axes: Any, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    times = [datetime.fromtimestamp(row[0]) for row in rows]
    medians = [1e3 * row[1] for row in rows]
    below = [1e3 * (row[1] - (row[1] if row[2] is None else row[2])) for row in rows]
    above = [1e3 * ((row[1] if row[3] is None else row[3]) - row[1]) for row in rows]
    axes.errorbar(
        times, medians, yerr=[below, above], label=name, marker="o", markersize=4, capsize=2,
        linewidth=1,
    )  # fmt: skip


def _changes(rows: Sequence[tuple[Any, ...]]) -> list[tuple[float, str]]:
    """When the environment became another one, and what it was from then on."""
    known: tuple[Any, ...] | None = None
    changes = []
    for row in sorted(rows, key=lambda row: float(row[0])):
        environment = row[4:]
        if known is not None and environment != known:
            changes.append((float(row[0]), _changed(known, environment)))
        known = environment
    return changes


def _mark(axes: Any, changes: Sequence[tuple[float, str]]) -> None:
    """A line for each change; those whose labels would cover each other have one together."""
    low, high = axes.get_xlim()  # days
    width = axes.bbox.width / axes.figure.dpi * 72
    apart = (high - low) * 86400 * _LABEL_POINTS / width
    labels: list[tuple[float, list[str]]] = []
    for at, text in changes:
        axes.axvline(datetime.fromtimestamp(at), color="0.4", linestyle=":", linewidth=1)
        if labels and at - labels[-1][0] < apart:
            labels[-1][1].append(text)
        else:
            labels.append((at, [text]))
    for at, texts in labels:
        axes.annotate(
            literal(_joined(texts)), (datetime.fromtimestamp(at), 1), rotation=90, fontsize=7,
            xycoords=("data", "axes fraction"), xytext=(-2, -4), textcoords="offset points",
            ha="right", va="top", color="0.3",
        )  # fmt: skip


def _joined(texts: Sequence[str]) -> str:
    """Changes as one label, each once."""
    different = list(dict.fromkeys(texts))
    named = "; ".join(different[:_MAX_CHANGES])
    more = len(different) - _MAX_CHANGES
    return shortened(named, _MAX_LETTERS) + (f" and {more:,} more" if more > 0 else "")


def _changed(before: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    """What is another one now."""
    framework, version, transformers, cpu, own = now
    texts = (
        f"{framework}", f"{framework} {version}", f"transformers {transformers}", f"{cpu}",
        f"nbbench {own}",
    )  # fmt: skip
    changed = [text for text, old, new in zip(texts, before, now, strict=True) if old != new]
    return ", ".join(changed)
