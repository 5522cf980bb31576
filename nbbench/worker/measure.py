"""How a call is timed: first call, warm-up, sampling, and when to stop.

No part of it knows a framework. A `Stopwatch` runs a call a number of times and returns the
seconds that took, the device's work included.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Optional, Protocol

from . import order_statistics
from .messages import SamplingProgress
from .timing import MIN_SAMPLES

MIN_SAMPLE_S = 1e-3
"""Calls that take less are timed in blocks that take about this long."""

MAX_WARM_CALLS = 10
WARM_CALLS_COMPARED = 3
WARM_AGREEMENT = 0.05
WARM_SHARE_OF_TIME = 0.25

PROGRESS_EVERY_S = 0.25

MIN_VISIT_S = 0.05
"""Seconds that the samples of one of several visits take at least, where calls are short."""

VISIT_SHARE = 1 / 6
"""The part of ``max_time`` that the samples of one of several visits take at most."""

REFERENCE_SHARE = 0.045
"""The reference kernel's share of the time of calls; at most 5 % with the last one of a visit."""

REFERENCE_WARM_UP = 2

Call = Callable[[], object]


class Stopwatch(Protocol):
    """Runs a call some times and says how long that took."""

    def __call__(self, call: Call, times: int) -> float:
        """Seconds for ``times`` calls, read when the device has done its work."""


def wall_stopwatch(finish: Callable[[object], None] = lambda _: None) -> Stopwatch:
    """A stopwatch on the wall clock.

    ``finish`` is given what the last call returned, and returns when the device has done its work.
    """

    def stopwatch(call: Call, times: int) -> float:
        before_last = range(times - 1)
        start = time.perf_counter()
        for _ in before_last:
            call()
        finish(call())
        return time.perf_counter() - start

    return stopwatch


class Marks(Protocol):
    """Notes moments in the work of a device."""

    def mark(self) -> None:
        """Note the moment at which what was asked for so far is done."""

    def seconds(self) -> list[float]:
        """The times from each moment to the next, once the work is done."""


class WallMarks:
    """Moments on the wall clock, for a device whose calls return when they are done."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def mark(self) -> None:
        """Note this moment."""
        self._moments.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """The times from each moment to the next."""
        return [end - begin for begin, end in zip(self._moments, self._moments[1:])]


@contextmanager
def quiet_collector() -> Iterator[Callable[[], object]]:
    """Switch the garbage collector off; gives a function that collects, for between two samples.

    Cycles that a call leaves behind would else pile up over the samples and be counted as its
    memory. They are young, so the youngest generation is collected alone: all of them would take
    as long as a tenth of a short call, and empty the caches and free lists that it lives on.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield partial(gc.collect, 0)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class WarmUp:
    """What warming up has shown: the seconds that a call takes now, and what samples it gave."""

    call_s: float
    samples: list[float]


def warm_up(call: Call, stopwatch: Stopwatch, first_call_s: float, max_time: float) -> WarmUp:
    """Call until timings settle; at least once, since a first call may be slow by itself.

    Settled: the last three calls agree within 5 %, the first call among them, or there were 10
    more, or all took a quarter of ``max_time``, of which the first is counted as no longer than
    the longest behind it.

    Calls so long that their time was up before a comparison could decide are samples already.
    (Calls that ended the warm-up by agreeing are not, nor is the last of them: chosen for being
    alike, they would make the interval claim too much.)
    """
    durations = [first_call_s]
    while True:
        durations.append(stopwatch(call, 1))
        time_is_up = _usual_seconds(durations) >= WARM_SHARE_OF_TIME * max_time
        last = durations[-WARM_CALLS_COMPARED:]
        if time_is_up or len(durations) > MAX_WARM_CALLS or _agree(last):
            break
    call_s = min(last)
    unchosen = time_is_up and len(durations) <= WARM_CALLS_COMPARED and block_size(call_s) == 1
    return WarmUp(call_s, durations[1:] if unchosen else [])


def _usual_seconds(durations: Sequence[float]) -> float:
    """What calls took, without what the first took longer than any other: it initialises."""
    first, *others = durations
    return min(first, max(others)) + sum(others)


def _agree(durations: Sequence[float]) -> bool:
    enough = len(durations) == WARM_CALLS_COMPARED
    return enough and max(durations) - min(durations) <= WARM_AGREEMENT * min(durations)


def sample(
    call: Call,
    stopwatch: Stopwatch,
    *,
    calls_per_sample: int,
    precision: float,
    max_time: float,
    fewest: int = MIN_SAMPLES,
    warm_samples: Sequence[float] = (),
    reference: Optional[Reference] = None,
    report: Callable[[SamplingProgress], None] = lambda _: None,
) -> list[float]:
    """Seconds per call, sampled until the median is known to ``precision``.

    Goes on from ``warm_samples``, those of the warm-up. Stops at the first look at which the
    interval is narrow enough, when another sample would end after ``max_time`` seconds even if it
    were the shortest so far, or at 1000 samples, but never before ``fewest`` samples.
    """
    samples = list(warm_samples)
    shortest = min(samples, default=math.inf)
    upcoming = order_statistics.looks(fewest)
    look_at = next(upcoming)
    begin = reported_at = time.perf_counter()
    with quiet_collector() as collect:
        while True:
            samples.append(take_sample(call, stopwatch, calls_per_sample, collect, reference))
            now = time.perf_counter()
            shortest = min(shortest, samples[-1])
            another_ends = now - begin + shortest * calls_per_sample
            out_of_time = another_ends > max_time and len(samples) >= fewest
            if now - reported_at >= PROGRESS_EVERY_S:
                reported_at = now
                ordered = sorted(samples)
                median = order_statistics.median_of(ordered)
                report(SamplingProgress(len(samples), median, order_statistics.half_width(ordered)))
            if len(samples) == look_at:
                width = order_statistics.half_width(sorted(samples))
                look_at = next(upcoming, 0)
                if not look_at or (width is not None and width <= precision):
                    return samples
            if out_of_time:
                return samples


def take_sample(
    call: Call,
    stopwatch: Stopwatch,
    calls_per_sample: int,
    collect: Callable[[], object],
    reference: Optional[Reference],
) -> float:
    """Seconds per call of one sample; garbage is collected and the reference timed after it."""
    seconds = stopwatch(call, calls_per_sample)
    collect()
    if reference is not None:
        reference.follow(seconds)
    return seconds / calls_per_sample


def block_size(call_s: float) -> int:
    """How many calls make one sample: 1, or enough to take a millisecond."""
    return 1 if call_s >= MIN_SAMPLE_S else math.ceil(MIN_SAMPLE_S / max(call_s, 1e-9))


def samples_per_visit(cost_s: float, sample_s: float, max_time: float) -> int:
    """How many samples one of several visits takes.

    ``cost_s`` is what a visit costs beside them (building, first call, warm-up), ``sample_s`` how
    long one takes. For a given total time the interval over visits is narrowest where the ratio of
    both is that of the variances between and within visits (Kalibera and Jones, *Rigorous
    Benchmarking in Reasonable Time*, ISMM 2013), here taken to be equal; short calls get as many as
    make 50 ms, and none more than a sixth of ``max_time`` holds.
    """
    optimal = math.sqrt(cost_s / sample_s)
    wanted = max(optimal, MIN_VISIT_S / sample_s)
    return max(
        1,
        min(
            math.ceil(wanted), int(VISIT_SHARE * max_time / sample_s), order_statistics.MAX_SAMPLES
        ),
    )


def sample_visit(
    call: Call,
    stopwatch: Stopwatch,
    *,
    samples: int,
    calls_per_sample: int,
    warm_samples: Sequence[float] = (),
    reference: Optional[Reference] = None,
    report: Callable[[SamplingProgress], None] = lambda _: None,
) -> list[float]:
    """Seconds per call, so many samples of them, with the reference kernel timed in between."""
    taken = list(warm_samples)
    reported_at = time.perf_counter()
    with quiet_collector() as collect:
        while len(taken) < samples:
            taken.append(take_sample(call, stopwatch, calls_per_sample, collect, reference))
            now = time.perf_counter()
            if now - reported_at >= PROGRESS_EVERY_S:
                reported_at = now
                ordered = sorted(taken)
                report(SamplingProgress(len(taken), order_statistics.median_of(ordered), None))
    return taken


class Reference:
    """The reference kernel: a small fixed call, timed between samples for a share of their time.

    Its times follow the machine's speed, and not the model: by them drift is taken out.
    """

    def __init__(self, call: Call, stopwatch: Stopwatch) -> None:
        self._call, self._stopwatch = call, stopwatch
        self._allowed_s = 0.0
        self.times: list[float] = []
        self._shortest = min(stopwatch(call, 1) for _ in range(REFERENCE_WARM_UP))

    def follow(self, seconds: float) -> None:
        """Time the kernel as often as its share of these seconds of calls allows."""
        self._allowed_s += REFERENCE_SHARE * seconds
        while self._allowed_s >= self._shortest:
            took_s = self._stopwatch(self._call, 1)
            self._shortest = min(self._shortest, took_s)
            self._allowed_s -= took_s
            self.times.append(took_s)
