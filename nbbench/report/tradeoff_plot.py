"""A trade-off as a plot: a point a case, the front as a line, labels that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError
from ..plan.result import Result
from ..text import MIB, counted
from .best import pareto
from .budget import Budget
from .drawing import Plot, finished, literal, literals, new_axes, scale_values
from .estimates import Estimate
from .own_columns import Added
from .point_labels import LabelledPoint, differing_labels, place_labels

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
    axes.title.set_fontsize(9)
    texts = literals(differing_labels([result for result, _ in every]))
    order = sorted(zip(points, texts, strict=True), key=lambda each: each[0].choice != "front")
    unlabelled = place_labels(axes, [LabelledPoint(p.at, text, p.whisker) for p, text in order])
    axes.set_title(_title(unlabelled), fontsize=9)
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
