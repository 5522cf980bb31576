"""What the visits of a case say together: its time, how surely, and how much of it was drift.

A visit is one process in which a case was sampled. The machine drifts from second to second and
from run to run, and takes the reference kernel with it: a small fixed call that is timed between
the samples. What of the drift a model's times follow (`coefficient`) is taken out of them: the time
is what it would be at the machine's usual speed, the reference's level.

The interval is a t-interval over the visits. It allows for what is left being correlated from visit
to visit, and for what is not known of the coefficient, the more the farther the machine is from its
usual speed.
`tests/test_visits.py` simulates its coverage.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..machine.reference_level import is_outdone
from ..worker.student_t import t_quantile
from ..worker.summarize import summarize_samples, token_times
from ..worker.timing import MIN_VISITS, Timing, Visit
from .drift_coefficient import (
    NOT_AT_ALL,
    coefficient_of,
    log_reference,
    log_time,
    prior_of,
    reference_noise,
)

CORRELATION = 0.3
"""Of neighbouring visits, as far as the reference does not take it out; more if more is seen."""

_MIN_VISITS_FOR_CORRELATION = 10
_MAX_CORRELATION = 0.6


@dataclass(frozen=True)
class LogMean:
    """A mean of logarithms with the half width of its 95 % interval, over visits."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half


def mean_of(values: Sequence[float], extra_deviation: float = 0.0) -> LogMean:
    """The mean of values that may be correlated from one to the next, in order.

    ``extra_deviation`` is the standard deviation of what all of them share. Two values at least.
    """
    n, mean = len(values), statistics.fmean(values)
    deviation = statistics.stdev(values)
    correlation = CORRELATION
    if n >= _MIN_VISITS_FOR_CORRELATION and deviation:
        centred = [value - mean for value in values]
        products = sum(a * b for a, b in itertools.pairwise(centred))
        seen = products / sum(value * value for value in centred)
        correlation = min(max(seen, CORRELATION), _MAX_CORRELATION)
    half = _half_of_visits(n, deviation, correlation)
    return LogMean(mean, math.hypot(half, 1.96 * extra_deviation))


def _half_of_visits(n: int, deviation: float, correlation: float = CORRELATION) -> float:
    """Half of the t-interval of a mean of n values, neighbours of which are correlated."""
    error = deviation / math.sqrt(n) * math.sqrt((1 + correlation) / (1 - correlation))
    return t_quantile(n - 1) * error


def is_beyond_visits(timing: Timing, precision: float) -> bool:
    """Whether the interval stays wider than ``precision`` however many visits come.

    It does where the machine is so far from its usual speed that what is not known of the
    coefficient, which all visits share, is wider alone; and the visits have done their part.
    """
    n = len(timing.visits)
    if n < 2 or timing.between_s is None or timing.ci_high_s is None:
        return False
    whole = math.log(timing.ci_high_s / timing.median_s)
    of_visits = _half_of_visits(n, timing.between_s / timing.median_s)
    shared = math.sqrt(max(whole**2 - of_visits**2, 0.0))
    limit = math.log1p(precision)
    return of_visits <= limit <= shared


def summarize_visits(visits: Sequence[Visit], precision: float, level: float | None) -> Timing:
    """A `Timing` of the visits of one case, in generation with its times by token.

    ``precision`` is the half width that was asked for, as a fraction; ``level`` the reference's
    time in seconds at the machine's usual speed, None where that is not known yet. Fewer than three
    visits have the interval over their samples.
    """

    def timing_of(each: Sequence[Visit]) -> Timing:
        return _timing_of(each, precision, level)

    return replace(timing_of(visits), tokens=token_times(visits, timing_of))


def _timing_of(visits: Sequence[Visit], precision: float, level: float | None) -> Timing:
    """What `summarize_visits` draws from the samples alone."""
    over_samples = summarize_samples(visits, precision)
    if len(visits) < MIN_VISITS:
        return over_samples
    times = [log_time(visit) for visit in visits]
    references = [log_reference(visit) for visit in visits]
    known = [reference for reference in references if reference is not None]
    coefficient, usual, drift = NOT_AT_ALL, 0.0, 0.0
    if len(known) == len(times):
        coefficient = coefficient_of(times, known, prior_of(visits), reference_noise(visits))
        usual = statistics.fmean(known)
        if level is not None and not is_outdone(level, math.exp(usual)):
            usual = math.log(level)
        drift = statistics.fmean(known) - usual
        times = [t - coefficient.value * (r - usual) for t, r in zip(times, known, strict=True)]
    estimate = mean_of(times, drift * coefficient.deviation)
    median = math.exp(estimate.mean)
    within = [statistics.stdev(visit.samples) for visit in visits if len(visit.samples) > 1]
    return replace(
        over_samples,
        median_s=median,
        ci_low_s=math.exp(estimate.low),
        ci_high_s=math.exp(estimate.high),
        noisy=math.expm1(estimate.half) > precision,
        interval="visits",
        between_s=median * statistics.stdev(times),
        within_s=statistics.median(within) if within else None,
        drift=math.expm1(coefficient.value * drift) if coefficient.value else None,
    )
