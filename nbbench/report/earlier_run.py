"""The cases of a run beside the same ones of an earlier run."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from typing import Any

from ..plan.result import Result
from ..worker.case import AXES, Case
from .differences import Differences, compared, varying_names
from .environment import EnvironmentFacts, environment_differences
from .verdict import MATTERS, Verdict

_SETTINGS = (
    "environment", "dtype", "quantization", "attention", "execution", "compile_mode", "cache",
)  # fmt: skip
"""The axes that say how a model is run, and not which, nor on what inputs."""

_NO_DIFFERENCE = ("transformers_version", "_name_or_path")
"""What a configuration names that changes nothing of its model."""


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
        difference = compared(result, other, matters, paired=False)
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
        varying_names([d.case for d in differences]),
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
