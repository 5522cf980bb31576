"""A report's DataFrames from its results: one row a case, units in the columns' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..plan.cases import Result
from .line_memory import line_rows

if TYPE_CHECKING:
    import pandas as pd

_MIB = 2**20

_WHOLE = ("sequence_length", "n")
_TRUTH = ("noisy",)
_NUMBERS = ("_s", "_mib")
"""Endings of the columns that are numbers, missing ones included."""


def speed_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Time of each case, in seconds."""
    return _frame([{**_identity(result), **_speed(result)} for result in results])


def memory_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Memory of each case, in MiB."""
    return _frame([{**_identity(result), **_memory(result)} for result in results])


def lines_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Memory of each line that each traced case ran, in MiB; no rows where none was traced."""
    columns = (
        "framework", "model", "mode", "batch_size", "sequence_length", "dtype", "attention",
        "environment", "execution",
    )  # fmt: skip
    rows = [
        {**{name: identity[name] for name in columns}, **row}
        for result in results
        if result.outcome.lines is not None
        for identity in [_identity(result)]
        for row in line_rows(result.outcome.lines)
    ]
    return _frame(rows)


def _identity(result: Result) -> dict[str, Any]:
    case, outcome = result.case, result.outcome
    return {
        "framework": case.framework,
        "model": case.model,
        "mode": case.mode,
        "batch_size": case.batch_size,
        "sequence_length": case.sequence_length,
        "dtype": outcome.dtype or case.dtype,
        "attention": case.attention,
        "architecture": outcome.architecture,
        "device": outcome.device or case.device,
        "environment": case.environment,
        "execution": outcome.execution or case.execution,
        "config_source": case.config_source,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "phase": outcome.phase,
    }


def _speed(result: Result) -> dict[str, Any]:
    outcome, timing = result.outcome, result.outcome.timing
    names = (
        "median_s", "ci_low_s", "ci_high_s", "min_s", "mean_s", "std_s", "p90_s", "p99_s", "n",
        "noisy", "first_call_s",
    )  # fmt: skip
    drawn = {name: None if timing is None else getattr(timing, name) for name in names}
    per_second = None if timing is None else 1 / timing.median_s
    tokens = outcome.tokens_per_call
    return {
        **drawn,
        "build_s": outcome.build_s,
        "wall_s": outcome.wall_s,
        "samples_per_s": None if per_second is None else result.case.batch_size * per_second,
        "tokens_per_s": None if per_second is None or tokens is None else tokens * per_second,
    }


def _memory(result: Result) -> dict[str, Any]:
    memory = result.outcome.memory
    names = (
        "baseline", "parameters", "weights", "activations", "peak", "reserved", "process",
        "gradients",
    )  # fmt: skip
    taken = {name: None if memory is None else getattr(memory, name) for name in names}
    for name in ("forward", "backward", "optimizer"):
        taken[f"{name}_peak"] = None if memory is None else memory.phases.get(name)
    return {
        **{f"{name}_mib": None if size is None else size / _MIB for name, size in taken.items()},
        "traced_s": None if result.outcome.lines is None else result.outcome.lines.traced_s,
        "method": "" if memory is None else memory.method,
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame whose column types do not depend on what is missing."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    for name in frame.columns:
        if name in _WHOLE:
            frame[name] = frame[name].astype("Int64")
        elif name in _TRUTH:
            frame[name] = frame[name].astype("boolean")
        elif name.endswith(_NUMBERS):
            frame[name] = frame[name].astype("float64")
    return frame
