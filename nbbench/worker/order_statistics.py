"""What a list of timings says, and when it says enough.

The interval is the distribution-free one for a median, between two order statistics (Conover,
*Practical Nonparametric Statistics*, 3rd ed., 3.2). Since few levels can be had so from few
samples, each end lies between two neighbouring ones, interpolated (Hettmansperger and Sheather,
*Confidence intervals based on interpolated order statistics*, Statistics & Probability Letters 4,
1986). Stopping as soon as an interval is narrow enough claims too much: at a nominal 95 % it holds
the true median in 89 to 95 % of cases. Two things mend that: looks are some samples apart, and the
interval that is looked at and reported has a nominal level of 97 %.
`tests/test_order_statistics.py` simulates it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Optional

from .student_t import t_quantile
from .timing import MIN_SAMPLES

MIN_RANKED = 6
"""The fewest with which the distribution-free interval exists: (min, max) of 6 has 96.9 %."""

NOMINAL_LEVEL = 0.97
"""Of the interval; what is left at least 95 % after stopping early. (Six samples have 96.9 %.)"""

MAX_SAMPLES = 1000
"""More do not help: a median still uncertain then sits between two modes, or drifts."""


def looks(fewest: int = MIN_RANKED) -> Iterator[int]:
    """The sample sizes at which to ask whether the interval is narrow enough, 5 % apart.

    None is below six: what so few samples say decides nothing.
    """
    n = max(fewest, MIN_RANKED)
    while n < MAX_SAMPLES:
        yield n
        n = min(max(n + 1, math.ceil(1.05 * n)), MAX_SAMPLES)
    yield n


@cache
def interval_ends(n: int, level: float = NOMINAL_LEVEL) -> Optional[tuple[int, float]]:
    """Where the interval of the median of n samples ends: a rank, and a weight from 0 to 1.

    The lower end is (1 - weight) times the rank-th smallest sample, plus weight times the next
    one; the upper end the same from above. None for fewer samples than `MIN_RANKED`.
    """
    if n < MIN_RANKED:
        return None
    rank, wider, narrower = 0, 1.0, 1 - 2 / 2**n  # the k-th from both ends: 1 - 2 P(Bin(n, ½) < k)
    while narrower >= level and rank < n // 2:
        rank += 1
        wider, narrower = narrower, narrower - 2 * math.comb(n, rank) / 2**n
    if rank == 0:  # the extremes are all there is
        return 1, 0.0
    excess = (wider - level) / (wider - narrower)
    return rank, (n - rank) * excess / (rank + (n - 2 * rank) * excess)


def median_of(ordered: Sequence[float]) -> float:
    """The median of samples in order."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(ordered: Sequence[float]) -> Optional[tuple[float, float]]:
    """The 95 % confidence interval of the median of samples in order; None for fewer than 3.

    Fewer than six, of calls so long that no more could be had, have the t-interval of their
    logarithms, which takes them to be spread evenly to both sides.
    """
    if len(ordered) < MIN_SAMPLES:
        return None
    ends = interval_ends(len(ordered))
    if ends is None:
        return _interval_of_few(ordered)
    rank, weight = ends
    return (
        ordered[rank - 1] + weight * (ordered[rank] - ordered[rank - 1]),
        ordered[-rank] - weight * (ordered[-rank] - ordered[-rank - 1]),
    )


def _interval_of_few(samples: Sequence[float]) -> tuple[float, float]:
    logarithms = [math.log(sample) for sample in samples]
    n, middle = len(samples), statistics.fmean(logarithms)
    half = t_quantile(n - 1) * statistics.stdev(logarithms) / math.sqrt(n)
    return math.exp(middle - half), math.exp(middle + half)


def half_width(ordered: Sequence[float]) -> Optional[float]:
    """The wider half of the median's interval, as a fraction of the median."""
    interval = median_interval(ordered)
    if interval is None:
        return None
    median = median_of(ordered)
    return max(interval[1] - median, median - interval[0]) / median


@cache
def bound_rank(n: int, fraction: float, level: float = 0.95) -> Optional[int]:
    """The rank of the sample that is an upper bound of a percentile at a level of 95 %.

    Distribution-free (Conover, 3.2): the smallest r with P(Bin(n, fraction) < r) ≥ level. None for
    fewer samples than carry it: 29 for p90, 299 for p99.
    """
    below = 0.0
    for rank in range(1, n + 1):
        ways = math.lgamma(n + 1) - math.lgamma(rank) - math.lgamma(n - rank + 2)
        below += math.exp(
            ways + (rank - 1) * math.log(fraction) + (n - rank + 1) * math.log(1 - fraction)
        )
        if below >= level:
            return rank
    return None


def percentile_bound(ordered: Sequence[float], fraction: float) -> Optional[float]:
    """The upper 95 % bound of a percentile of samples in order; None where n does not carry it."""
    rank = bound_rank(len(ordered), fraction)
    return None if rank is None else ordered[rank - 1]
