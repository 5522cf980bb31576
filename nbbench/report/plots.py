"""A report as plots, with Matplotlib (the extra ``plot``)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from typing import Any

from ..errors import ArgumentError
from ..plan.result import Result
from ..text import MIB, rounded
from ..worker.case import Status
from .drawing import (
    MAX_LABELS,
    MissingPlots,
    Plot,
    case_names,
    finished,
    literals,
    new_axes,
    say_nothing_was_measured,
    scale_values,
)
from .own_columns import NOTHING, Added
from .roofline_plot import draw_roofline
from .tables import begun_results
from .tradeoff_plot import draw_tradeoff
from .verdict import Verdict

_MAX_SERIES = 10
"""More lines than that, and than there are colours, nobody can distinguish."""

_TRENDS = EntryPoint("trends", "nbbench.history_database.trends:draw_trends", "nbbench.plots")
"""What draws the history, which is above this; found by name, as backends are."""

DPI_IN_PAGE = 90
_MIN_POINTS = 3
"""Fewer cases make no front worth a picture in a page."""

_MAX_POINTS = 500
"""More of them take long to draw, and cover each other."""

_MAX_RATIOS = 40
"""Lines of a forest plot that can be read."""

_MAX_BARS = 20
"""Cases whose memory is shown as bars by what holds it; more are shown as lines."""


_VERDICT_COLORS = {Verdict.FASTER: "C2", Verdict.SLOWER: "C3"}
"""Of other verdicts nobody shall think that they are a difference."""

_Ratio = tuple[str, float, float, float, Verdict]
"""A label, the ratio, the lower and the upper end of its interval, and the verdict."""


def forest(differences: Sequence[_Ratio], ax: Any = None) -> Plot:
    """Ratios with their intervals, a line each, about 1, in the colours of their verdicts.

    Of more than there is room for, those whose ratios are the furthest from 1, in their order.
    """
    axes, title = new_axes(ax), "Comparison"
    if len(differences) > _MAX_RATIOS:
        title += f"\nthe {_MAX_RATIOS} of {len(differences):,} that differ most"
        far = sorted(differences, key=lambda row: -abs(math.log(row[1])))[:_MAX_RATIOS]
        least = min(abs(math.log(row[1])) for row in far)
        differences = [row for row in differences if abs(math.log(row[1])) >= least][:_MAX_RATIOS]
    if ax is None:
        axes.figure.set_figheight(max(4.0, 1.0 + 0.2 * len(differences)))
    for position, (_, ratio, low, high, verdict) in enumerate(differences):
        color = _VERDICT_COLORS.get(verdict, "0.4")
        axes.errorbar(
            ratio, position, xerr=[[ratio - low], [high - ratio]], color=color, marker="o",
            markersize=4, capsize=3,
        )  # fmt: skip
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_yticks(range(len(differences)), literals([label for label, *_ in differences]))
    axes.invert_yaxis()
    axes.set(xlabel="time ratio (below 1 is faster)", title=title)
    return finished(axes, ax is None)


class Plots:
    """``report.plot``: each method draws on ``ax``, or on axes of its own, and returns a `Plot`.

    Raises `MissingPlots` where Matplotlib is not installed.
    """

    def __init__(self, results: Sequence[Result], added: Added = NOTHING) -> None:
        self._results, self._added = begun_results(results), added

    def latency(self, ax: Any = None) -> Plot:
        """Median time of a call, with its 95 % interval, by length (or else by batch size).

        Cases that failed are crosses at the top, by their status.
        """
        axes = new_axes(ax)
        by = "sequence_length" if _varies(self._results, "sequence_length") else "batch_size"
        _lines(axes, self._results, by, _milliseconds)
        _label(axes, _LABELS[by], "median time of a call", "ms", "Latency")
        return finished(axes, ax is None)

    def memory(self, ax: Any = None) -> Plot:
        """What the model adds to memory at the peak: bars, or lines where there are many cases.

        On a CPU the process holds much before it has a model, Python and the framework, which would
        make all models look alike. A note says how much; behind a bar stands the whole peak.
        """
        axes = new_axes(ax)
        known = [r for r in self._results if _peak(r) is not None]
        if len(known) <= _MAX_BARS:
            _memory_bars(axes, known)
            axes.set(xlabel="memory that the model adds (MiB)")
        else:
            by = "sequence_length" if _varies(known, "sequence_length") else "batch_size"
            _lines(axes, known, by, lambda r: (_above_baseline(r), None))
            _label(axes, _LABELS[by], "memory that the model adds", "MiB", "")
        axes.set_title("\n".join(["Memory", *_without_baseline(known)]), fontsize=10)
        return finished(axes, ax is None)

    def scaling(self, ax: Any = None) -> Plot:
        """Samples per second, with their interval, by batch size: how far batching pays."""
        axes = new_axes(ax)
        _lines(axes, self._results, "batch_size", _samples_per_second)
        _label(axes, _LABELS["batch_size"], "samples per second", "", "Scaling")
        return finished(axes, ax is None)

    def generation(self, ax: Any = None) -> Plot:
        """Tokens made in a second after the first one, with their interval, by prompt length."""
        made = [result for result in self._results if result.case.mode == "generation"]
        if not any(_decoded_per_second(result)[0] for result in made):
            what = "no time between tokens was measured" if made else "no case generates"
            raise ArgumentError(
                f"{what} in this report; measure with generation=True, and new_tokens above 1"
            )
        axes = new_axes(ax)
        _lines(axes, made, "sequence_length", _decoded_per_second)
        _label(axes, "prompt length (tokens)", "tokens per second", "", "Generation")
        return finished(axes, ax is None)

    def tradeoff(self, x: str = "latency", y: str = "memory", ax: Any = None) -> Plot:
        """What one quantity costs in another, a point a case, with a line along the front.

        The front are the cases that no other one beats; ``x`` and ``y`` are quantities of
        ``report.best``. A point that has no room for its label has none, and a note counts them.
        """
        return draw_tradeoff(self._results, self._added, x, y, ax)

    def roofline(self, ax: Any = None) -> Plot:
        """Floating point operations in a second by those for each byte moved, a point a case.

        With ``ceilings=True`` the roofs are drawn, too: what memory, and then arithmetic, allows.
        """
        return draw_roofline(self._results, ax)

    def history(self, ax: Any = None) -> Plot:
        """The time of each case whenever it was measured here, with changes of versions marked."""
        plot: Plot = _TRENDS.load()(self._results, ax)
        return plot

    def tradeoff_pngs(self) -> list[bytes]:
        """The trade-off as a PNG image, for a page; none where there is nothing to trade off."""
        both = [r for r in self._results if r.outcome.timing is not None and _peak(r) is not None]
        if not _MIN_POINTS <= len(both) <= _MAX_POINTS:
            return []
        try:
            return [self.tradeoff().png(DPI_IN_PAGE)]
        except MissingPlots:
            return []

    def pngs(self) -> list[bytes]:
        """The latency and the memory plots as PNG images, for a page that can do without.

        None of what was not measured, and none at all where Matplotlib is not installed.
        """
        wanted = (
            (self.latency, any(r.outcome.timing for r in self._results)),
            (self.memory, any(_peak(r) is not None for r in self._results)),
        )
        try:
            return [draw().png(DPI_IN_PAGE) for draw, measured in wanted if measured]
        except MissingPlots:
            return []


_LABELS = {"sequence_length": "sequence length (tokens)", "batch_size": "batch size (samples)"}

_Value = Callable[[Result], tuple["float | None", "tuple[float, float] | None"]]
"""What is drawn of a result, and the ends of its interval."""


def _milliseconds(result: Result) -> tuple[float | None, tuple[float, float] | None]:
    timing = result.outcome.timing
    if timing is None:
        return None, None
    ends = None
    if timing.ci_low_s is not None and timing.ci_high_s is not None:
        ends = (timing.ci_low_s * 1e3, timing.ci_high_s * 1e3)
    return timing.median_s * 1e3, ends


def _samples_per_second(result: Result) -> tuple[float | None, tuple[float, float] | None]:
    median, ends = _milliseconds(result)
    size = result.case.batch_size * 1e3
    if median is None:
        return None, None
    return size / median, None if ends is None else (size / ends[1], size / ends[0])


def _decoded_per_second(result: Result) -> tuple[float | None, tuple[float, float] | None]:
    timing = result.outcome.timing
    each = None if timing is None or timing.tokens is None else timing.tokens.each
    if each is None:
        return None, None
    size = result.case.batch_size
    ends = None
    if each.ci_low_s is not None and each.ci_high_s is not None:
        ends = (size / each.ci_high_s, size / each.ci_low_s)
    return size / each.median_s, ends


def _peak(result: Result) -> float | None:
    memory = result.outcome.memory
    return None if memory is None or memory.peak is None else memory.peak / MIB


def _baseline(result: Result) -> float:
    """MiB of the process before the model, as far as they are a part of the peak.

    A GPU's peak is that of the allocator, which has none.
    """
    memory = result.outcome.memory
    if memory is None or memory.baseline is None or not result.outcome.device.startswith("cpu"):
        return 0.0
    return memory.baseline / MIB


def _above_baseline(result: Result) -> float | None:
    """MiB of the peak above the baseline; None where that is not known to be any."""
    peak = _peak(result)
    return None if peak is None or peak <= _baseline(result) else peak - _baseline(result)


def _part(name: str) -> Callable[[Result], float | None]:
    """What gives MiB of a part of the peak; None where that is not known."""

    def size(result: Result) -> float | None:
        found = getattr(result.outcome.memory, name, None)
        return None if found is None else found / MIB

    return size


def _undivided(result: Result) -> float | None:
    """MiB of the peak above the baseline where its parts are not known; else None."""
    memory = result.outcome.memory
    divided = memory is None or memory.weights is not None
    return None if divided else _above_baseline(result)


_PARTS = {
    "weights": _part("weights"),
    "the call": _part("activations"),
    "weights and the call": _undivided,
}
"""What a bar of memory is made of, by label."""


def _without_baseline(results: Sequence[Result]) -> list[str]:
    """A line on what is not drawn: what the process holds without a model."""
    held = sorted(filter(None, map(_baseline, results)))
    if not held:
        return []
    low, high = (rounded(end) for end in (held[0], held[-1]))
    return [f"beside {low if low == high else f'{low} to {high}'} MiB of Python and libraries"]


def _label(axes: Any, x: str, y: str, unit: str, title: str) -> None:
    """Name the axes; a logarithmic one says so."""
    scale = "logarithmic" if axes.get_yscale() == "log" else ""
    inside = ", ".join(filter(None, [unit, scale]))
    axes.set(xlabel=x, ylabel=f"{y} ({inside})" if inside else y, title=title)


def _lines(axes: Any, results: Sequence[Result], by: str, value: _Value) -> None:
    """One line for each series of cases that differ in ``by`` alone."""
    series: dict[str, list[Result]] = defaultdict(list)
    for name, result in zip(case_names(results, by), results, strict=True):
        series[name].append(result)
    drawn_series = list(series.items())[:_MAX_SERIES]
    if len(series) > len(drawn_series):
        text = f"the first {len(drawn_series)} of {len(series)} series"
        axes.text(0.99, 0.02, text, transform=axes.transAxes, ha="right", fontsize=8)
    for number, (name, members) in enumerate(drawn_series):
        color = f"C{number}"
        points = [(getattr(r.case, by), *value(r)) for r in members]
        drawn = sorted((x, y, ends) for x, y, ends in points if x is not None and y is not None)
        for x, y, _ in points:
            if x is None and y is not None:  # an image has no length
                axes.axhline(y, label=name, color=color, linestyle="dashed", linewidth=1.5)
        if drawn:
            xs, ys, ends = zip(*drawn, strict=True)
            below = [max(y - e[0], 0) if e else 0 for y, e in zip(ys, ends, strict=True)]
            above = [max(e[1] - y, 0) if e else 0 for y, e in zip(ys, ends, strict=True)]
            axes.errorbar(
                xs, ys, yerr=[below, above], label=name, color=color, marker="o", markersize=4,
                capsize=3, linewidth=1.5,
            )  # fmt: skip
        for result in members:
            if result.outcome.status is not Status.OK:
                _cross(axes, getattr(result.case, by), result.outcome.status.value, color)
    values = sorted({getattr(r.case, by) for r in results} - {None})
    if len(values) > 1:
        axes.set_xscale("log", base=2)
    named = _apart(values)
    axes.set_xticks(named, [str(number) for number in named])
    if axes.get_legend_handles_labels()[0]:
        scale_values(axes, [y for r in results for y in [value(r)[0]] if y is not None])
    else:
        say_nothing_was_measured(axes)
    axes.xaxis.minorticks_off()


def _cross(axes: Any, x: int | None, status: str, color: str) -> None:
    """Mark a case that failed, at the top."""
    if x is None:  # an image has no length
        return
    axes.plot(x, 0.97, "x", color=color, transform=axes.get_xaxis_transform())
    axes.annotate(
        status, (x, 0.97), xycoords=axes.get_xaxis_transform(), fontsize=8, ha="right",
        xytext=(-4, -10), textcoords="offset points", color=color,
    )  # fmt: skip


def _apart(values: Sequence[int]) -> list[int]:
    """Those of the values, in order, that have room for their label on a logarithmic axis."""
    if len(values) <= MAX_LABELS:
        return list(values)
    step = math.log(values[-1] / values[0]) / MAX_LABELS
    apart = [values[0]]
    for value in values:
        if math.log(value / apart[-1]) >= step:
            apart.append(value)
    return apart


def _memory_bars(axes: Any, results: Sequence[Result]) -> None:
    """A bar a case: weights, and what the call needed on top; behind it the whole peak.

    Where these are not told apart, as of an exported model, what both are together.
    """
    if not results:
        say_nothing_was_measured(axes)
        return
    names = case_names(results, "")
    positions = list(range(len(results)))
    left = [0.0] * len(results)
    for number, (label, part) in enumerate(_PARTS.items()):
        sizes = [part(r) or 0.0 for r in results]
        if number == len(_PARTS) - 1 and not any(sizes):
            continue
        axes.barh(positions, sizes, left=left, label=label, color=f"C{number}")
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    for position, end, result in zip(positions, left, results, strict=True):
        axes.annotate(
            f"peak {_peak(result):,.0f}", (end, position), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8, color="0.4",
        )  # fmt: skip
    axes.set_xlim(0, max(1.18 * max(left), 1e-3))
    axes.set_yticks(positions, names)
    axes.invert_yaxis()


def _varies(results: Sequence[Result], name: str) -> bool:
    return len({getattr(result.case, name) for result in results}) > 1
