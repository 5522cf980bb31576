"""The search for the batch of highest throughput whose calls take no longer than they may."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace

from ..report.environment import EnvironmentKey
from ..text import rounded, time_unit
from ..worker.case import Case, Outcome, Status
from ..worker.timing import Timing
from .bracket import MAX_SIZE
from .events import CaseEnded, CaseVisited, Event, SizeMeasured
from .resume import Run
from .supervise import Supervisor

_MAX_REFINED = 6
"""How many sizes are tried between those that were doubled."""

_FINE = 8
"""Sizes nearer to the best than an eighth of it are not tried."""


@dataclass(frozen=True)
class _Measured:
    """A size with what was measured of it."""

    size: int
    ended: CaseEnded
    holds: bool

    @property
    def timing(self) -> Timing | None:
        """The time of a call."""
        return self.ended.outcome.timing

    @property
    def per_second(self) -> tuple[float, float]:
        """Samples per second, and the most that they may be by the interval."""
        assert self.timing is not None
        fastest = self.timing.ci_low_s or self.timing.median_s
        return self.size / self.timing.median_s, self.size / fastest

    @property
    def per_second_at_least(self) -> float:
        """The least that samples per second may be by the interval."""
        assert self.timing is not None
        return self.size / (self.timing.ci_high_s or self.timing.median_s)


def best_size(
    planned: Case,
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    run: Run,
) -> Iterator[Event]:
    """Yield the events of measuring sizes, and the end of the case with the best of them."""
    tried: dict[int, _Measured] = {}
    size: int | None = planned.batch_size
    while size is not None:
        case = replace(planned, searched="", batch_size=size)
        ended = yield from _measured(case, supervisors, cancelled, run)
        status = ended.outcome.status
        if status not in (Status.OK, Status.OOM) or cancelled():
            if status in (Status.OK, Status.OOM):  # the last of a search that did not end
                cut = Outcome(Status.CANCELLED, "cancelled while it was searched")
                ended = replace(ended, outcome=cut)
            yield _end(planned, ended, tried, is_whole=False)
            return
        tried[size] = _Measured(size, ended, _holds(ended.outcome, planned))
        size = _next(tried)
    best = _best(tried) or tried[min(tried)]
    yield _end(planned, best.ended, tried, is_whole=True)


def _measured(
    case: Case,
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    run: Run,
) -> Generator[Event, None, CaseEnded]:
    """Measure one size; its end, which is not yet that of what was planned."""
    ended = CaseEnded(case, Outcome.skipped())
    for event in run([case], supervisors, cancelled):
        if isinstance(event, (CaseEnded, CaseVisited)):
            is_over = isinstance(event, CaseEnded)
            yield SizeMeasured(case, event.outcome, event.worker, is_over)
            ended = event if isinstance(event, CaseEnded) else ended
        else:
            yield event
    return ended


def _holds(outcome: Outcome, planned: Case) -> bool:
    """Whether memory holds, and a call surely takes no longer than it may.

    A noisy time counts as its median: nothing is sure of it, and a search has to go on.
    """
    timing = outcome.timing
    if outcome.status is not Status.OK or timing is None:
        return False
    longest = timing.median_s if timing.noisy else timing.ci_high_s or timing.median_s
    return longest <= (planned.latency_limit or 0.0)


def _next(tried: Mapping[int, _Measured]) -> int | None:
    """The size to measure next: twice the largest while all hold, then beside the best."""
    largest = max(tried)
    if all(each.holds for each in tried.values()) and 2 * largest <= MAX_SIZE:
        return 2 * largest
    best = _best(tried)
    if best is None:
        return None
    doubled = 0
    while 2**doubled in tried:
        doubled += 1
    if len(tried) >= doubled + _MAX_REFINED:
        return None
    fine = max(1, best.size // _FINE)
    above = min((size for size in tried if size > best.size), default=best.size)
    below = max((size for size in tried if size < best.size), default=best.size)
    for near in (above, below):
        if abs(near - best.size) > fine:
            return (near + best.size) // 2
    return None


def _best(tried: Mapping[int, _Measured]) -> _Measured | None:
    """The size of the highest throughput that holds; of those that tie with it the smallest."""
    holding = [each for each in tried.values() if each.holds]
    if not holding:
        return None
    highest = max(holding, key=lambda each: each.per_second[0])
    least = highest.per_second_at_least
    return min((e for e in holding if e.per_second[1] >= least), key=lambda each: each.size)


def _end(
    planned: Case, ended: CaseEnded, tried: Mapping[int, _Measured], *, is_whole: bool
) -> CaseEnded:
    """The end of what was planned, with which sizes were tried in its reason.

    A search that is not ``is_whole`` was broken off, and says nothing of what holds.
    """
    unit, scale = time_unit(planned.latency_limit or 0.0)
    limit = f"{rounded((planned.latency_limit or 0.0) / scale)} {unit}"
    listed = ", ".join(f"{size} {_in_short(tried[size])}" for size in sorted(tried))
    parts = [ended.outcome.reason]
    if is_whole and _best(tried) is None:
        parts.append(f"even batch {min(tried)} does not keep to {limit}")
    if tried:
        parts.append(f"tried for the best within {limit}: {listed}")
    outcome = replace(
        ended.outcome, reason="; ".join(filter(None, parts)), searched_runs=len(tried)
    )
    return CaseEnded(planned, outcome, ended.worker, found=ended.case)


def _in_short(measured: _Measured) -> str:
    """What came of a size, in short."""
    if measured.timing is None:
        return "(out of memory)"
    noisy = ", noisy" if measured.timing.noisy else ""
    return f"({rounded(measured.per_second[0])}/s{noisy}{'' if measured.holds else ', too slow'})"
