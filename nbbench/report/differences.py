"""Which cases are compared with which, of one run or of two, and what comes of it."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, did_you_mean
from ..plan.baseline import several_axes, without_what_follows
from ..plan.result import Result
from ..text import quoted
from ..worker.case import AXES, Axis, Case, Status
from .configurations import notes_on_names, work_of
from .verdict import MATTERS, Difference, Verdict, compare_results

if TYPE_CHECKING:
    import pandas as pd

NODE = Axis("node", "node", ", on {}", rank=9.5, usual="")
"""The machines of a cluster, or of reports that were gathered; a result has it, and no case."""

_OF_A_FRAMEWORK = tuple(
    axis
    for name in ("execution", "compile_mode", "environment")
    for axis in AXES
    if axis.name == name
)
"""What is each framework's own, from what matters most on."""

FIRST = "first"
"""The baseline that is the first value of the axis in which cases differ, or the first of several
ways to run each."""


@dataclass(frozen=True)
class Differences:
    """What differs, case by case.

    ``title`` names what is compared with what, and ``each`` has one `Difference` a compared case.
    ``notes`` are what has to be known first, such as environments that differ; ``unmatched`` the
    labels of cases that stand on one side alone; ``varying`` the names of the axes in which cases
    differ; ``of_models`` sentences on names that several models have; ``vanished`` the labels of
    an earlier run's cases that went well and are not in this run; ``of_bases`` the names of the
    axes, beside that by which they are compared, in which a case and its baseline may differ.
    """

    title: str
    each: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    of_models: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    of_bases: tuple[str, ...] = ()

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

        Ratios of one comparison share what they are unsure of, as how far a whole run is off, or
        the baseline's own time: more cases make the mean no surer.
        """
        known = [d for d in self.each if d.ratio and d.low and d.high]
        if len(known) < 2:
            return None
        logs = [math.log(d.ratio or 1.0) for d in known]
        own = [(math.log(d.high or 1.0) - math.log(d.low or 1.0)) / 2 for d in known]
        mean = statistics.fmean(logs)
        # the deviation of a sum is at most the sum of deviations, whatever is shared
        half = statistics.fmean(own)
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
    results = [r for r in results if _value(r, axis) not in ("", None)] or results
    wanted = _value_of_baseline(results, axis, baseline)
    of_baseline = [result for result in results if _value(result, axis) == wanted]
    bases = _by_identity(of_baseline, axis, wanted)
    differences, unmatched = [], []
    for result in results:
        if _value(result, axis) == wanted:
            continue
        keys = _identities(result, axis, wanted)
        found = next((bases[key] for key in keys if key in bases), None)
        if found is not None:
            differences.append(_compared_by(axis, result, _nearest(result, found), matters))
        else:
            unmatched.append(result.case.label)
    return Differences(
        f"by {axis.head}, against {wanted}",
        tuple(differences),
        unmatched=tuple(unmatched),
        varying=(axis.name, *varying_names([d.case for d in differences])),
        of_models=() if axis.name == "model" else notes_on_names(results),
        of_bases=tuple(_choices_of_bases(differences, of_baseline)),
    )


def _value_of_baseline(results: Sequence[Result], axis: Axis, baseline: str | None) -> Any:
    """The axis's value that a text names, or the first one; `ArgumentError` if there is none."""
    values = list(dict.fromkeys(_value(result, axis) for result in results))
    if len(values) == 1:
        only = str(values[0]) or "none"
        several = axis.name == "device_name" and len({r.outcome.node for r in results}) > 1
        hint = "; compare by node, of which there are several" if several else ""
        raise ArgumentError(
            f"these cases have one {axis.head} alone ({quoted(only)}); nothing differs by it{hint}"
        )
    if baseline is None:
        return values[0]
    for value in values:
        if str(value) == baseline:
            return value
    listed = ", ".join(map(str, values))
    hint = did_you_mean(baseline, map(str, values))
    raise ArgumentError(f"baseline: {quoted(baseline)} is no {axis.name} of these ({listed}){hint}")


def _by_identity(
    bases: Sequence[Result], axis: Axis, baseline: Any
) -> dict[tuple[Any, ...], dict[str, list[Result]]]:
    """Results of the baseline by what else they are, and by node.

    Of equal cases of one node the last counts, as in files.
    """
    last = {(base.case, base.outcome.node): base for base in bases}
    found: dict[tuple[Any, ...], dict[str, list[Result]]] = {}
    for base in last.values():
        exact, *looser = _identities(base, axis, baseline)
        for key in [exact, *(looser if base.case.parallel == "none" else [])]:
            found.setdefault(key, {}).setdefault(base.outcome.node, []).append(base)
    return found


def _nearest(result: Result, of_nodes: Mapping[str, Sequence[Result]]) -> Result:
    """The base that a result is compared with, of several that a framework has.

    Of its own machine's, if there are any, it is one that went well, then one of the same execution
    and environment, and then the first, which is what the framework usually does.
    """

    def nearness(base: Result) -> tuple[bool, ...]:
        same = (base.value(axis) == result.value(axis) for axis in _OF_A_FRAMEWORK)
        return (base.outcome.status is Status.OK, *same)

    return max(of_nodes.get(result.outcome.node) or next(iter(of_nodes.values())), key=nearness)


def _choices_of_bases(differences: Sequence[Difference], bases: Sequence[Result]) -> list[str]:
    """The axes in which a framework has several bases, and a case another one than its own."""
    return [
        axis.name
        for axis in _OF_A_FRAMEWORK
        if len({axis.value(base.case) for base in bases}) > 1
        and any(axis.value(d.case) != axis.value(d.other) for d in differences)
    ]


def _compared_by(axis: Axis, result: Result, base: Result, matters: float) -> Difference:
    """One result beside that of the baseline; of two machines only where they are compared."""
    of_machines = axis.name in ("device_name", NODE.name)
    one_machine = result.outcome.node == base.outcome.node
    difference = compared(result, base, matters, paired=one_machine and not of_machines)
    if one_machine or of_machines or difference.ratio is None:
        return difference
    reason = f"the other one ran on another machine ({base.outcome.node})"
    return dataclasses.replace(difference, verdict=Verdict.UNSURE, reason=reason)


def compared(result: Result, base: Result, matters: float, *, paired: bool) -> Difference:
    """One result beside another, with the node that it is of."""
    difference = compare_results(result, base, matters, paired=paired)
    return dataclasses.replace(difference, node=result.outcome.node)


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
    of_ways = ways if len(ways) == 1 else [""] if ways else []  # several: each with the first
    for by in ("device_name", *of_ways, "model"):
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


def _against_first(results: Sequence[Result], matters: float) -> Differences:
    """Compare each case with the first one of the same model and inputs, however it is run."""
    bases: dict[tuple[Any, ...], Result] = {}
    differences = []
    for result in results:
        shared = (axis.value(result.case) for axis in AXES if not axis.is_way)
        key = (result.outcome.node, *work_of(result.case), *shared)
        base = bases.setdefault(key, result)
        if base is not result:
            differences.append(compared(result, base, matters, paired=True))
    titles = {difference.other.label for difference in differences}
    return Differences(
        f"against {titles.pop()}" if len(titles) == 1 else "against the first of each",
        tuple(differences),
        varying=varying_names([result.case for result in results]),
        of_models=notes_on_names(results),
    )


def _ways_that_vary(results: Sequence[Result]) -> list[str]:
    """The axes of how a model is run in which these differ; a mode goes with its execution."""
    ways = [axis for axis in AXES if axis.is_way]
    varying = [axis.name for axis in ways if len({str(r.value(axis)) for r in results}) > 1]
    return without_what_follows(varying, [result.case for result in results])


def _name(value: object) -> str:
    """A value of an axis as its text, whatever it is."""
    try:
        return str(value)
    except Exception:  # of its own code, or of a number that is too long to be written
        return quoted(value)


def _axis(results: Sequence[Result], by: str, baseline: str | None) -> Axis:
    names = [axis.name for axis in AXES]
    names.append(NODE.name)
    heads = {axis.head: axis for axis in (*AXES, NODE)} | {
        axis.name: axis for axis in (*AXES, NODE)
    }
    if by:
        if by not in heads:
            raise ArgumentError(
                f"by: {quoted(by)} is not one of {', '.join(names)}{did_you_mean(by, names)}"
            )
        return heads[by]
    varying = [axis for axis in AXES if len({str(r.value(axis)) for r in results}) > 1]
    kept = without_what_follows([axis.name for axis in varying], [r.case for r in results])
    varying = [axis for axis in varying if axis.name in kept]
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
    if len(varying) > 1 and baseline != FIRST:  # rather what was asked for than what came of it
        of_cases = [a for a in varying if len({str(a.value(r.case)) for r in results}) > 1]
        varying = of_cases or varying
    if len(varying) > 1 and baseline is not None and baseline != FIRST:
        names = [axis.name for axis in varying]
        raise ArgumentError(
            f"{several_axes(baseline, names)}; say by which to compare, like by={names[0]!r}"
        )
    return varying[0]


def is_of_axis(results: Sequence[Result], by: str, baseline: str) -> bool:
    """Whether a baseline is a value of this axis, or stands for the first one of any."""
    axis = next((axis for axis in (*AXES, NODE) if by in (axis.name, axis.head)), None)
    known = axis is not None and any(str(_value(r, axis)) == baseline for r in results)
    return known or baseline == FIRST


def _value(result: Result, axis: Axis) -> Any:
    """The result's value on an axis, or the node that it is of."""
    return result.outcome.node if axis.name == NODE.name else result.value(axis)


def _identities(result: Result, but: Axis, baseline: Any) -> list[tuple[Any, ...]]:
    """The case on all other axes, from the nearest match on; some axes go with others.

    Cases of one name are of one model only where all of their work is equal. An execution or
    a dtype goes with its framework's own. One process alone is one rank, whichever
    way several of them divide the model.
    """
    skipped = {but.name}
    if but.name == "framework":
        skipped |= {axis.name for axis in _OF_A_FRAMEWORK}
    if but.name == "execution":
        skipped.add("compile_mode")  # which one execution alone has
    nearest = [skipped]
    if but.name == "parallel" and baseline == "none":
        nearest.append({*skipped, "ranks"})
    if but.name == "ranks" and baseline == 1:
        nearest.append({*skipped, "parallel"})
    work = work_of(result.case, but.name)
    return [
        (len(names), *work, *(axis.value(result.case) for axis in AXES if axis.name not in names))
        for names in nearest
    ]


def varying_names(cases: Sequence[Case]) -> tuple[str, ...]:
    """The names of the axes in which these cases differ."""
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
