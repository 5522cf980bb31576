"""Labels beside points that cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..plan.result import Result
from ..worker.case import varying_axes

_SIZE = 8
_POINT_PX = 5
"""Pixels about a point that no label covers."""

_DISTANCES = (7, 16, 28)
"""Points of type between a label and its point; beyond the first a thin line joins the two."""

_MAX_TRIED = 60
"""Labels that are tried: more would not find room in a plot."""


@dataclass(frozen=True)
class LabelledPoint:
    """A point, its text, and the ends of what is drawn through it, which no label covers."""

    at: tuple[float, float]
    text: str
    ends: Sequence[tuple[float, float]]


def differing_labels(results: Sequence[Result]) -> list[str]:
    """What distinguishes each case from the others; the model where nothing does."""
    axes = varying_axes(result.case for result in results)
    if not axes:
        return [result.case.model for result in results]
    return [
        ", ".join(filter(None, (axis.alone(result.case) for axis in axes))) or result.case.model
        for result in results
    ]


def place_labels(axes: Any, points: Iterable[LabelledPoint]) -> int:
    """Label the points, the first ones first; how many are left without a label for want of room.

    What else is drawn has its final size: nothing may move afterwards.
    """
    from matplotlib.transforms import Bbox

    figure = getattr(axes.figure, "figure", axes.figure)  # of a subfigure, the whole one
    figure.draw_without_rendering()  # which sets where everything is, and how large texts are
    frame, every = axes.get_window_extent(), list(points)
    taken = [Bbox(axes.transData.transform(each.ends)).padded(_POINT_PX) for each in every]
    unlabelled = len(every)
    for point in every[:_MAX_TRIED]:
        probe = axes.text(0, 0, point.text, fontsize=_SIZE, transform=axes.transAxes)
        size = probe.get_window_extent()
        probe.remove()
        for offset in _offsets():
            at = axes.transData.transform(point.at)
            box = _box(at, size, figure.dpi / 72, *offset)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                _annotate(axes, point.text, point.at, *offset)
                taken.append(box)
                unlabelled -= 1
                break
    return unlabelled


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
