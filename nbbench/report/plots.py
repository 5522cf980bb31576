"""A report as plots, with Matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import NbbenchError
from ..plan.cases import Result, Status
from ..text import MIB
from ..worker.case import varying_axes

_MAX_SERIES = 10
"""More lines than that, and than there are colours, nobody can distinguish."""

_NAMES_INSIDE = 4
"""More series than that are named beside the plot, where they hide no line."""

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
        """Write it, in the format that the file's name ends with; ``options`` are ``savefig``'s."""
        self.figure.savefig(file, **options)

    def png(self, dpi: int = 100) -> bytes:
        """It as a PNG image."""
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=dpi)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def literal(text: str) -> str:
    """Text that Matplotlib draws as it is: a dollar sign would begin mathematics."""
    return text.replace("\\", "\u29f5").replace("$", r"\$")


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
    axes.set_yticks(range(len(differences)), [literal(label) for label, *_ in differences])
    axes.invert_yaxis()
    axes.set(xlabel="time ratio (below 1 is faster)", title="Comparison")
    return _finished(axes)


class Plots:
    """``report.plot``: each method draws on ``ax``, or on axes of its own, and returns a `Plot`.

    Raises `MissingPlots` where Matplotlib is not installed.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results

    def latency(self, ax: Any = None) -> Plot:
        """Median time of a call, with its 95 % interval, by length (or else by batch size).

        Cases that failed are crosses at the top, by their status.
        """
        axes = _axes(ax)
        by = "sequence_length" if _varies(self._results, "sequence_length") else "batch_size"
        _lines(axes, self._results, by, _milliseconds)
        axes.set(xlabel=_LABELS[by], ylabel="median time of a call (ms)", title="Latency")
        return _finished(axes)

    def memory(self, ax: Any = None) -> Plot:
        """Peak memory: as bars by what holds it, or as lines where there are many cases."""
        axes = _axes(ax)
        known = [r for r in self._results if _peak(r) is not None]
        if len(known) <= _MAX_BARS:
            _memory_bars(axes, known)
            axes.set(xlabel="memory at the peak (MiB)", title="Memory")
        else:
            by = "sequence_length" if _varies(known, "sequence_length") else "batch_size"
            _lines(axes, known, by, lambda r: (_peak(r), None))
            axes.set(xlabel=_LABELS[by], ylabel="peak memory (MiB)", title="Memory")
        return _finished(axes)

    def scaling(self, ax: Any = None) -> Plot:
        """Samples per second, with their interval, by batch size: how far batching pays."""
        axes = _axes(ax)
        _lines(axes, self._results, "batch_size", _samples_per_second)
        axes.set(xlabel=_LABELS["batch_size"], ylabel="samples per second", title="Scaling")
        return _finished(axes)

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


def _peak(result: Result) -> float | None:
    memory = result.outcome.memory
    return None if memory is None or memory.peak is None else memory.peak / MIB


def _lines(axes: Any, results: Sequence[Result], by: str, value: _Value) -> None:
    """One line for each series of cases that differ in ``by`` alone."""
    series: dict[str, list[Result]] = defaultdict(list)
    name_of = _namer(results, by)
    for result in results:
        series[name_of(result)].append(result)
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
            x = getattr(result.case, by)
            if result.outcome.status is not Status.OK and x is not None:
                status = result.outcome.status.value
                axes.plot(x, 0.97, "x", color=color, transform=axes.get_xaxis_transform())
                axes.annotate(
                    status, (x, 0.97), xycoords=axes.get_xaxis_transform(), fontsize=8,
                    xytext=(4, -10), textcoords="offset points", color=color,
                )  # fmt: skip
    values = sorted({getattr(r.case, by) for r in results} - {None})
    if len(values) > 1:
        axes.set_xscale("log", base=2)
    axes.set_xticks(values, [str(number) for number in values])
    if axes.get_legend_handles_labels()[0]:
        axes.set_yscale("log")
        _plain_ticks(axes)
    else:
        _say_nothing_was_measured(axes)
    axes.minorticks_off()


def _say_nothing_was_measured(axes: Any) -> None:
    axes.set_yticks([])
    axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")


def _plain_ticks(axes: Any) -> None:
    """Numbers as 0.5, 2, 30 rather than as powers, enough of them on a short axis, too."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _memory_bars(axes: Any, results: Sequence[Result]) -> None:
    """A bar a case: baseline, weights, and what the call needed on top."""
    if not results:
        _say_nothing_was_measured(axes)
        return
    names = [_namer(results, "")(r) for r in results]
    positions = list(range(len(results)))
    left = [0.0] * len(results)
    parts = {
        "baseline": "process before the model",
        "weights": "weights",
        "activations": "the call",
    }
    on_gpu = any(r.outcome.device.startswith("cuda") for r in results)
    if on_gpu:
        del parts["baseline"]  # a peak of the allocator's has none
    for number, (part, label) in enumerate(parts.items()):
        sizes = [(getattr(r.outcome.memory, part, None) or 0) / MIB for r in results]
        axes.barh(positions, sizes, left=left, label=label, color=f"C{number}")
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    axes.set_yticks(positions, names)
    axes.invert_yaxis()


def _namer(results: Sequence[Result], by: str) -> Callable[[Result], str]:
    """What distinguishes a case from the others, but for ``by``."""
    axes = [
        axis for axis in varying_axes(r.case for r in results) if axis.name not in ("model", by)
    ]

    def name_of(result: Result) -> str:
        texts = [axis.alone(result.case) for axis in axes]
        return literal(", ".join([result.case.model, *filter(None, texts)]))

    return name_of


def _varies(results: Sequence[Result], name: str) -> bool:
    return len({getattr(result.case, name) for result in results}) > 1


def _axes(given: Any) -> Any:
    if given is not None:
        return given
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPlots(
            'plots need Matplotlib; pip install "nbbench[plot]", or matplotlib itself'
        ) from None
    return Figure(figsize=(7, 4), layout="constrained").add_subplot()


def _finished(axes: Any) -> Plot:
    axes.grid(alpha=0.3)
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > _NAMES_INSIDE and axes.figure.get_layout_engine() is not None:
        axes.figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    elif handles:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 3}
        axes.legend(fontsize=8, frameon=False, **(below if axes.patches else {}))
    return Plot(axes)
