"""The cases of a run beside the same ones of an earlier run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..plan.own_models import SOURCE as OWN_CODE
from ..plan.result import Result
from ..plan.saved_names import last_part
from ..text import quoted
from ..worker.case import AXES, Case, Status
from .configurations import configuration_of, note_on_runs, work_of
from .differences import Differences, compared, varying_names
from .environment import (
    EnvironmentFacts,
    EnvironmentKey,
    environment_differences,
    environment_key,
)
from .verdict import MATTERS, Verdict

_SETTINGS = (
    "environment", "dtype", "quantization", "attention", "execution", "compile_mode", "cache",
)  # fmt: skip
"""The axes that say how a model is run, and not which, nor on what inputs."""

_FOLDERS = ("folder", OWN_CODE)
"""Where the configurations of models are from that are named by a path."""


def compare_runs(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    others: Sequence[Result],
    other_facts: Sequence[EnvironmentFacts],
    matters: float = MATTERS,
) -> Differences:
    """Compare the cases of a run with the same ones of an earlier run, ``others``.

    A setting that is one thing in all of the earlier run and another in all of this was swapped:
    such cases are the same, and what was swapped is noted. No case is called faster or slower
    where its machine, device or threads are not those of the earlier one.
    """
    swapped = _swapped([r.case for r in results], [r.case for r in others])
    notes = [f"{name}: {before} before, {now} now" for name, (before, now) in swapped.items()]
    environments, other_environments = _by_key(facts), _by_key(other_facts)
    pairs, rest = _partners(results, others, swapped)
    differences, unmatched = [], []
    for result, other in pairs:
        if other is None:
            unmatched.append(f"{result.case.label} (in the new run alone)")
            continue
        difference = compared(result, other, matters, paired=False)
        differing, comparable = environment_differences(
            _with_facts(result, environments), _with_facts(other, other_environments)
        )
        notes += differing
        if not comparable and difference.ratio is not None:
            difference = dataclasses.replace(
                difference, verdict=Verdict.UNSURE, reason="the environments differ"
            )
        differences.append(difference)
    unmatched += [f"{other.case.label} (in the old run alone)" for other in rest]
    return Differences(
        "against an earlier run",
        tuple(differences),
        tuple(dict.fromkeys(notes)),
        tuple(unmatched),
        varying_names([d.case for d in differences]),
        (*_of_names(pairs), *_of_models([r for r, other in pairs if other is None], rest)),
        tuple(other.case.label for other in rest if other.outcome.status is Status.OK),
    )


def _by_key(facts: Sequence[EnvironmentFacts]) -> dict[EnvironmentKey, EnvironmentFacts]:
    return {(each.framework, each.environment): each for each in facts}


def _with_facts(
    result: Result, environments: Mapping[EnvironmentKey, EnvironmentFacts]
) -> tuple[Result, EnvironmentFacts]:
    """A result with the environment that it ran in, and so its machine."""
    return result, environments[environment_key(result.case, result.outcome.node)]


def _partners(
    results: Sequence[Result], others: Sequence[Result], swapped: Collection[str]
) -> tuple[list[tuple[Result, Result | None]], list[Result]]:
    """Each result with the same case of the earlier run, if there is one, and what is left of that.

    Models of one name come first; then folders whose names end alike, as ``run1/last`` and
    ``last``. Of a case that was measured on several nodes, that of the same node comes first.
    """
    alike, of_others = (
        [_matched_by(result.case, swapped) for result in each] for each in (results, others)
    )
    earlier: dict[tuple[str | None, tuple[Any, ...]], dict[str, Result]] = {}
    for other, case in zip(others, of_others, strict=True):
        earlier.setdefault((other.case.model, case), {})[other.outcome.node] = other
    renamed = _renamed([*zip(results, alike, strict=True)], [*zip(others, of_others, strict=True)])
    own: list[str | None] = [result.case.model for result in results]
    former = [renamed.get(_ending(result, key)) for result, key in zip(results, alike, strict=True)]
    found: list[Result | None] = [None] * len(results)
    for names in (own, former):
        for is_same_node in (True, False):
            for number, key in enumerate(zip(names, alike, strict=True)):
                left = earlier.get(key)
                if found[number] is None and left:
                    node = results[number].outcome.node if is_same_node else next(iter(left))
                    found[number] = left.pop(node, None)
    rest = [other for left in earlier.values() for other in left.values()]
    return list(zip(results, found, strict=True)), rest


def _renamed(
    results: Sequence[tuple[Result, tuple[Any, ...]]],
    others: Sequence[tuple[Result, tuple[Any, ...]]],
) -> dict[tuple[Any, ...], str]:
    """What a model of a folder was called in the earlier run, by the end of its name and its case.

    Only where in each run a single name ends so: of several nobody knows which one is meant.
    """
    names: tuple[dict[tuple[Any, ...], set[str]], ...] = ({}, {})
    for of_run, each in zip(names, (results, others), strict=True):
        for result, key in each:
            if result.case.config_source in _FOLDERS:
                of_run.setdefault(_ending(result, key), set()).add(result.case.model)
    now, before = names
    return {
        key: next(iter(before[key]))
        for key, called in now.items()
        if len(called) == len(before.get(key, ())) == 1
    }


def _ending(result: Result, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The last part of a model's name, and what else a case is known by."""
    case = result.case
    return last_part(case.model), case.code if case.config_source == OWN_CODE else "", key


def _of_names(pairs: Sequence[tuple[Result, Result | None]]) -> tuple[str, ...]:
    """Sentences on models that had another name in the earlier run."""
    names = dict.fromkeys(
        (result.case.model, other.case.model) for result, other in pairs if other is not None
    )
    return tuple(
        f"{quoted(now)} was {quoted(before)} in the old run: one configuration, and names that end "
        f"alike"
        for now, before in names
        if now != before
    )


def _of_models(alone: Sequence[Result], others: Sequence[Result]) -> tuple[str, ...]:
    """Sentences on models of one name that are not compared, since their configurations differ."""
    before = {other.case.model: other.case for other in others}
    differing = {
        result.case.model: note_on_runs(result.case.model, result.case, other)
        for result in alone
        for other in [before.get(result.case.model)]
        if other is not None and configuration_of(other) != configuration_of(result.case)
    }
    return tuple(differing.values())


def _swapped(cases: Sequence[Case], others: Sequence[Case]) -> dict[str, tuple[Any, Any]]:
    """The settings that each run has one value of, and not the same: before, and now."""
    found = {}
    for axis in AXES:
        now, before = ({axis.value(case) for case in each} for each in (cases, others))
        if axis.name in _SETTINGS and len(now) == len(before) == 1 and now != before:
            found[axis.name] = (*before, *now)
    return found


def _matched_by(case: Case, swapped: Collection[str]) -> tuple[Any, ...]:
    """What is equal for one case of two runs, the name of its model aside."""
    return (
        *(axis.value(case) for axis in AXES if axis.name not in (*swapped, "model")),
        *work_of(case),
    )
