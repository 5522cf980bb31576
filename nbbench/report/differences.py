"""Which cases are compared with which, of one run or of two, and what comes of it."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, did_you_mean
from ..plan.result import Result
from ..text import quoted
from ..worker.case import AXES, Axis, Case, Status
from .environment import EnvironmentFacts, environment_differences
from .verdict import MATTERS, Difference, Verdict, compare_results

if TYPE_CHECKING:
    import pandas as pd

FIRST = "first"
"""The baseline that is the first value of the axis in which cases differ, or the first of several
ways to run each."""


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
    def is_known(self) -> bool:
        """Whether of any case more is known than that there is nothing to compare."""
        return any(
            each.verdict is not Verdict.UNSURE or each.ratio is not None or each.memory
            for each in self.each
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row a compared case: its axes, the ratio with its interval, and the verdicts."""
        import pandas as pd

        of_nodes = any(difference.node for difference in self.each)
        return pd.DataFrame([_row(difference, of_nodes=of_nodes) for difference in self.each])

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
    which ``baseline`` is a value, or the only one in which cases differ; where cases are run in
    several ways (in more than one framework, execution, dtype, …) and ``baseline`` is "first", each
    is compared with the first that has the same model and inputs. Raises `ArgumentError`.
    """
    baseline = None if baseline is None else _name(baseline)
    if baseline == FIRST and not by and len(_ways_that_vary(results)) > 1:
        return _against_first(results, matters)
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
    bases: dict[tuple[Any, ...], dict[str, Result]] = {}
    for base in results:
        if base.value(axis) == wanted:  # of equal cases of one node the last counts, as in files
            bases.setdefault(_identity(base, axis), {})[base.outcome.node] = base
    differences, unmatched = [], []
    for result in results:
        if result.value(axis) == wanted:
            continue
        of_nodes = bases.get(_identity(result, axis), {})
        found = of_nodes.get(result.outcome.node) or next(iter(of_nodes.values()), None)
        if found is None:
            unmatched.append(result.case.label)
        else:
            one_machine = axis.name != "device_name" and _same_node(result, found)
            differences.append(_compared(result, found, matters, paired=one_machine))
    return Differences(
        f"by {axis.head}, against {wanted}",
        tuple(differences),
        unmatched=tuple(unmatched),
        varying=(axis.name, *_varying([d.case for d in differences])),
    )


def _compared(result: Result, base: Result, matters: float, *, paired: bool) -> Difference:
    """One result beside another, with the node that it is of."""
    difference = compare_results(result, base, matters, paired=paired)
    return dataclasses.replace(difference, node=result.outcome.node)


def _same_node(result: Result, base: Result) -> bool:
    return result.outcome.node == base.outcome.node


def usual_differences(results: Sequence[Result], baseline: str | None) -> Differences | None:
    """What a page compares where nobody says by what; None where there is nothing.

    That is with the run's baseline; else machines, else the ways that models are run in, and else
    models. Sizes alone are not compared: that more takes longer is in the table.
    """
    results = [result for result in results if result.outcome.status is not Status.SKIPPED]
    if baseline is not None:
        known = differences_from(results, baseline)
        return known if known is not None and known.is_known else None
    ways = _ways_that_vary(results)
    for by in ("device_name", *(ways if len(ways) == 1 else [""] if ways else []), "model"):
        with suppress(ArgumentError):
            found = compare_by(results, by, None if by else FIRST)
            if found.is_known:
                return found
    return None


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
    pairs, rest = _partners(results, others, swapped)
    differences, unmatched = [], []
    for result, other in pairs:
        if other is None:
            unmatched.append(f"{result.case.label} (in the new run alone)")
            continue
        difference = _compared(result, other, matters, paired=False)
        if not comparable and difference.ratio is not None:
            difference = dataclasses.replace(
                difference, verdict=Verdict.UNSURE, reason="the environments differ"
            )
        differences.append(difference)
    unmatched += [f"{other.case.label} (in the old run alone)" for other in rest]
    return Differences(
        "against an earlier run",
        tuple(differences),
        tuple(notes),
        tuple(unmatched),
        _varying([d.case for d in differences]),
    )


def _partners(
    results: Sequence[Result], others: Sequence[Result], swapped: Container[str]
) -> tuple[list[tuple[Result, Result | None]], list[Result]]:
    """Each result with the same case of the earlier run, if there is one, and what is left of that.

    Of a case that was measured on several nodes, that of the same node comes first.
    """
    earlier: dict[tuple[Any, ...], dict[str, Result]] = {}
    for other in others:
        earlier.setdefault(_matched_by(other.case, swapped), {})[other.outcome.node] = other
    keys = [_matched_by(result.case, swapped) for result in results]
    found = [
        earlier.get(key, {}).pop(result.outcome.node, None)
        for key, result in zip(keys, results, strict=True)
    ]
    for number, key in enumerate(keys):
        left = earlier.get(key)
        if found[number] is None and left:
            found[number] = left.pop(next(iter(left)))
    rest = [other for left in earlier.values() for other in left.values()]
    return list(zip(results, found, strict=True)), rest


def _against_first(results: Sequence[Result], matters: float) -> Differences:
    """Compare each case with the first one of the same model and inputs, however it is run."""
    ways = {axis.name for axis in AXES if axis.name in _WAYS}
    bases: dict[tuple[Any, ...], Result] = {}
    differences = []
    for result in results:
        shared = (axis.value(result.case) for axis in AXES if axis.name not in ways)
        base = bases.setdefault((result.outcome.node, *shared), result)
        if base is not result:
            differences.append(_compared(result, base, matters, paired=True))
    titles = {difference.other.label for difference in differences}
    return Differences(
        f"against {titles.pop()}" if len(titles) == 1 else "against the first of each",
        tuple(differences),
        varying=_varying([result.case for result in results]),
    )


def _ways_that_vary(results: Sequence[Result]) -> list[str]:
    """The axes of how a model is run in which these differ; a mode goes with its execution."""
    names = [n for n in _WAYS if n != "compile_mode" or not _one_compile_mode(results)]
    axes = [axis for axis in AXES if axis.name in names]
    return [axis.name for axis in axes if len({str(r.value(axis)) for r in results}) > 1]


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


_WAYS = (
    "framework", "environment", "dtype", "quantization", "attention", "execution", "compile_mode",
    "cache",
)  # fmt: skip
"""The axes of how a model is run."""

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


def _row(difference: Difference, *, of_nodes: bool) -> dict[str, Any]:
    case = difference.case
    return {
        **{axis.name: axis.value(case) for axis in AXES},
        **({"node": difference.node} if of_nodes else {}),
        "baseline": difference.other.label,
        "ratio": difference.ratio,
        "ratio_low": difference.low,
        "ratio_high": difference.high,
        "verdict": difference.verdict.value,
        "memory_ratio": difference.memory_ratio,
        "memory_verdict": difference.memory,
        "reason": difference.reason,
    }
