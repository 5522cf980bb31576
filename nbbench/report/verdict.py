"""What two results say of each other: the ratio of their times, how surely, and the verdict.

Two cases of one run are compared visit by visit, cases of two runs by their times at the
reference's level (`ratios`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ..plan.result import Result
from ..text import rounded
from ..worker.case import Case, Status
from ..worker.memory_profile import MemoryProfile
from ..worker.timing import MIN_VISITS, Timing, Visit
from .ratios import paired_ratio, unpaired_ratio

MATTERS = 0.02
"""A difference of time that matters; what surely lies below it is called the same."""

MEMORY_MATTERS = 0.05
"""The same for peak memory, which differs from run to run by the C allocator's chance."""

MEMORY_CHANCE_BYTES = 32 << 20
"""By which peaks on the CPU differ by chance: 59 to 83 MiB of activations in ten runs of a case."""


class Verdict(str, Enum):
    """What is known of a difference."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNSURE = "cannot tell"


PROCESSES_DIFFER = 1.5
"""The factor by which two processes that do the same differ at most, as far as was seen."""


@dataclass(frozen=True)
class Difference:
    """One case beside another: ``ratio`` is its time over the other's, with a 95 % interval.

    ``memory_ratio`` is that of their peaks, and ``memory`` the verdict on it: "larger", "smaller",
    "same", or empty where a peak is missing or they are of two kinds. ``reason`` says why there is
    no ratio. ``node`` is where the case ran, in a report of several machines. ``failure`` is how
    the case failed, like "oom", where the other one did not.
    """

    case: Case
    other: Case
    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    memory_ratio: float | None = None
    memory: str = ""
    reason: str = ""
    node: str = ""
    failure: str = ""


def compare_results(
    result: Result, base: Result, matters: float = MATTERS, *, paired: bool
) -> Difference:
    """One result beside another; ``paired`` where both are of one report.

    What of that was measured in one run is compared round by round.
    """
    for each in (result, base):
        if each.outcome.status is not Status.OK or each.outcome.timing is None:
            reason = each.outcome.reason or "no time was taken"
            if each.case.label != result.case.label:
                reason = f"{each.case.label}: {reason}"
            return _without_times(result, base, reason)
    visits = _visits(result), _visits(base)
    one_kernel = _have_one_kernel(result, base)
    estimate = paired_ratio(*visits, one_kernel=one_kernel) if paired else None
    estimate = estimate or unpaired_ratio(*visits, one_kernel=one_kernel)
    memory_ratio, memory = _compare_memory(result, base)
    if estimate is None:
        verdict, low, high = _by_samples(result.outcome.timing, base.outcome.timing)
        reason = f"fewer than {MIN_VISITS} visits to compare"
        if verdict is not Verdict.UNSURE:
            reason += f": by their samples, which are more than {PROCESSES_DIFFER:g} times apart"
        return Difference(
            result.case,
            base.case,
            verdict,
            _plain_ratio(result, base),
            low,
            high,
            memory_ratio=memory_ratio,
            memory=memory,
            reason=reason,
        )
    low, high = math.exp(estimate.low), math.exp(estimate.high)
    return Difference(
        result.case,
        base.case,
        verdict_of(low, high, matters),
        math.exp(estimate.mean),
        low,
        high,
        memory_ratio,
        memory,
    )


def _have_one_kernel(result: Result, base: Result) -> bool:
    """Whether two results' references were one kernel on one device, and differ by drift alone.

    What runs a model may keep processors busy beside the kernel, so that one framework's is no
    other's. Older files have no names of kernels, and some none of devices.
    """
    names = {each.outcome.device_name for each in (result, base)} - {""}
    places = {
        (each.case.framework, each.outcome.device, each.outcome.node) for each in (result, base)
    }
    kernels = {visit.kernel for each in (result, base) for visit in _visits(each)}
    settings = {(each.case.environment, each.case.threads) for each in (result, base)}
    same = settings if "" in kernels else kernels
    return len(places) == len(same) == 1 and len(names) <= 1


def _without_times(result: Result, base: Result, reason: str) -> Difference:
    """What is known of two results, one of which has no time: its failure, or their peaks."""
    now, before = result.outcome.status, base.outcome.status
    has_failed = now is not Status.OK and not result.outcome.was_cancelled
    is_failure = before is Status.OK and has_failed
    ratio, memory = _compare_memory(result, base) if now is before is Status.OK else (None, "")
    return Difference(
        result.case,
        base.case,
        Verdict.UNSURE,
        memory_ratio=ratio,
        memory=memory,
        reason=reason,
        failure=now.value if is_failure else "",
    )


def _by_samples(
    mine: Timing | None, theirs: Timing | None
) -> tuple[Verdict, float | None, float | None]:
    """What the samples of one process each say, and the ends of their ratio's interval.

    They say nothing of other processes, and so decide only where they are farther apart than those
    are, and never where one of them is noisy; without a verdict there is no interval.
    """
    if mine is None or theirs is None or mine.noisy or theirs.noisy:
        return Verdict.UNSURE, None, None
    ends = (mine.ci_low_s, mine.ci_high_s, theirs.ci_low_s, theirs.ci_high_s)
    if None in ends:
        return Verdict.UNSURE, None, None
    low = (mine.ci_low_s or 0) / (theirs.ci_high_s or 1) / PROCESSES_DIFFER
    high = (mine.ci_high_s or 0) / (theirs.ci_low_s or 1) * PROCESSES_DIFFER
    if low > 1:
        return Verdict.SLOWER, low, high
    return (Verdict.FASTER, low, high) if high < 1 else (Verdict.UNSURE, None, None)


def verdict_of(low: float, high: float, matters: float) -> Verdict:
    """What the interval of a ratio of times says."""
    if low >= 1 / (1 + matters) and high <= 1 + matters:
        return Verdict.SAME
    if high < 1:
        return Verdict.FASTER
    return Verdict.SLOWER if low > 1 else Verdict.UNSURE


def _visits(result: Result) -> tuple[Visit, ...]:
    timing = result.outcome.timing
    return () if timing is None else timing.visits


def _plain_ratio(result: Result, base: Result) -> float | None:
    mine, theirs = result.outcome.timing, base.outcome.timing
    return None if mine is None or theirs is None else mine.median_s / theirs.median_s


def _compare_memory(result: Result, base: Result) -> tuple[float | None, str]:
    """The ratio of peaks, and what it says beyond chance; nothing of peaks of two kinds."""
    mine, theirs = _peak(result.outcome.memory), _peak(base.outcome.memory)
    if not mine or not theirs or _kind_of_peak(result) != _kind_of_peak(base):
        return None, ""
    chance = MEMORY_CHANCE_BYTES if result.outcome.device == "cpu" else 0
    if abs(mine - theirs) <= max(MEMORY_MATTERS * theirs, chance):
        return mine / theirs, "same"
    return mine / theirs, "larger" if mine > theirs else "smaller"


def _kind_of_peak(result: Result) -> tuple[str, str]:
    """What a peak is of: a process on a CPU, an allocator on a GPU, and how it was read."""
    memory = result.outcome.memory
    device = result.outcome.device.partition(":")[0]
    return device, "" if memory is None else memory.method


def _peak(memory: MemoryProfile | None) -> int | None:
    return None if memory is None else memory.peak


def ratio_text(difference: Difference) -> str:
    """A ratio as a person reads it: 0.842 [0.83, 0.86]; empty where there is none."""
    if difference.ratio is None:
        return ""
    if difference.low is None or difference.high is None:
        return rounded(difference.ratio)
    ends = f"[{rounded(difference.low)}, {rounded(difference.high)}]"
    return f"{rounded(difference.ratio)} {ends}"
