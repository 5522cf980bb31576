"""What is drawn from the samples of visits; neither side of the wire imports more for it."""

from __future__ import annotations

import dataclasses
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Optional

from . import order_statistics
from .timing import MAX_TOKEN_TIMES, Timing, TokenTime, TokenTimes, Visit


def summarize(visit: Visit, precision: float) -> Timing:
    """A `Timing` of one visit, with the interval over its samples."""
    timing = summarize_samples((visit,), precision)
    tokens = token_times((visit,), lambda visits: summarize_samples(visits, precision))
    return dataclasses.replace(timing, tokens=tokens)


def token_times(
    visits: Sequence[Visit], summarized: Callable[[Sequence[Visit]], Timing]
) -> Optional[TokenTimes]:
    """Generation's times by token, each summarized as the times of calls are; None without any."""
    if not all(visit.first_token for visit in visits):
        return None

    def time_of(samples: Sequence[tuple[float, ...]]) -> TokenTime:
        timing = summarized(
            [
                dataclasses.replace(visit, samples=times, calls_per_sample=1)
                for visit, times in zip(visits, samples)
            ]
        )
        return TokenTime(timing.median_s, timing.ci_low_s, timing.ci_high_s)

    between = sorted(seconds for visit in visits for seconds in visit.between_tokens)
    return TokenTimes(
        first=time_of([visit.first_token for visit in visits]),
        each=time_of([visit.per_token for visit in visits]) if between else None,
        p50_s=order_statistics.median_of(between) if between else None,
        p90_s=order_statistics.percentile_bound(between, 0.9),
        p99_s=order_statistics.percentile_bound(between, 0.99),
    )


def chosen_token_times(between: Sequence[float]) -> tuple[float, ...]:
    """Of single times between two tokens those that a visit keeps: all, or some drawn by chance.

    They stay in order. Every n-th would be the same token of each call where n goes in step with a
    call's tokens, of which later ones take longer.
    """
    if len(between) <= MAX_TOKEN_TIMES:
        return tuple(between)
    drawn = random.Random(0).sample(range(len(between)), MAX_TOKEN_TIMES)
    return tuple(between[index] for index in sorted(drawn))


def summarize_samples(visits: Sequence[Visit], precision: float) -> Timing:
    """A `Timing` of visits with the interval over their samples, as if they were of one process."""
    ordered = sorted(sample for visit in visits for sample in visit.samples)
    interval: tuple[Optional[float], Optional[float]]
    interval = order_statistics.median_interval(ordered) or (None, None)
    width = order_statistics.half_width(ordered)
    deviation = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    return Timing(
        visits=tuple(visits),
        median_s=order_statistics.median_of(ordered),
        ci_low_s=interval[0],
        ci_high_s=interval[1],
        min_s=ordered[0],
        mean_s=statistics.fmean(ordered),
        std_s=deviation,
        p90_s=order_statistics.percentile_bound(ordered, 0.9),
        p99_s=order_statistics.percentile_bound(ordered, 0.99),
        noisy=width is None or width > precision,
        within_s=deviation,
    )
