"""Cases over time, as a plot, to see whether a model is as fast here as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..errors import ArgumentError
from ..plan.result import Result
from ..report.drawing import Plot, case_names, finished, literal, new_axes, scale_values
from ..text import counted
from .database import needed_history_file
from .kept_case import WHEN, json_value, read_rows

_MAX_CASES = 10

_POINTS = (
    "SELECT cases.ended, median_s, CASE typeof(ci_low_s) WHEN 'real' THEN ci_low_s END,"
    " CASE typeof(ci_high_s) WHEN 'real' THEN ci_high_s END,"
    f" {json_value('environments.content', 'values.framework')},"
    f" {json_value('environments.content', 'values.framework_version')},"
    f" {json_value('environments.content', 'values.transformers_version')},"
    f" {json_value('runs.machine', 'cpu')}, {json_value('runs.machine', 'nbbench_version')}"
    " FROM cases JOIN runs ON runs.id = cases.run"
    " LEFT JOIN environments ON environments.id = cases.environment_id"
    f" WHERE cases.key = ? AND typeof(median_s) = 'real' AND {WHEN} ORDER BY cases.ended, cases.id"
)


def draw_trends(results: Sequence[Result], ax: Any = None) -> Plot:
    """The time of each of these cases whenever it was measured, with its interval.

    A dotted line marks where versions or the processor changed, and what they are from then on.
    Raises `ArgumentError` where the history has none of the cases, and `OutputError` where it is
    switched off.
    """
    shown = list({result.case.key: result for result in results}.values())
    points = _points([result.case.key for result in shown[:_MAX_CASES]])
    if not any(points):
        raise ArgumentError("the history has none of these cases; measure them first")
    axes = new_axes(ax)
    names = case_names(shown, "")
    for name, rows in zip(names, points, strict=False):
        if rows:
            _draw(axes, name, rows)
    _mark_changes(axes, [row for rows in points for row in rows])
    scale_values(axes, [1e3 * row[1] for rows in points for row in rows])
    title = "Over time"
    if len(shown) > _MAX_CASES:
        title += f"\n{counted(len(shown) - _MAX_CASES, 'more case')} not shown"
    axes.set(ylabel="median time of a call (ms)", title=title)
    _date_axis(axes, [row[0] for rows in points for row in rows])
    return finished(axes, ax is None)


def _points(keys: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    file = needed_history_file()
    return [read_rows(file, _POINTS, (key,)) for key in keys]


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


def _mark_changes(axes: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Mark where the environment became another one."""
    known: tuple[Any, ...] | None = None
    for row in sorted(rows, key=lambda row: float(row[0])):
        environment = row[4:]
        if known is not None and environment != known:
            moment = datetime.fromtimestamp(row[0])
            axes.axvline(moment, color="0.4", linestyle=":", linewidth=1)
            axes.annotate(
                literal(_changed(known, environment)), (moment, 1), rotation=90, fontsize=7,
                xycoords=("data", "axes fraction"), xytext=(-2, -4), textcoords="offset points",
                ha="right", va="top", color="0.3",
            )  # fmt: skip
        known = environment


def _changed(before: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    """What is another one now."""
    framework, version, transformers, cpu, own = now
    texts = (
        f"{framework}", f"{framework} {version}", f"transformers {transformers}", f"{cpu}",
        f"nbbench {own}",
    )  # fmt: skip
    changed = [text for text, old, new in zip(texts, before, now, strict=True) if old != new]
    return ", ".join(changed)
