"""What is drawn from the samples of visits; neither side of the wire imports more for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Optional

from . import order_statistics
from .case import Timing, Visit


def summarize(visit: Visit, precision: float) -> Timing:
    """A `Timing` of one visit, with the interval over its samples."""
    return summarize_samples((visit,), precision)


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
