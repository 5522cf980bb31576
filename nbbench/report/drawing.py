"""Drawing with Matplotlib (the extra ``plot``): axes, their scales, and the finished plot."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, NbbenchError, OutputError
from ..paths import as_path
from ..plan.result import Result
from ..text import one_line, quoted
from ..worker.case import varying_axes
from .atomic_write import check_writable, write_by
from .layout import short_labels

_NAMES_INSIDE = 4
"""More series than that are named beside the plot, where they hide no line."""

_MAX_LABEL = 32
"""Longer names of models lose their middle, else they leave no room for what is drawn."""

MAX_LABELS = 12
"""Numbers beside an axis."""

_MIN_TICKS = 4
_MIN_RATIO = 3
"""Between the smallest and the largest value on a logarithmic axis."""

_SUBS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 6, 8))
"""Numbers between two powers of ten that are written, from few to many."""


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
        if not path.suffix and not options.get("format"):  # Matplotlib adds its usual one
            usual = self.figure.canvas.get_default_filetype()
            path = path.with_name(f"{path.name.rstrip('.')}.{usual}")
        options["format"] = options.get("format") or path.suffix[1:]
        try:
            write_by(path, lambda part: self.figure.savefig(part, **options))
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


def say_nothing_was_measured(axes: Any) -> None:
    """Write it where the plot would be."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")


def scale_values(axes: Any, values: Sequence[float], side: str = "y") -> None:
    """A logarithmic axis that looks like one, or a plain one from zero where values are alike.

    Numbers are written as 0.5, 2, 30 rather than as powers; four of them at least, and lines
    between them that grow narrower, so that the axis does not read as a plain one. ``side`` is
    "x" or "y".
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.yaxis if side == "y" else axes.xaxis
    ends = {"y": (axes.get_ylim, axes.set_ylim), "x": (axes.get_xlim, axes.set_xlim)}
    get_ends, set_ends = ends[side]
    if min(values) <= 0 or max(values) < _MIN_RATIO * min(values):
        drawn = [0.0, *filter(math.isfinite, getattr(axes.dataLim, f"interval{side}"))]
        top = max(1.25 * max(0, *values) or 1, 1.05 * max(drawn))  # the ends of intervals, too
        set_ends(min(0, 1.25 * min(values), 1.05 * min(drawn)), top)
        return
    axes.set(**{f"{side}scale": "log"})
    low, high = get_ends()
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for subs in _SUBS:
        if sum(low <= sub * 10.0**ten <= high for ten in tens for sub in subs) >= _MIN_TICKS:
            break
    axis.set_major_locator(LogLocator(subs=subs, numticks=MAX_LABELS))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    fine = [number / 5 for number in range(5, 50)] if high < 20 * low else range(1, 10)
    axis.set_minor_locator(LogLocator(subs=fine, numticks=100))
    axis.set_minor_formatter(NullFormatter())
    axes.grid(which="minor", axis=side, alpha=0.12)


def case_names(results: Sequence[Result], by: str) -> list[str]:
    """What distinguishes each case from the others, but for ``by``."""
    axes = [
        axis for axis in varying_axes(r.case for r in results) if axis.name not in ("model", by)
    ]
    models = short_labels([one_line(result.case.model) for result in results], _MAX_LABEL)
    of_nodes = len({result.outcome.node for result in results}) > 1
    return [
        literal(
            ", ".join(
                [
                    model,
                    *filter(None, (axis.alone(result.case) for axis in axes)),
                    *filter(None, [one_line(result.outcome.node)] if of_nodes else []),
                ]
            )
        )
        for result in results
        for model in [models[one_line(result.case.model)]]
    ]


def new_axes(given: Any) -> Any:
    """The axes that a user gives, or those of a figure of our own.

    Raises `ArgumentError` for what are none, and `MissingPlots`.
    """
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


def finished(axes: Any, own_figure: bool) -> Plot:
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
