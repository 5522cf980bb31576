"""What the cases of a run are compared with: a value of an axis, or the first one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..errors import ArgumentError, did_you_mean
from ..text import one_line, quoted, shortened
from ..worker.case import Axis, Case, varying_axes

_SHOWN = 12
"""Of how many values a message gives the names."""

_DEFAULT_EXECUTIONS = {"eager", "graph", "xla"}
"""What a framework's default may be by name, which is known when it runs."""


def check_baseline(baseline: str | None, cases: Sequence[Case]) -> None:
    """Raise `ArgumentError` for a baseline that is a value of no axis of these cases, or of two."""
    axes = varying_axes(cases)
    if baseline is None or (baseline == "first" and axes):
        return
    kept = without_what_follows([axis.name for axis in axes], cases)
    values = {axis.name: _values(axis, cases) for axis in axes if axis.name in kept}
    found = [name for name, known in values.items() if baseline in known]
    if len(found) > 1:
        raise ArgumentError(
            f"{several_axes(baseline, found)}; give first, or measure without a baseline and "
            f"compare with report.compare(by={quoted(found[0])}, baseline={quoted(baseline)})"
        )
    if not found:
        raise ArgumentError(_no_value(baseline, values))


def _no_value(baseline: str, values: Mapping[str, Collection[str]]) -> str:
    """That a baseline is none of the values in which cases differ; these are given by axis."""
    if not values:
        return (
            f"baseline: {quoted(baseline)} has nothing to be compared with: the cases do not differ"
        )
    known = {value for each in values.values() for value in each}
    listed = "; ".join(f"{axis} {_listed(each)}" for axis, each in values.items())
    return (
        f"baseline: {quoted(baseline)} is no value in which these cases differ; give first, or one "
        f"of {listed}{did_you_mean(baseline, known)}"
    )


def _listed(values: Collection[str]) -> str:
    """Values in order, numbers by size; of many the first ones."""
    ordered = sorted(
        values, key=lambda value: (not value.isdecimal(), len(value) * value.isdecimal(), value)
    )
    listed = ", ".join(shortened(one_line(value), 40) for value in ordered[:_SHOWN])
    return listed + (f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else "")


def several_axes(baseline: str, names: Sequence[str]) -> str:
    """That a baseline is a value of several axes, as the beginning of a sentence."""
    return f"baseline: {quoted(baseline)} is a value of {' and of '.join(names)}"


def without_what_follows(names: Sequence[str], cases: Sequence[Case]) -> list[str]:
    """The axes without those that say nothing more: one mode goes with what is compiled.

    One number of ranks goes with a model that is divided.
    """
    follows = set()
    if "execution" in names and len({case.compile_mode for case in cases} - {""}) <= 1:
        follows.add("compile_mode")
    if "parallel" in names and len({case.ranks for case in cases} - {1}) <= 1:
        follows.add("ranks")
    return [name for name in names if name not in follows]


def _values(axis: Axis, cases: Sequence[Case]) -> set[str]:
    values = {str(axis.value(case)) for case in cases}
    if axis.name == "execution" and "default" in values:
        return values - {"default"} | _DEFAULT_EXECUTIONS
    return values
