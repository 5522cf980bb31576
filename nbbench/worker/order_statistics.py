"""What a list of timings says, and when it says enough.

The interval is the distribution-free one for a median, between two order statistics (Conover,
*Practical Nonparametric Statistics*, 3rd ed., 3.2). Stopping as soon as an interval is narrow
enough claims too much: at a nominal 95 % it holds the true median in 91 to 95 % of cases. Two
things mend that here: looks are few (each a tenth more samples than the last), and the interval
that is looked at and reported has a nominal level of 96.5 %: `tests/test_order_statistics.py`
simulates it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Optional

from .messages import FEWEST_SAMPLES

NOMINAL_LEVEL = 0.965
"""Of the order-statistics interval; what is left at least 95 % after stopping early."""

MOST_SAMPLES = 1000
"""More do not help: a median still uncertain then sits between two modes, or drifts."""


def looks(fewest: int = FEWEST_SAMPLES) -> Iterator[int]:
    """The sample sizes at which to ask whether the interval is narrow enough, 10 % apart."""
    n = fewest
    while n < MOST_SAMPLES:
        yield n
        n = min(max(n + 1, math.ceil(1.1 * n)), MOST_SAMPLES)
    yield n


@cache
def interval_rank(n: int, level: float = NOMINAL_LEVEL) -> int:
    """The largest k for which the k-th smallest and k-th largest of n samples hold the median.

    Their coverage is 1 - 2 P(Binomial(n, 1/2) < k). 0 where no pair reaches the level.
    """
    tail = 0
    for k in range(n // 2 + 1):
        tail += math.comb(n, k)
        if 1 - 2 * tail / 2**n < level:
            return k
    return n // 2


def median_of(ordered: Sequence[float]) -> float:
    """The median of samples in order."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(ordered: Sequence[float]) -> Optional[tuple[float, float]]:
    """The 95 % confidence interval of the median of samples in order; None for fewer than 6."""
    k = interval_rank(len(ordered))
    return (ordered[k - 1], ordered[-k]) if k else None


def half_width(ordered: Sequence[float]) -> Optional[float]:
    """The wider half of the median's interval, as a fraction of the median."""
    interval = median_interval(ordered)
    if interval is None:
        return None
    median = median_of(ordered)
    return max(interval[1] - median, median - interval[0]) / median


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """A percentile of samples in order, linear between neighbours (Hyndman and Fan's type 7)."""
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
