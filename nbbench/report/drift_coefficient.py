"""How far a model's times follow the reference kernel's, as the machine drifts.

The logarithm of a visit's median time is regressed on that of its reference (a control variate).
The coefficient starts from what was seen of PyTorch models on processors, and is kept between 0 and
1: short calls, which are small operations and threads waiting for each other as the reference is,
follow it most; long ones, which keep the processor's arithmetic or its memory busy, hardly; and one
that waits for something else not at all.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..worker.timing import Visit

_SHORT_S, _LONG_S = 0.005, 0.5
_OF_SHORT, _OF_LONG = 0.7, 0.1
"""The coefficients that were seen of calls so short and so long, on several machines and days:
`docs/drift.py` prints them."""

_DEVIATION = 0.15
"""How far a model's own coefficient is from that, and..."""

_UNMODELLED = 0.12
"""...how far it is from itself in another kind of drift, of which a run may see one alone."""

_LEAST, _ALL = 0.05, 0.9
"""Parts of the time in which a call computes: taken for none at all, and for all of it."""

_MIN_SIGNAL = 0.3
"""The part of the references' variance that is taken for the machine's at least."""

_CONTRADICTION = 10.0
"""How many times as large the residuals at the prior are as the least, where it does not hold."""


@dataclass(frozen=True)
class Coefficient:
    """How far times follow the reference: an estimate from 0 to 1, and its standard deviation."""

    value: float
    deviation: float


NOT_AT_ALL = Coefficient(0.0, 0.0)


def log_time(visit: Visit) -> float:
    """The logarithm of a visit's median time."""
    return math.log(statistics.median(visit.samples))


def log_reference(visit: Visit) -> float | None:
    """The logarithm of a visit's median reference; None where there is none."""
    return math.log(statistics.median(visit.references)) if visit.references else None


@dataclass(frozen=True)
class Prior:
    """What is known of a coefficient before its visits are seen: its mean, and two deviations.

    ``unmodelled`` stays however many visits come.
    """

    mean: float
    deviation: float
    unmodelled: float


def prior_of(visits: Sequence[Visit]) -> Prior:
    """The prior for calls as long as these, and that compute for as much of their time."""
    call_s = statistics.median(statistics.median(visit.samples) for visit in visits)
    length = math.log(call_s / _SHORT_S) / math.log(_LONG_S / _SHORT_S)
    mean = _OF_SHORT + (_OF_LONG - _OF_SHORT) * min(max(length, 0.0), 1.0)
    computing = _computing_part(visits)
    return Prior(computing * mean, max(computing, _LEAST) * _DEVIATION, computing * _UNMODELLED)


def _computing_part(visits: Sequence[Visit]) -> float:
    """The part of the visits' times that can follow the reference; 1 where it is unknown."""
    known = [visit.computing for visit in visits if visit.computing is not None]
    part = statistics.median(known) if known else 1.0
    return part if part < _ALL else 1.0


def coefficient_of(
    times: Sequence[float], references: Sequence[float], prior: Prior, noise: float = 0.0
) -> Coefficient:
    """The coefficient of log times on log references: least squares with a normal prior.

    ``noise`` is the variance of each log reference by its own chance, which least squares would
    take for variation that the times do not follow (errors in variables). The residuals' variance
    is taken at the prior, unless the times plainly contradict it.
    """
    mean_time, mean_reference = statistics.fmean(times), statistics.fmean(references)
    xs = [time - mean_time for time in times]
    ys = [reference - mean_reference for reference in references]
    observed = sum(y * y for y in ys)
    if not observed:
        return Coefficient(prior.mean, math.hypot(prior.deviation, prior.unmodelled))
    sum_yy = max(observed - (len(ys) - 1) * noise, _MIN_SIGNAL * observed)
    sum_xy = sum(x * y for x, y in zip(xs, ys, strict=True))

    def residuals(value: float) -> float:
        return sum((x - value * y) ** 2 for x, y in zip(xs, ys, strict=True))

    value = prior.mean
    if residuals(value) > _CONTRADICTION * residuals(sum_xy / observed):
        value, sum_yy = sum_xy / observed, observed
    for _ in range(3):  # the residuals' variance depends on the coefficient
        variance = max(residuals(value) / max(len(xs) - 2, 1), 1e-8)
        precision = sum_yy / variance + prior.deviation**-2
        value = (sum_xy / variance + prior.mean * prior.deviation**-2) / precision
    bounded = min(max(value, 0.0), 1.0)
    return Coefficient(bounded, math.hypot(precision**-0.5, prior.unmodelled))


def reference_noise(visits: Sequence[Visit]) -> float:
    """The variance of a visit's log median reference by chance, from the spread of its times.

    The median of n normal values has π/2 times the variance of their mean.
    """
    variances = [
        math.pi / 2 * _variance(list(map(math.log, visit.references))) / len(visit.references)
        for visit in visits
        if len(visit.references) >= 3
    ]
    return statistics.median(variances) if variances else 0.0


def _variance(values: Sequence[float]) -> float:
    """As `statistics.variance`, whose fractions take most of the time of thousands of cases."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
