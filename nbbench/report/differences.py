"""What differs between cases, by how much, and how surely.

Two cases of one run are compared visit by visit, cases of two runs by their times at the
reference's level (`ratios`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, did_you_mean
from ..plan.cases import AXES, Axis, Case, MemoryProfile, Result, Status
from ..text import quoted, rounded
from ..worker.timing import MIN_VISITS, Timing, Visit
from .environment import EnvironmentFacts, environment_differences
from .ratios import paired_ratio, unpaired_ratio

if TYPE_CHECKING:
    import pandas as pd

MATTERS = 0.02
"""A difference of time that matters; what surely lies below it is called the same."""

FIRST = "first"
"""The baseline that is the first value of the first axis in which cases differ."""

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
    "same", or empty where a peak is missing. ``reason`` says why there is no ratio.
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


@dataclass(frozen=True)
class Differences:
    """What differs, case by case.

    ``title`` names what is compared with what. ``notes`` are what has to be known first, such as
    environments that differ; ``unmatched`` the labels of cases that stand on one side alone.
    ``mean`` is the geometric mean of all ratios with its interval, None for fewer than two.
    """

    title: str
    each: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row a compared case: its axes, the ratio with its interval, and the verdicts."""
        import pandas as pd

        return pd.DataFrame([_row(difference) for difference in self.each])

    @property
    def mean(self) -> tuple[float, float, float] | None:
        """The geometric mean of the ratios, and the ends of its 95 % interval.

        The interval is over the cases, wider where each ratio is itself unsure.
        """
        known = [d for d in self.each if d.ratio and d.low and d.high]
        if len(known) < 2:
            return None
        logs = [math.log(d.ratio or 1.0) for d in known]
        own = [(math.log(d.high or 1.0) - math.log(d.low or 1.0)) / 2 for d in known]
        mean = statistics.fmean(logs)
        half = math.sqrt(sum(width**2 for width in own)) / len(own)
        return math.exp(mean), math.exp(mean - half), math.exp(mean + half)

    def count(self, verdict: Verdict) -> int:
        """How many cases have this verdict."""
        return sum(difference.verdict is verdict for difference in self.each)


def compare_by(
    results: Sequence[Result], by: str = "", baseline: Any = None, matters: float = MATTERS
) -> Differences:
    """Compare cases of one run that differ in the axis ``by`` alone with those of its baseline.

    ``baseline`` is a value of the axis, by default the first. Without ``by`` it is the axis of
    which ``baseline`` is a value, or the only one in which cases differ. Raises `ArgumentError`.
    """
    baseline = None if baseline is None else _name(baseline)
    axis = _axis(results, by, baseline)
    if not results:
        raise ArgumentError("this report has no case; compare one that has some")
    baseline = None if baseline == FIRST else baseline
    # cases to which the axis does not apply, as eager ones have no mode of torch.compile
    results = [r for r in results if r.value(axis) not in ("", None)] or results
    values = list(dict.fromkeys(result.value(axis) for result in results))
    if len(values) == 1:
        only = str(values[0]) or "none"
        raise ArgumentError(
            f"these cases have one {axis.head} alone ({quoted(only)}); nothing differs by it"
        )
    if baseline is None:
        baseline = values[0]
    wanted = next((value for value in values if str(value) == str(baseline)), None)
    if wanted is None:
        listed = ", ".join(map(str, values))
        hint = did_you_mean(str(baseline), map(str, values))
        raise ArgumentError(
            f"baseline: {quoted(baseline)} is no {axis.name} of these ({listed}){hint}"
        )
    bases = {_identity(r, axis): r for r in results if r.value(axis) == wanted}
    differences, unmatched = [], []
    for result in results:
        if result.value(axis) == wanted:
            continue
        base = bases.get(_identity(result, axis))
        if base is None:
            unmatched.append(result.case.label)
        else:
            differences.append(compare_results(result, base, matters, paired=True))
    return Differences(
        f"by {axis.head}, against {wanted}",
        tuple(differences),
        unmatched=tuple(unmatched),
        varying=(axis.name, *_varying([d.case for d in differences])),
    )


def differences_from(results: Sequence[Result], baseline: str | None) -> Differences | None:
    """What differs from a run's ``baseline``; None without one, or where it fits no case (yet)."""
    if baseline is None:
        return None
    try:
        return compare_by(results, baseline=baseline)
    except ArgumentError:
        return None


def compare_runs(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    others: Sequence[Result],
    other_facts: Sequence[EnvironmentFacts],
    matters: float = MATTERS,
) -> Differences:
    """Compare the cases of a run with the same ones of an earlier run, ``others``.

    A setting that is one thing in all of the earlier run and another in all of this was swapped:
    such cases are the same, and what was swapped is noted. Nothing is called faster or slower
    where machine, device or threads differ.
    """
    swapped = _swapped([r.case for r in results], [r.case for r in others])
    notes, comparable = environment_differences(
        facts, other_facts, swapped="environment" in swapped
    )
    notes = [
        f"{name}: {before} before, {now} now" for name, (before, now) in swapped.items()
    ] + notes
    earlier = {_matched_by(result.case, swapped): result for result in others}
    differences, unmatched = [], []
    for result in results:
        other = earlier.pop(_matched_by(result.case, swapped), None)
        if other is None:
            unmatched.append(f"{result.case.label} (in the new run alone)")
            continue
        difference = compare_results(result, other, matters, paired=False)
        if not comparable and difference.ratio is not None:
            difference = Difference(
                difference.case,
                difference.other,
                Verdict.UNSURE,
                difference.ratio,
                difference.low,
                difference.high,
                difference.memory_ratio,
                difference.memory,
                "the environments differ",
            )
        differences.append(difference)
    unmatched += [f"{other.case.label} (in the old run alone)" for other in earlier.values()]
    return Differences(
        "against an earlier run",
        tuple(differences),
        tuple(notes),
        tuple(unmatched),
        _varying([d.case for d in differences]),
    )


def compare_results(
    result: Result, base: Result, matters: float = MATTERS, *, paired: bool
) -> Difference:
    """One result beside another; ``paired`` where both are of one run, round by round."""
    for each in (result, base):
        if each.outcome.status is not Status.OK or each.outcome.timing is None:
            reason = each.outcome.reason or "no time was taken"
            if each.case.label != result.case.label:
                reason = f"{each.case.label}: {reason}"
            return Difference(result.case, base.case, Verdict.UNSURE, reason=reason)
    estimate = (paired_ratio if paired else unpaired_ratio)(_visits(result), _visits(base))
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


def _by_samples(
    mine: Timing | None, theirs: Timing | None
) -> tuple[Verdict, float | None, float | None]:
    """What the samples of one process each say, and the ends of their ratio's interval.

    They say nothing of other processes, and so decide only where they are farther apart than those
    are; without a verdict there is no interval.
    """
    if mine is None or theirs is None:
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
    """The ratio of peaks, and what it says beyond chance."""
    mine, theirs = _peak(result.outcome.memory), _peak(base.outcome.memory)
    if not mine or not theirs:
        return None, ""
    chance = MEMORY_CHANCE_BYTES if result.outcome.device == "cpu" else 0
    if abs(mine - theirs) <= max(MEMORY_MATTERS * theirs, chance):
        return mine / theirs, "same"
    return mine / theirs, "larger" if mine > theirs else "smaller"


def _peak(memory: MemoryProfile | None) -> int | None:
    return None if memory is None else memory.peak


def _name(value: object) -> str:
    """A value of an axis as its text, whatever it is."""
    try:
        return str(value)
    except Exception:  # of its own code, or of a number that is too long to be written
        return quoted(value)


def _axis(results: Sequence[Result], by: str, baseline: str | None) -> Axis:
    names = [axis.name for axis in AXES]
    heads = {axis.head: axis for axis in AXES} | {axis.name: axis for axis in AXES}
    if by:
        if by not in heads:
            raise ArgumentError(
                f"by: {quoted(by)} is not one of {', '.join(names)}{did_you_mean(by, names)}"
            )
        return heads[by]
    varying = [axis for axis in AXES if len({str(r.value(axis)) for r in results}) > 1]
    if any(axis.name == "execution" for axis in varying) and _one_compile_mode(results):
        varying = [axis for axis in varying if axis.name != "compile_mode"]
    if baseline not in (None, FIRST):
        varying = [a for a in varying if baseline in {str(r.value(a)) for r in results}]
    if not varying:
        what = (
            f"do not differ in {quoted(baseline)}"
            if baseline not in (None, FIRST)
            else "do not differ"
        )
        raise ArgumentError(f"these cases {what}; nothing can be compared")
    if len(varying) > 1 and baseline is None:
        listed = ", ".join(axis.name for axis in varying)
        raise ArgumentError(f"these cases differ in {listed}; say by which to compare")
    return varying[0]


def _one_compile_mode(results: Sequence[Result]) -> bool:
    """Whether all that is compiled is compiled alike, so that the execution says it already."""
    return len({result.case.compile_mode for result in results} - {""}) <= 1


def is_of_axis(results: Sequence[Result], by: str, baseline: str) -> bool:
    """Whether a baseline is a value of this axis, or stands for the first one of any."""
    axis = next((axis for axis in AXES if by in (axis.name, axis.head)), None)
    known = axis is not None and any(str(r.value(axis)) == baseline for r in results)
    return known or baseline == FIRST


def _identity(result: Result, but: Axis) -> tuple[Any, ...]:
    """The case on all other axes; an execution or a dtype goes with its framework's own."""
    skipped = {but.name}
    if but.name == "framework":
        skipped |= {"environment", "execution", "compile_mode"}
    if but.name == "execution":
        skipped.add("compile_mode")  # which one execution alone has
    return tuple(axis.value(result.case) for axis in AXES if axis.name not in skipped)


_SETTINGS = (
    "environment", "dtype", "quantization", "attention", "execution", "compile_mode", "cache",
)  # fmt: skip
"""The axes that say how a model is run, and not which, nor on what inputs."""

_NO_DIFFERENCE = ("transformers_version", "_name_or_path")
"""What a configuration names that changes nothing of its model."""


def _swapped(cases: Sequence[Case], others: Sequence[Case]) -> dict[str, tuple[Any, Any]]:
    """The settings that each run has one value of, and not the same: before, and now."""
    found = {}
    for axis in AXES:
        now, before = ({axis.value(case) for case in each} for each in (cases, others))
        if axis.name in _SETTINGS and len(now) == len(before) == 1 and now != before:
            found[axis.name] = (*before, *now)
    return found


def _matched_by(case: Case, swapped: Container[str]) -> tuple[Any, ...]:
    config = {name: value for name, value in case.config.items() if name not in _NO_DIFFERENCE}
    return (
        *(axis.value(case) for axis in AXES if axis.name not in swapped),
        case.model_class,
        case.modalities,
        case.optimizer,
        str(sorted(case.inputs.items(), key=str)),
        case.lengths,
        str(sorted(config.items(), key=str)),
    )


def _varying(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(a.name for a in AXES if len({str(a.value(case)) for case in cases}) > 1)


def _row(difference: Difference) -> dict[str, Any]:
    case = difference.case
    return {
        **{axis.name: axis.value(case) for axis in AXES},
        "baseline": difference.other.label,
        "ratio": difference.ratio,
        "ratio_low": difference.low,
        "ratio_high": difference.high,
        "verdict": difference.verdict.value,
        "memory_ratio": difference.memory_ratio,
        "memory_verdict": difference.memory,
        "reason": difference.reason,
    }


def ratio_text(difference: Difference) -> str:
    """A ratio as a person reads it: 0.842 [0.83, 0.86]; empty where there is none."""
    if difference.ratio is None:
        return ""
    if difference.low is None or difference.high is None:
        return rounded(difference.ratio)
    ends = f"[{rounded(difference.low)}, {rounded(difference.high)}]"
    return f"{rounded(difference.ratio)} {ends}"
