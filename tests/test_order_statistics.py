"""The interval holds what it claims, although sampling stops as soon as it is narrow enough."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbbench.worker import order_statistics
from nbbench.worker.order_statistics import (
    MIN_RANKED,
    half_width,
    interval_ends,
    looks,
    median_interval,
    median_of,
    percentile_bound,
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
    n = order_statistics.MAX_SAMPLES
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
    for spread in (0.03, 0.1):
        yield f"uniform {spread}", 1.0, lambda s=spread: rng.uniform(1 - s, 1 + s, n).tolist()
    yield "Student's t, 2", 1.0, lambda: (1 + 0.03 * rng.standard_t(2, n)).tolist()
    slow = 1.06  # three calls in ten are slower by that
    yield "two modes", 1.0057, lambda: (rng.normal(1, 0.01, n) * _some(rng, n, slow)).tolist()


def _some(rng, n, factor):
    return np.where(rng.random(n) < 0.3, factor, 1.0)


def test_the_interval_holds_the_median_in_94_percent_of_cases_at_every_spread():
    rng = np.random.default_rng(2026)
    held = {name: coverage(draw, median, trials=1500) for name, median, draw in distributions(rng)}
    assert min(held.values()) >= 0.94, held
    assert np.mean(list(held.values())) >= 0.95, held


@pytest.mark.parametrize("n", [7, 8, 9, 12, 15, 20, 31])
def test_without_looking_the_interval_holds_the_median_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    draws = {
        "normal": (rng.normal(1, 0.1, (20_000, n)), 1.0),
        "exponential": (rng.exponential(1, (20_000, n)), math.log(2)),
        "Cauchy": (rng.standard_cauchy((20_000, n)), 0.0),
    }
    for name, (drawn, median) in draws.items():
        intervals = [median_interval(sorted(row)) for row in drawn.tolist()]
        held = np.mean([low <= median <= high for low, high in intervals])
        assert held == pytest.approx(order_statistics.NOMINAL_LEVEL, abs=0.007), name


def test_ends_are_those_of_the_tables():
    # Conover, table A3: of 20 samples the 6th and the 15th hold the median at 95.86 %.
    assert interval_ends(20, 0.9586105) == (6, pytest.approx(0, abs=1e-4))
    # Hettmansperger and Sheather: (n - k) I / (k + (n - 2 k) I); here n is 10, k 2, I 0.3244.
    assert interval_ends(10, 0.95) == (2, pytest.approx(0.6573, abs=1e-3))
    assert interval_ends(MIN_RANKED) == (1, 0)
    assert interval_ends(MIN_RANKED - 1) is None


def test_there_is_no_interval_below_three_samples():
    assert median_interval([1, 2]) is None
    assert half_width([1, 2]) is None
    assert median_interval([1, 2, 3, 4, 5, 6]) == (1, 6)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_few_samples_have_an_interval_of_their_logarithms(n):
    rng = np.random.default_rng(0)
    for spread in (0.01, 0.1):
        drawn = np.exp(rng.normal(0, spread, (20_000, n))).tolist()
        intervals = [median_interval(sorted(row)) for row in drawn]
        held = np.mean([low <= 1 <= high for low, high in intervals])
        assert 0.93 <= held <= 0.96


def test_looks_grow_by_a_twentieth_and_end():
    seen = list(looks())
    assert seen[0] == 6
    assert seen[-1] == order_statistics.MAX_SAMPLES
    assert seen == sorted(set(seen))
    assert len(seen) < 100


@pytest.mark.parametrize("n", [6, 7, 100, 101])
def test_the_median_is_that_of_numpy(n):
    samples = sorted(np.random.default_rng(n).normal(size=n).tolist())
    assert median_of(samples) == pytest.approx(np.median(samples))


@pytest.mark.parametrize(("fraction", "fewest"), [(0.9, 29), (0.99, 299)])
def test_a_percentile_is_bounded_from_as_many_samples_as_carry_it(fraction, fewest):
    samples = [float(number) for number in range(fewest)]
    assert percentile_bound(samples[1:], fraction) is None
    assert percentile_bound(samples, fraction) == samples[-1]
    random = np.random.default_rng(0)
    draws = np.sort(random.exponential(size=(2000, 700)), axis=1)
    bounds = [percentile_bound(row, fraction) for row in draws]
    held = np.mean(np.array(bounds) >= -np.log(1 - fraction))
    assert 0.94 <= held <= 0.98
