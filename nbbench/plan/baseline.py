"""What the cases of a run are compared with: a value of an axis, or the first one."""

from __future__ import annotations

from collections.abc import Sequence

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
        known = {value for each in values.values() for value in each}
        listed = ", ".join(shortened(one_line(value), 40) for value in sorted(known)[:_SHOWN])
        if len(known) > _SHOWN:
            listed += f" and {len(known) - _SHOWN} more"
        listed = listed or "they do not differ"
        raise ArgumentError(
            f"baseline: {quoted(baseline)} is no value in which these cases differ ({listed})"
            f"{did_you_mean(baseline, known)}"
        )


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
