"""The ratio of two cases' times, from their visits.

Two cases of one run are compared visit by visit: in each round the logarithm of their times' ratio
is taken, what they differ by as the machine drifted between the two visits taken out, and an
interval drawn over the rounds (Kalibera and Jones, *Rigorous Benchmarking in Reasonable Time*, ISMM
2013). Rounds differ from each other by chance alone, but now and then one is hit by other work: the
mean is a trimmed one, and its interval that of Tukey and McLaughlin (*Less Vulnerable Confidence
and Significance Procedures for Location Based on a Single Sample*, Sankhyā A 25, 1963).

Visits go on until the ratio is known well enough, which claims too much if it is asked after each
of them: it is asked seldom, at `LOOKS`, and at a level of 99 %, of which 95 % are left
(`tests/test_ratios.py` simulates it).

Cases of two runs are compared by their times at the reference's level, as are two of which one was
measured before: visits are neighbours only in the same round of the same run.

Where the references were not one kernel on one device (two frameworks, versions or machines), they
differ by more than drift, and nothing is taken out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ..worker.student_t import t_quantile
from ..worker.timing import MIN_VISITS, Visit
from .drift_coefficient import (
    NOT_AT_ALL,
    Coefficient,
    Prior,
    coefficient_of,
    log_reference,
    log_time,
    prior_of,
    reference_noise,
)
from .visits import LogMean, mean_of

LOOKS = (6, 8, 10, 13, 17, 22, 30)
"""After how many rounds it is asked whether a ratio is known well enough."""

_TRIMMED = 0.15
"""The part of the rounds that is left out of the mean at each end."""

_OF_A_PAIR = Prior(0.3, 0.3, 0.0)
"""How far ratios of neighbouring visits follow the ratios of their references: less than times do,
as a reference's own chance is twice in it."""

_SLOW_PART = 0.4
"""Of what visits differ by: how far a whole run is off, as they also drift from minute to minute,
which no number of visits within some seconds shows. (`docs/steadiness.py runs` counts by it.)"""

_RUNS_DIFFER = 0.06
"""The standard deviation of a run's log time where drift is not taken out: 0.017 to 0.065 were seen
of three models on a shared machine, however little their visits differ by. (`docs/steadiness.py
runs` prints it, of raw medians.)"""


def paired_ratio(
    mine: Sequence[Visit], theirs: Sequence[Visit], *, one_kernel: bool = True
) -> LogMean | None:
    """The log ratio over the rounds that both have; None for fewer than three.

    ``one_kernel`` says whether their references were one kernel on one device.
    """
    pairs = _pairs(mine, theirs)
    if len(pairs) < MIN_VISITS:
        return None
    ratios = [log_time(one) - log_time(other) for one, other in pairs]
    references = [(log_reference(one), log_reference(other)) for one, other in pairs]
    known = [one - other for one, other in references if one is not None and other is not None]
    if one_kernel and len(known) == len(ratios):
        noise = 2 * reference_noise([visit for pair in pairs for visit in pair])
        coefficient = coefficient_of(ratios, known, _OF_A_PAIR, noise)
        ratios = [r - coefficient.value * drift for r, drift in zip(ratios, known, strict=True)]
    return trimmed_mean_of(ratios)


def trimmed_mean_of(values: Sequence[float]) -> LogMean:
    """The trimmed mean of independent values; its error is that of the winsorized ones."""
    ordered, n = sorted(values), len(values)
    cut = int(_TRIMMED * n)
    kept = ordered[cut : n - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = statistics.stdev(winsorized) * math.sqrt((n - 1) / (len(kept) * (len(kept) - 1)))
    return LogMean(statistics.fmean(kept), t_quantile(len(kept) - 1, 0.995) * error)


def unpaired_ratio(
    mine: Sequence[Visit], theirs: Sequence[Visit], *, one_kernel: bool = True
) -> LogMean | None:
    """The log ratio of two runs, each at its own visits; None for fewer than three of either.

    ``one_kernel`` says whether their references were one kernel on one device.
    """
    if min(len(mine), len(theirs)) < MIN_VISITS:
        return None
    coefficient = _shared_coefficient(mine, theirs) if one_kernel else NOT_AT_ALL
    drift = _RUNS_DIFFER if coefficient == NOT_AT_ALL else 0.0
    means, drifts, slow = [], [], []
    for visits in (mine, theirs):
        references = [log_reference(visit) or 0.0 for visit in visits]
        times = [log_time(visit) for visit in visits]
        steady = [t - coefficient.value * r for t, r in zip(times, references, strict=True)]
        means.append(mean_of(steady))
        slow.append(1.96 * math.hypot(_SLOW_PART * statistics.stdev(steady), drift))
        drifts.append(statistics.fmean(references))
    unsure = 1.96 * (drifts[0] - drifts[1]) * coefficient.deviation
    half = math.hypot(means[0].half, means[1].half, unsure, *slow)
    return LogMean(means[0].mean - means[1].mean, half)


def _shared_coefficient(mine: Sequence[Visit], theirs: Sequence[Visit]) -> Coefficient:
    """The coefficient from the visits of both, each about its own mean."""
    times: list[float] = []
    references: list[float] = []
    for visits in (mine, theirs):
        known = [(log_time(v), log_reference(v)) for v in visits]
        pairs = [(time, reference) for time, reference in known if reference is not None]
        if len(pairs) < len(visits):
            return NOT_AT_ALL
        mean_time = statistics.fmean(time for time, _ in pairs)
        mean_reference = statistics.fmean(reference for _, reference in pairs)
        times += [time - mean_time for time, _ in pairs]
        references += [reference - mean_reference for _, reference in pairs]
    both = [*mine, *theirs]
    return coefficient_of(times, references, prior_of(both), reference_noise(both))


def _pairs(mine: Sequence[Visit], theirs: Sequence[Visit]) -> list[tuple[Visit, Visit]]:
    """The visits of the rounds of a run that both have, in order."""
    of_round = {(visit.run, visit.round): visit for visit in theirs}
    found = [(visit, of_round.get((visit.run, visit.round))) for visit in mine]
    return [(visit, other) for visit, other in found if other is not None]
