"""A trade-off as a plot: a point a case, the front as a line, labels that do not overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError
from ..plan.cases import Result, varying_axes
from ..text import MIB, counted
from .best import pareto
from .budget import Budget
from .drawing import Plot, finished, literal, literals, new_axes, scale_values
from .estimates import Estimate
from .own_columns import Added

_UNITS = {
    "latency": ("time of a call", "ms", 1e-3),
    "ttft": ("time to the first token", "ms", 1e-3),
    "tpot": ("time of each token after it", "ms", 1e-3),
    "memory": ("peak memory", "MiB", MIB),
    "throughput": ("samples per second", "", 1.0),
    "decode_tokens_per_s": ("decoded tokens per second", "", 1.0),
}
"""What an axis is named, its unit, and what a value is divided by."""


@dataclass(frozen=True)
class _Point:
    """A case's point, in the units of the axes."""

    across: Estimate
    up: Estimate
    choice: str

    @property
    def at(self) -> tuple[float, float]:
        """Its middle."""
        return self.across.value, self.up.value

    @property
    def whisker(self) -> list[tuple[float, float]]:
        """The ends of its horizontal interval."""
        return [(self.across.low, self.up.value), (self.across.high, self.up.value)]


_SIZE = 8
_POINT_PX = 5
"""Pixels about a point that no label covers."""

_DISTANCES = (7, 16, 28)
"""Points of type between a label and its point; beyond the first a thin line joins the two."""

_MAX_TRIED = 60
"""Labels that are tried: more would not find room in a plot."""


def draw_tradeoff(results: Sequence[Result], added: Added, x: str, y: str, ax: Any = None) -> Plot:
    """Draw ``y`` over ``x``; raises `ArgumentError` for what is no quantity, or not measured."""
    if x == y:
        raise ArgumentError(f"x and y are both {x}; give two quantities, like latency and memory")
    front = pareto(results, added, (x, y), Budget(""))
    every = _measured(results, front.quantities)
    chosen = {id(row.result): row.choice for row in front}
    axes = new_axes(ax)
    points: list[_Point] = []
    for result, estimates in every:
        across, up = (
            estimate.times(1 / _axis(name)[2])
            for name, estimate in zip((x, y), estimates, strict=True)
        )
        points.append(_Point(across, up, chosen.get(id(result), "")))
    for choice in ("", "tie", "front"):
        _draw_points(axes, [point for point in points if point.choice == choice], choice)
    line = sorted(point.at for point in points if point.choice == "front")
    axes.plot(*zip(*line, strict=True), color="C0", linewidth=1.2, alpha=0.6, zorder=1)
    for side, values in (("x", [p.at[0] for p in points]), ("y", [p.at[1] for p in points])):
        scale_values(axes, values, side)
    axes.set(xlabel=_label(axes, x, "x"), ylabel=_label(axes, y, "y"), title=_title())
    plot = finished(axes, ax is None)
    _place_labels(axes, points, literals(_labels([result for result, _ in every])))
    return plot


def _measured(
    results: Sequence[Result], quantities: Sequence[Any]
) -> list[tuple[Result, tuple[Estimate, ...]]]:
    """The results that have both quantities, with them."""
    found = []
    for result in results:
        estimates = tuple(each.estimate(result) for each in quantities)
        if result.outcome.status.value == "ok" and None not in estimates:
            found.append((result, tuple(each for each in estimates if each is not None)))
    return found


def _axis(name: str) -> tuple[str, str, float]:
    return _UNITS.get(name, (literal(name), "", 1.0))


def _label(axes: Any, name: str, side: str) -> str:
    text, unit, _ = _axis(name)
    is_log = (axes.get_xscale() if side == "x" else axes.get_yscale()) == "log"
    inside = ", ".join(filter(None, [unit, "logarithmic" if is_log else ""]))
    return f"{text} ({inside})" if inside else text


def _title(unlabelled: int = 0) -> str:
    """The title; it has as many lines whatever is found out later, so that nothing moves."""
    note = f"; {counted(unlabelled, 'point')} without a label" if unlabelled else ""
    return f"Trade-off\nalong the line: cases that no other one beats{note}"


def _draw_points(axes: Any, points: Sequence[_Point], choice: str) -> None:
    """Points of one choice, with their intervals along the axis."""
    if not points:
        return
    color = "C0" if choice else "0.55"
    across = [point.across for point in points]
    axes.errorbar(
        [point.at[0] for point in points], [point.at[1] for point in points],
        xerr=[[e.value - e.low for e in across], [e.high - e.value for e in across]],
        color=color, marker="o", markersize=5, capsize=2, linestyle="none", elinewidth=0.8,
        markerfacecolor="white" if choice == "tie" else color, zorder=2,
    )  # fmt: skip


def _labels(results: Sequence[Result]) -> list[str]:
    """What distinguishes each case from the others; the model where nothing does."""
    axes = varying_axes(result.case for result in results)
    if not axes:
        return [result.case.model for result in results]
    return [
        ", ".join(filter(None, (axis.alone(result.case) for axis in axes))) or result.case.model
        for result in results
    ]


def _place_labels(axes: Any, points: Sequence[_Point], texts: list[str]) -> None:
    """Label the front first; a label goes where it covers neither a label nor a point."""
    from matplotlib.transforms import Bbox

    axes.title.set_fontsize(9)
    figure = getattr(axes.figure, "figure", axes.figure)  # of a subfigure, the whole one
    figure.draw_without_rendering()  # which sets where everything is, and how large texts are
    frame = axes.get_window_extent()
    taken = [Bbox(axes.transData.transform(each.whisker)).padded(_POINT_PX) for each in points]
    order = sorted(range(len(points)), key=lambda number: points[number].choice != "front")
    unlabelled = len(points)
    for number in order[:_MAX_TRIED]:
        probe = axes.text(0, 0, texts[number], fontsize=_SIZE, transform=axes.transAxes)
        size = probe.get_window_extent()
        probe.remove()
        for offset in _offsets():
            at = axes.transData.transform(points[number].at)
            box = _box(at, size, figure.dpi / 72, *offset)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                _annotate(axes, texts[number], points[number].at, *offset)
                taken.append(box)
                unlabelled -= 1
                break
    axes.set_title(_title(unlabelled), fontsize=9)


def _box(at: Any, size: Any, pixels: float, dx: int, dy: int, across: str, up: str) -> Any:
    """Where a label of this size would stand, in pixels, with a margin of one."""
    from matplotlib.transforms import Bbox

    left = at[0] + dx * pixels - {"left": 0, "center": 0.5, "right": 1}[across] * size.width
    bottom = at[1] + dy * pixels - {"bottom": 0, "center": 0.5, "top": 1}[up] * size.height
    return Bbox.from_bounds(left, bottom, size.width, size.height).padded(1)


def _annotate(
    axes: Any, text: str, point: tuple[float, float], dx: int, dy: int, across: str, up: str
) -> None:
    """Write a label at a distance from its point; a thin line joins the two where it is far."""
    far = max(abs(dx), abs(dy)) > _DISTANCES[0]
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.6"}
    label = axes.annotate(
        text, point, xytext=(dx, dy), textcoords="offset points", ha=across, va=up,
        fontsize=_SIZE, annotation_clip=False, arrowprops=line if far else None,
    )  # fmt: skip
    label.set_in_layout(False)  # else the axes would move for it


def _offsets() -> Iterator[tuple[int, int, str, str]]:
    """Where a label may stand by its point, in points of type, with its alignment."""
    for distance in _DISTANCES:
        yield distance, 0, "left", "center"
        yield -distance, 0, "right", "center"
        for dy, up in ((distance, "bottom"), (-distance, "top")):
            yield 0, dy, "center", up
            yield distance, dy, "left", up
            yield -distance, dy, "right", up
