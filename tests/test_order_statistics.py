"""The interval holds what it claims, although sampling stops as soon as it is narrow enough."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbbench.worker import order_statistics
from nbbench.worker.order_statistics import (
    FEWEST_SAMPLES,
    half_width,
    interval_rank,
    looks,
    median_interval,
    median_of,
    percentile,
)


def coverage(draw, median, *, trials, precision=0.02):
    """How often the reported interval holds the true median, by the rules of sampling."""
    held = 0
    for _ in range(trials):
        drawn = draw()
        for n in looks():
            ordered = sorted(drawn[:n])
            if (half_width(ordered) or 1) <= precision:
                break
        low, high = median_interval(ordered)
        held += low <= median <= high
    return held / trials


def distributions(rng):
    n = order_statistics.MOST_SAMPLES
    for spread in (0.01, 0.02, 0.03, 0.05, 0.1, 0.2):
        yield f"normal {spread}", 1.0, lambda s=spread: rng.normal(1, s, n).tolist()
    for spread in (0.05, 0.2):
        yield f"log-normal {spread}", 1.0, lambda s=spread: np.exp(rng.normal(0, s, n)).tolist()
    for spread in (0.02, 0.05, 0.1):
        yield (
            f"exponential tail {spread}",
            1 + spread * math.log(2),
            lambda s=spread: (1 + rng.exponential(s, n)).tolist(),
        )


def test_the_interval_holds_the_median_in_94_percent_of_cases_at_every_spread():
    rng = np.random.default_rng(2026)
    held = {name: coverage(draw, median, trials=1500) for name, median, draw in distributions(rng)}
    assert min(held.values()) >= 0.94, held
    assert np.mean(list(held.values())) >= 0.95, held


def test_ranks_are_those_of_the_tables():
    # Conover, table A3: the 95 % interval of a median of 20 is from the 6th to the 15th.
    assert interval_rank(20, 0.95) == 6
    assert interval_rank(100, 0.95) == 40
    assert interval_rank(FEWEST_SAMPLES) == 1
    assert interval_rank(FEWEST_SAMPLES - 1) == 0


def test_there_is_no_interval_below_six_samples():
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert half_width([1, 2, 3, 4, 5]) is None
    assert median_interval([1, 2, 3, 4, 5, 6]) == (1, 6)


def test_looks_grow_by_a_tenth_and_end():
    seen = list(looks())
    assert seen[0] == 6
    assert seen[-1] == order_statistics.MOST_SAMPLES
    assert seen == sorted(set(seen))
    assert len(seen) < 60


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_median_and_percentiles_are_those_of_numpy(n):
    samples = sorted(np.random.default_rng(n).normal(size=n).tolist())
    assert median_of(samples) == pytest.approx(np.median(samples))
    assert percentile(samples, 0.9) == pytest.approx(np.percentile(samples, 90))
