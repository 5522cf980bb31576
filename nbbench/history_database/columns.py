"""What the history keeps of each case as columns, to search and to make frames of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..plan.result import Result
from ..report.dataframes import memory_row, speed_row
from ..worker.case import AXES

_WHOLE = ("batch_size", "sequence_length", "new_tokens", "ranks", "parameters", "visits")
_REAL = ("padding",)


@dataclass(frozen=True)
class Column:
    """A column of the table of cases: SQLite's type of it, and its value for a row of a report."""

    kind: str
    value: Callable[[dict[str, Any]], Any]


def _column(name: str) -> Column:
    whole = name in _WHOLE
    real = name in _REAL or name.endswith(("_s", "_mib"))
    kind = "INTEGER" if whole else "REAL" if real else "TEXT"
    return Column(kind, lambda row: row.get(name))


COLUMNS: dict[str, Column] = {
    name: _column(name)
    for name in (
        *(axis.name for axis in AXES), "status", "reason", "device", "architecture",
        "median_s", "ci_low_s", "ci_high_s", "samples_per_s", "tokens_per_s", "ttft_s", "tpot_s",
        "visits", "peak_mib", "weights_mib", "activations_mib", "kv_cache_mib",
        "tensors_peak_mib", "parameters",
    )
}  # fmt: skip
"""The columns by name; one that a database lacks is added to it when it is opened."""


def values_of(result: Result) -> list[Any]:
    """The values of all columns for a result."""
    row = {**speed_row(result), **memory_row(result)}
    return [column.value(row) for column in COLUMNS.values()]


UNSHOWN = {"planned": "TEXT", "position": "INTEGER", "extras": "TEXT", "alike": "TEXT"}
"""Columns that are no part of a frame, with SQLite's types: the key of the case that was planned,
where a search has found this one for it; the case's number in the order of its run; which
`EXTRAS` that asked for, with spaces between; and what cases that measure the same have in common,
of which rows of before have none."""

KINDS = {**{name: column.kind for name, column in COLUMNS.items()}, **UNSHOWN}
"""SQLite's type of every column, of those that are part of a frame and of the others."""

EXTRAS = ("ceilings", "prediction")
"""What a run may ask for beside its cases: fields of an outcome, which others lack."""
