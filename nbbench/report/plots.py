"""A report as plots, with Matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, NbbenchError, OutputError
from ..plan.cases import Result, Status
from ..text import MIB, one_line, quoted, rounded
from ..worker.case import varying_axes
from .atomic_write import as_path, cannot_write, check_writable
from .layout import short_labels
from .tables import begun_results

_MAX_SERIES = 10
"""More lines than that, and than there are colours, nobody can distinguish."""

_NAMES_INSIDE = 4
"""More series than that are named beside the plot, where they hide no line."""

_MAX_LABEL = 32
"""Longer names of models lose their middle, else they leave no room for what is drawn."""

_MAX_LABELS = 12
"""Numbers beside an axis."""

_MIN_TICKS = 4
_MIN_RATIO = 3
"""Between the smallest and the largest value on a logarithmic axis."""

_SUBS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 6, 8))
"""Numbers between two powers of ten that are written, from few to many."""

_DPI_IN_PAGE = 90
_MAX_BARS = 20
"""Cases whose memory is shown as bars by what holds it; more are shown as lines."""


class MissingPlots(NbbenchError, ImportError):
    """Matplotlib is not installed."""


class Plot:
    """What was drawn, shown by a notebook: ``axes`` and ``figure`` are Matplotlib's."""

    def __init__(self, axes: Any) -> None:
        self.axes = axes
        self.figure = axes.figure

    def save(self, file: str | Path, **options: Any) -> None:
        """Write it, in the format that the file's name ends with; ``options`` are ``savefig``'s.

        Raises `OutputError`.
        """
        path = as_path(file)
        check_writable(path, folder=False)
        try:
            self.figure.savefig(path, **options)
        except OSError as error:
            raise cannot_write(path, error) from None
        except ValueError as error:  # a format that Matplotlib does not know, which says so
            raise OutputError(f"{quoted(str(path))} cannot be written: {error}") from None

    def png(self, dpi: int = 100) -> bytes:
        """It as a PNG image."""
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=dpi)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def literal(text: str) -> str:
    """Text that Matplotlib draws as it is: a dollar sign would begin mathematics.

    And an underscore at its beginning would keep a series out of the legend.
    """
    text = one_line(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def literals(labels: Sequence[str]) -> list[str]:
    """Labels short enough to leave room for what is drawn, and each as it is."""
    short = short_labels([one_line(label) for label in labels], _MAX_LABEL)
    return [literal(short[one_line(label)]) for label in labels]


def forest(differences: Sequence[tuple[str, float, float, float]], ax: Any = None) -> Plot:
    """Ratios with their intervals, a line each, about 1; labels, ratios, lower and upper ends."""
    axes = _axes(ax)
    for position, (_, ratio, low, high) in enumerate(differences):
        color = "C2" if high < 1 else "C3" if low > 1 else "0.4"
        axes.errorbar(
            ratio, position, xerr=[[ratio - low], [high - ratio]], color=color, marker="o",
            markersize=4, capsize=3,
        )  # fmt: skip
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_yticks(range(len(differences)), literals([label for label, *_ in differences]))
    axes.invert_yaxis()
    axes.set(xlabel="time ratio (below 1 is faster)", title="Comparison")
    return _finished(axes, ax is None)


class Plots:
    """``report.plot``: each method draws on ``ax``, or on axes of its own, and returns a `Plot`.

    Raises `MissingPlots` where Matplotlib is not installed.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = begun_results(results)

    def latency(self, ax: Any = None) -> Plot:
        """Median time of a call, with its 95 % interval, by length (or else by batch size).

        Cases that failed are crosses at the top, by their status.
        """
        axes = _axes(ax)
        by = "sequence_length" if _varies(self._results, "sequence_length") else "batch_size"
        _lines(axes, self._results, by, _milliseconds)
        _label(axes, _LABELS[by], "median time of a call", "ms", "Latency")
        return _finished(axes, ax is None)

    def memory(self, ax: Any = None) -> Plot:
        """What the model adds to memory at the peak: bars, or lines where there are many cases.

        On a CPU the process holds much before it has a model, Python and the framework, which would
        make all models look alike. A note says how much; behind a bar stands the whole peak.
        """
        axes = _axes(ax)
        known = [r for r in self._results if _peak(r) is not None]
        if len(known) <= _MAX_BARS:
            _memory_bars(axes, known)
            axes.set(xlabel="memory that the model adds (MiB)")
        else:
            by = "sequence_length" if _varies(known, "sequence_length") else "batch_size"
            _lines(axes, known, by, lambda r: (_added(r), None))
            _label(axes, _LABELS[by], "memory that the model adds", "MiB", "")
        axes.set_title("\n".join(["Memory", *_without_baseline(known)]), fontsize=10)
        return _finished(axes, ax is None)

    def scaling(self, ax: Any = None) -> Plot:
        """Samples per second, with their interval, by batch size: how far batching pays."""
        axes = _axes(ax)
        _lines(axes, self._results, "batch_size", _samples_per_second)
        _label(axes, _LABELS["batch_size"], "samples per second", "", "Scaling")
        return _finished(axes, ax is None)

    def generation(self, ax: Any = None) -> Plot:
        """Tokens made in a second after the first one, with their interval, by prompt length."""
        made = [result for result in self._results if result.case.mode == "generation"]
        if not any(_decoded_per_second(result)[0] for result in made):
            what = "no time between tokens was measured" if made else "no case generates"
            raise ArgumentError(
                f"{what} in this report; measure with generation=True, and new_tokens above 1"
            )
        axes = _axes(ax)
        _lines(axes, made, "sequence_length", _decoded_per_second)
        _label(axes, "prompt length (tokens)", "tokens per second", "", "Generation")
        return _finished(axes, ax is None)

    def pngs(self) -> list[bytes]:
        """The latency and the memory plots as PNG images, for a page that can do without.

        None of what was not measured, and none at all where Matplotlib is not installed.
        """
        wanted = (
            (self.latency, any(r.outcome.timing for r in self._results)),
            (self.memory, any(_peak(r) is not None for r in self._results)),
        )
        try:
            return [draw().png(_DPI_IN_PAGE) for draw, measured in wanted if measured]
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


def _added(result: Result) -> float | None:
    """MiB of the peak above the baseline; None where that is not known to be any."""
    peak = _peak(result)
    return None if peak is None or peak <= _baseline(result) else peak - _baseline(result)


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
    for name, result in zip(_names(results, by), results, strict=True):
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
        _scale_values(axes, [y for r in results for y in [value(r)[0]] if y is not None])
    else:
        _say_nothing_was_measured(axes)
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
    if len(values) <= _MAX_LABELS:
        return list(values)
    step = math.log(values[-1] / values[0]) / _MAX_LABELS
    apart = [values[0]]
    for value in values:
        if math.log(value / apart[-1]) >= step:
            apart.append(value)
    return apart


def _say_nothing_was_measured(axes: Any) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")


def _scale_values(axes: Any, values: Sequence[float]) -> None:
    """A logarithmic axis that looks like one, or a plain one from zero where values are alike.

    Numbers are written as 0.5, 2, 30 rather than as powers; four of them at least, and lines
    between them that grow narrower, so that the axis does not read as a plain one.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if max(values) < _MIN_RATIO * min(values):
        axes.set_ylim(0, 1.25 * max(values))
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for subs in _SUBS:
        if sum(low <= sub * 10.0**ten <= high for ten in tens for sub in subs) >= _MIN_TICKS:
            break
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=_MAX_LABELS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    fine = [number / 5 for number in range(5, 50)] if high < 20 * low else range(1, 10)
    axes.yaxis.set_minor_locator(LogLocator(subs=fine, numticks=100))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="minor", axis="y", alpha=0.12)


def _memory_bars(axes: Any, results: Sequence[Result]) -> None:
    """A bar a case: weights, and what the call needed on top; behind it the whole peak."""
    if not results:
        _say_nothing_was_measured(axes)
        return
    names = _names(results, "")
    positions = list(range(len(results)))
    left = [0.0] * len(results)
    for number, (part, label) in enumerate(
        {"weights": "weights", "activations": "the call"}.items()
    ):
        sizes = [(getattr(r.outcome.memory, part, None) or 0) / MIB for r in results]
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


def _names(results: Sequence[Result], by: str) -> list[str]:
    """What distinguishes each case from the others, but for ``by``."""
    axes = [
        axis for axis in varying_axes(r.case for r in results) if axis.name not in ("model", by)
    ]
    models = short_labels([one_line(result.case.model) for result in results], _MAX_LABEL)
    return [
        literal(", ".join([model, *filter(None, (axis.alone(result.case) for axis in axes))]))
        for result in results
        for model in [models[one_line(result.case.model)]]
    ]


def _varies(results: Sequence[Result], name: str) -> bool:
    return len({getattr(result.case, name) for result in results}) > 1


def _axes(given: Any) -> Any:
    if callable(getattr(given, "errorbar", None)):
        return given
    if given is not None:
        raise ArgumentError(f"ax: {quoted(given)} is no Axes of Matplotlib; give one, or omit it")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPlots(
            'plots need Matplotlib; pip install "nbbench[plot]", or matplotlib itself'
        ) from None
    return Figure(figsize=(7, 4), layout="constrained").add_subplot()


def _finished(axes: Any, own_figure: bool) -> Plot:
    """The plot with its grid and legend; a figure of our own grows by a legend of long names."""
    axes.grid(alpha=0.3, axis="x" if axes.patches else "both")  # no line through a bar's text
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    few = len(handles) <= _NAMES_INSIDE and longest <= _MAX_LABEL
    if not few and not axes.patches and axes.figure.get_layout_engine() is not None:
        beside = longest <= _MAX_LABEL
        if own_figure and not beside:
            axes.figure.set_figheight(axes.figure.get_figheight() + 0.19 * len(handles))
        where = "outside right upper" if beside else "outside lower center"
        axes.figure.legend(fontsize=8, frameon=False, loc=where)
    elif handles:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 3}
        axes.legend(fontsize=8, frameon=False, **(below if axes.patches else {}))
    return Plot(axes)
