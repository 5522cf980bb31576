"""The roofline as a plot: a point a case, under the roofs of the devices that they ran on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import ArgumentError
from ..plan.result import Result
from ..text import counted, rounded
from ..worker.case import Status
from ..worker.ceilings import Ceilings
from .drawing import Plot, finished, literal, literals, new_axes, scale_values
from .point_labels import LabelledPoint, differing_labels, place_labels
from .roofline import Share

_MARGIN = 3.0
"""How far the axes go beyond what is drawn, as a ratio."""

_MAX_ROOFS = 6
"""More lines of so like a shape nobody can distinguish."""

_GIB = 2**30


class _Key(NamedTuple):
    """What ceilings depend on, within a report."""

    device: str
    dtype: str
    node: str
    device_name: str
    threads: int | None
    framework: str
    environment: str


def draw_roofline(results: Sequence[Result], ax: Any = None) -> Plot:
    """Draw TFLOP/s over FLOP a byte; raises `ArgumentError` where nothing was counted."""
    shares = _shares(results)
    if not shares:
        raise ArgumentError(
            "no operations were counted in this report; measure speed and memory of models in "
            "PyTorch, executed eagerly"
        )
    axes = new_axes(ax)
    roofs = _roofs([result for result, _ in shares])
    across, up = _extent([share for _, share in shares], list(roofs.values()))
    points = []
    for result, share in shares:
        key = _key(result)
        color = f"C{list(roofs).index(key)}" if key in roofs else "0.4"
        at = share.intensity or 0.0, share.tflops
        axes.plot(*at, "o", color=color, markersize=5, zorder=2)
        points.append((at, share))
    for number, (key, ceilings) in enumerate(roofs.items()):
        _draw_roof(axes, across, ceilings, _roof_label(key, ceilings), f"C{number}")
    for side, values in (("x", across), ("y", up)):
        axes.set(**{f"{side}scale": "log", f"{side}lim": values})
        scale_values(axes, values, side)
    axes.set(
        xlabel="floating point operations for each byte moved (logarithmic)",
        ylabel="TFLOP/s (logarithmic)",
        title=_title(bool(roofs)),
    )
    axes.title.set_fontsize(9)
    plot = finished(axes, ax is None)
    texts = literals(differing_labels([result for result, _ in shares]))
    unlabelled = place_labels(
        axes,
        [LabelledPoint(at, text, [at, at]) for (at, _), text in zip(points, texts, strict=True)],
    )
    axes.set_title(_title(bool(roofs), unlabelled), fontsize=9)
    return plot


def _shares(results: Sequence[Result]) -> list[tuple[Result, Share]]:
    """The results that can be drawn: some operations were counted, and timed."""
    found = []
    for result in results:
        share = Share.of(result) if result.outcome.status is Status.OK else None
        if share is not None and share.intensity:
            found.append((result, share))
    return found


def _key(result: Result) -> _Key:
    case, outcome = result.case, result.outcome
    return _Key(
        outcome.device,
        outcome.dtype,
        outcome.node,
        outcome.device_name,
        case.threads,
        case.framework,
        case.environment,
    )


def _roofs(results: Sequence[Result]) -> dict[_Key, Ceilings]:
    found: dict[_Key, Ceilings] = {}
    for result in results:
        if result.outcome.ceilings is not None and len(found) < _MAX_ROOFS:
            found.setdefault(_key(result), result.outcome.ceilings)
    return found


def _extent(
    shares: Sequence[Share], roofs: Sequence[Ceilings]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of both axes: the points and the roofs' edges are within."""
    across = [share.intensity or 0.0 for share in shares]
    across += [roof.flops_per_s / roof.bytes_per_s for roof in roofs]
    up = [share.tflops for share in shares] + [roof.flops_per_s / 1e12 for roof in roofs]
    ends = [(min(values) / _MARGIN, max(values) * _MARGIN) for values in (across, up)]
    return ends[0], ends[1]


def _draw_roof(
    axes: Any, across: tuple[float, float], roof: Ceilings, label: str, color: str
) -> None:
    """What memory allows up to the edge, and what products allow beyond it."""
    edge = roof.flops_per_s / roof.bytes_per_s
    at = [across[0], edge, across[1]]
    heights = [min(roof.flops_per_s, x * roof.bytes_per_s) / 1e12 for x in at]
    axes.plot(at, heights, color=color, linewidth=1.5, label=label, zorder=1)


def _roof_label(key: _Key, roof: Ceilings) -> str:
    device = ", ".join(filter(None, (key.node, key.device, key.dtype)))
    tflops, gib = rounded(roof.flops_per_s / 1e12), rounded(roof.bytes_per_s / _GIB)
    return f"{literal(device)}: {tflops} TFLOP/s, {gib} GiB/s"


def _title(has_roofs: bool, unlabelled: int = 0) -> str:
    """The title; it has as many lines whatever is found out later, so that nothing moves."""
    note = f"; {counted(unlabelled, 'point')} without a label" if unlabelled else ""
    below = (
        "left of a roof's edge memory bounds, right of it compute"
        if has_roofs
        else "without a roof, which ceilings=True measures"
    )
    return f"Roofline\n{below}{note}"
