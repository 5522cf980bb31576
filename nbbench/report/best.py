"""Which cases to take: the best within limits, and those that no other one beats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..errors import ArgumentError
from ..plan.result import Result
from ..text import counted, one_line
from ..worker.case import AXES, Status, varying_axes
from .budget import Budget, chosen
from .choice import Choice, Chosen
from .estimates import Estimate
from .own_columns import Added
from .quantities import Quantity, quantity

SURELY, PERHAPS, NO = "surely", "perhaps", "no"

_WORKLOAD = ("mode", "sequence_length", "new_tokens", "padding")
"""Axes of what is asked of a model: cases that differ in them do not do the same work."""


@dataclass(frozen=True)
class _Candidate:
    """A case with its quantities, ``by`` first, and how it keeps to the limits."""

    result: Result
    estimates: tuple[Estimate, ...]
    limits: str
    excess: float
    missed: str


def best(results: Sequence[Result], added: Added, budget: Budget) -> Choice:
    """The case that is best by a quantity among those within limits, and what ties with it.

    Those that surely keep to the limits come before those that perhaps do. Of the latter the ones
    that may be better are named, too. Where none keeps to them, the one that comes nearest: whose
    largest excess, as a part of the limit, is the smallest. Raises `ArgumentError`.
    """
    asked = _asked([budget.by, *budget.limits], added)
    meant, notes = _considered(results, budget, asked)
    candidates = [_candidate(result, asked, budget) for result in meant]
    varying = tuple(axis.name for axis in varying_axes(each.result.case for each in candidates))
    known = tuple(asked)
    within = f" within {budget.title}" if budget.title else ""
    pool = [each for each in candidates if each.limits == SURELY]
    pool = pool or [each for each in candidates if each.limits == PERHAPS]
    if not pool:
        least = min(each.excess for each in candidates)
        nearest = [each for each in candidates if each.excess == least]
        title = f"no case keeps to {budget.title}{budget.meant}; this comes nearest"
        return Choice(title, _rows(nearest, ["nearest"] * len(nearest)), known, varying, notes)
    ordered = sorted(pool, key=lambda each: asked[0].goodness(each.estimates[0]).value)
    top = ordered[0]
    ties = [each for each in ordered[1:] if each.estimates[0].meets(top.estimates[0])]
    chosen_ones, names = [top, *ties], ["best", *["tie"] * len(ties)]
    if top.limits == SURELY:
        unsure = [each for each in candidates if each.limits == PERHAPS]
        rivals = [each for each in unsure if not _surely_worse(each, top, asked[0])]
        rivals.sort(key=lambda each: asked[0].goodness(each.estimates[0]).value)
        chosen_ones, names = [*chosen_ones, *rivals], [*names, *["perhaps"] * len(rivals)]
        if rivals:
            notes = (*notes, "perhaps: as good or better, but its interval crosses a limit")
    elif budget.limits:
        notes = (*notes, "none keeps to the limits surely: intervals cross them")
    title = f"best by {one_line(budget.by)}{within}{budget.meant}"
    return Choice(title, _rows(chosen_ones, names, bool(budget.limits)), known, varying, notes)


def pareto(results: Sequence[Result], added: Added, names: Sequence[str], budget: Budget) -> Choice:
    """The cases that no other one beats in these quantities, in the order of the first.

    One beats another if it is no worse in any of them, and surely better in one: their intervals
    do not meet. Those that are beaten, but not surely, are ties. Raises `ArgumentError`.
    """
    asked = _asked(names, added)
    if len(asked) < 2:
        raise ArgumentError("a trade-off is between two quantities or more, like latency, memory")
    meant, notes = _considered(results, budget, asked)
    measured = [tuple(_known(q, result) for q in asked) for result in meant]
    points = [
        tuple(q.goodness(estimate) for q, estimate in zip(asked, estimates, strict=True))
        for estimates in measured
    ]
    kept = []
    for result, estimates, point, beaten in zip(
        meant, measured, points, _beaten(points), strict=True
    ):
        if beaten is not _Beaten.SURELY:
            choice = "tie" if beaten is _Beaten.PERHAPS else "front"
            values = tuple(each.value for each in point)
            kept.append((values, Chosen(result, choice, estimates)))
    kept.sort(key=lambda each: each[0])
    listed = " and ".join(one_line(each.name) for each in asked)
    title = f"not beaten by any other in {listed}{budget.meant}"
    varying = tuple(axis.name for axis in varying_axes(result.case for result in meant))
    return Choice(title, tuple(row for _, row in kept), tuple(asked), varying, notes)


def _asked(names: Sequence[str], added: Added) -> list[Quantity]:
    """The quantities, each once."""
    return list({each.name: each for each in (quantity(name, added) for name in names)}.values())


def _considered(
    results: Sequence[Result], budget: Budget, asked: Sequence[Quantity]
) -> tuple[list[Result], tuple[str, ...]]:
    """The results that can be judged, and notes on the others and on what they have to do."""
    meant = chosen(results, budget.where)
    left = [result for result in meant if result.outcome.status is Status.OK]
    notes = []
    if len(left) < len(meant):
        failed = counted(len(meant) - len(left), "case")
        notes.append(f"{failed} that did not end well: not considered")
    if not left:
        raise ArgumentError("there is nothing to choose from: no case has ended well")
    for each in asked:
        known = [result for result in left if each.estimate(result) is not None]
        if not known:
            raise ArgumentError(f"{each.name}: {each.missing}")
        if len(known) < len(left):
            unknown = counted(len(left) - len(known), "case")
            notes.append(f"{unknown} without {one_line(each.name)}: not considered")
        left = known
    return left, (*notes, *_workloads(left))


def _workloads(results: Sequence[Result]) -> list[str]:
    """A note where cases do not do the same work."""
    differing = [
        (axis, list(dict.fromkeys(result.value(axis) for result in results)))
        for axis in AXES
        if axis.name in _WORKLOAD
    ]
    named = [(axis.name, values) for axis, values in differing if len({*values} - {None}) > 1]
    if not named:
        return []
    listed = " and ".join(name for name, _ in named)
    example = f"{named[0][0]}={next(value for value in named[0][1] if value is not None)}"
    return [f"cases differ in {listed}, so they do not do the same work; choose, like {example}"]


def _known(asked: Quantity, result: Result) -> Estimate:
    estimate = asked.estimate(result)
    if estimate is None:
        raise ArgumentError(f"{asked.name}: {asked.missing}")
    return estimate


def _candidate(result: Result, asked: Sequence[Quantity], budget: Budget) -> _Candidate:
    estimates = tuple(_known(each, result) for each in asked)
    by_name = {each.name: value for each, value in zip(asked, estimates, strict=True)}
    limits, excess, missed = SURELY, 0.0, []
    for name, limit in budget.limits.items():
        estimate = by_name[name]
        if estimate.low > limit:
            over = estimate.value / limit - 1
            limits, excess = NO, max(excess, over)
            missed.append(f"{name} by {_percent(over)}")
        elif estimate.high > limit and limits == SURELY:
            limits = PERHAPS
    return _Candidate(result, estimates, limits, excess, ", ".join(missed))


def _percent(part: float) -> str:
    return f"{part:.1%}" if part < 1 else f"a factor of {1 + part:.3g}"


def _rows(
    candidates: Sequence[_Candidate], names: Sequence[str], limited: bool = True
) -> tuple[Chosen, ...]:
    return tuple(
        Chosen(each.result, name, each.estimates, each.limits if limited else "", each.missed)
        for each, name in zip(candidates, names, strict=True)
    )


def _surely_worse(one: _Candidate, other: _Candidate, by: Quantity) -> bool:
    return by.goodness(one.estimates[0]).low > by.goodness(other.estimates[0]).high


class _Beaten(Enum):
    """Whether another point is no worse in any quantity, and better in one."""

    NOT = 0
    PERHAPS = 1
    SURELY = 2


def _beaten(points: Sequence[Sequence[Estimate]]) -> Iterator[_Beaten]:
    """For each point, of quantities of which less is better, whether another one beats it."""
    import numpy as np

    values, lows, highs = (
        np.array([[getattr(each, end) for each in point] for point in points])
        for end in ("value", "low", "high")
    )
    for value, low in zip(values, lows, strict=True):
        no_worse = (values <= value).all(axis=1)
        if (no_worse & (highs < low).any(axis=1)).any():
            yield _Beaten.SURELY
        else:
            differs = (values != value).any(axis=1)
            yield _Beaten.PERHAPS if (no_worse & differs).any() else _Beaten.NOT
