"""What a report says of models that several processes (ranks) ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..plan.result import Result
from ..text import MIB
from ..worker.case import AXES
from ..worker.memory_profile import MemoryProfile


def peaks_of_ranks(memory: MemoryProfile) -> str:
    """The peak of each rank in MiB, in their order; empty where one process ran the model."""
    return ", ".join(f"{peak / MIB:.1f}" for peak in memory.per_rank)


def scaling_efficiency(result: Result, alone: Mapping[tuple[Any, ...], float]) -> float | None:
    """The throughput of each rank as a part of that of one rank with the same batch.

    ``alone`` are the times of one rank; None for a case that several processes did not run, or
    that has none to be compared with.
    """
    case, timing = result.case, result.outcome.timing
    if timing is None or case.parallel == "none":
        return None
    others = (
        alone.get((parallel, *_but_for_ranks(result))) for parallel in (case.parallel, "none")
    )
    one_s = next((seconds for seconds in others if seconds is not None), None)
    return None if one_s is None else one_s / (case.ranks * timing.median_s)


def times_of_one_rank(results: Iterable[Result]) -> dict[tuple[Any, ...], float]:
    """The median times of the cases that one process ran, by how it ran them and by all else."""
    return {
        (result.case.parallel, *_but_for_ranks(result)): result.outcome.timing.median_s
        for result in results
        if result.outcome.timing is not None and result.case.ranks == 1
    }


def _but_for_ranks(result: Result) -> tuple[Any, ...]:
    """What is alike in cases whose ranks are compared, the machine included."""
    names = ("parallel", "ranks")
    others = (axis.value(result.case) for axis in AXES if axis.name not in names)
    return (result.outcome.node, *others)
