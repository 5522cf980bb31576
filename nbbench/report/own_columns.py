"""What a user adds to a report: columns of their own by model, and the machine's price."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, did_you_mean
from ..plan.result import Result
from ..text import counted, one_line, quoted, rounded, shortened
from ..worker.case import AXES
from .estimates import cost_per_million_tokens, cost_per_thousand_samples

if TYPE_CHECKING:
    import pandas as pd

COST_HEADS = ("cost/1M tokens", "cost/1k samples")
"""Heads of the table's columns where a price is known."""

MAX_PRICE = 1e9

_MAX_NAME = 100
"""Letters of a column's name."""

_BEHIND = 3
"""Columns that stand before a user's own: model, batch and length."""


@dataclass(frozen=True)
class OwnColumn:
    """A figure or a text of each model, from elsewhere; models without one have none."""

    name: str
    values: Mapping[str, float | str] = field(hash=False)
    higher_is_better: bool = True

    @property
    def is_number(self) -> bool:
        """Whether it is of numbers."""
        return not any(isinstance(value, str) for value in self.values.values())

    def text(self, result: Result) -> str:
        """The cell of a table; a whole number is written as one."""
        value = self.values.get(result.case.model)
        if value is None or isinstance(value, str):
            return one_line(value or "")
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


@dataclass(frozen=True)
class Added:
    """What stands beside what was measured."""

    columns: tuple[OwnColumn, ...] = ()
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        names = {column.name for column in self.columns}
        price = 1.0 if self.price_per_hour is None else self.price_per_hour
        if len(names) < len(self.columns) or not 0 < price <= MAX_PRICE:
            raise ValueError("columns of one name, or a price that is none")

    def cells(self, result: Result) -> dict[str, str]:
        """The texts that a table has for it, by their heads."""
        priced: dict[str, str] = {}
        if self.price_per_hour is not None:
            costs = (
                cost_per_million_tokens(result, self.price_per_hour),
                cost_per_thousand_samples(result, self.price_per_hour),
            )
            for head, cost in zip(COST_HEADS, costs, strict=True):
                priced[head] = "" if cost is None else rounded(cost.value)
        return {**priced, **{one_line(each.name): each.text(result) for each in self.columns}}

    def with_column(self, column: OwnColumn) -> Added:
        """The same with a column more; one of its name is replaced."""
        kept = tuple(each for each in self.columns if each.name != column.name)
        return Added((*kept, column), self.price_per_hour)

    def in_frame(self, frame: pd.DataFrame, results: Sequence[Result]) -> pd.DataFrame:
        """The frame of these results with the user's columns behind the length."""
        import pandas as pd

        for number, column in enumerate(self.columns):
            if column.name in frame.columns:  # which a later version has by itself
                continue
            values = [column.values.get(result.case.model) for result in results]
            cells = pd.Series(values, frame.index, dtype="float64" if column.is_number else object)
            frame.insert(min(_BEHIND + number, frame.shape[1]), column.name, cells)
        return frame


NOTHING = Added()


def price_of(given: object) -> float:
    """A price by the hour; raises `ArgumentError` for what is no number above 0."""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    try:
        price = float(given) if isinstance(given, Real) and is_number else math.nan
    except OverflowError:
        price = math.inf
    if not 0 < price <= MAX_PRICE:
        raise ArgumentError(
            f"price_per_hour: {quoted(given)} is no price; give a number above 0 (to 10^9)"
        )
    return price


def own_column(
    name: object,
    values: object,
    models: Iterable[str],
    higher_is_better: object,
    taken: Iterable[str],
) -> OwnColumn:
    """A column that a user gives for these models; raises `ArgumentError` for what is none.

    ``taken`` are the names of columns that a report has by itself.
    """
    is_name = isinstance(name, str) and 0 < len(name.strip()) <= len(name) <= _MAX_NAME
    if not isinstance(name, str) or not is_name or name != one_line(name):
        raise ArgumentError(f"{quoted(name)} is no name of a column; give a text like 'quality'")
    if name in taken or name in {axis.head for axis in AXES}:
        raise ArgumentError(
            f"{quoted(name)} is the name of a column that a report has by itself; give another"
        )
    if not isinstance(higher_is_better, bool):
        raise ArgumentError(
            f"higher_is_better: {quoted(higher_is_better)} is neither True nor False"
        )
    if not isinstance(values, Mapping) or not values:
        raise ArgumentError(
            f"{name}: {quoted(values)} is no mapping; give a value for each model, like "
            '{"gpt2": 25.9}'
        )
    known = dict.fromkeys(models)
    unknown = [model for model in values if model not in known]
    if unknown:
        raise ArgumentError(f"{name}: {_unknown_models(unknown, known)}")
    found = {model: _value(name, value) for model, value in values.items()}
    kept = {model: value for model, value in found.items() if value is not None}
    if len({type(value) for value in kept.values()}) > 1:
        raise ArgumentError(f"{name} has numbers and texts; give one kind for all models")
    return OwnColumn(name, kept, higher_is_better)


def _value(name: str, value: object) -> float | str | None:
    """A number or a text; None for what is missing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if math.isnan(number):
            return None
        if math.isfinite(number):
            return number
    if str(value) == "<NA>":  # what pandas has for missing
        return None
    raise ArgumentError(f"{name}: {quoted(value)} is neither a finite number nor a text")


def _unknown_models(unknown: Sequence[object], known: Iterable[str]) -> str:
    names = list(known)
    first, rest = unknown[0], len(unknown) - 1
    more = f" (and {rest:,} more)" if rest else ""
    listed = shortened(", ".join(names), 200)
    hint = did_you_mean(str(first), names)
    return f"{quoted(first)}{more} is no model of this report, which has {listed}{hint}"


def columns_of(given: object, name: str, models: Iterable[str]) -> dict[str, dict[Any, Any]]:
    """The values by model of each column of a mapping, a Series or a DataFrame.

    A frame has the models in its column ``model``, or as its index. Models that the report does
    not have are left out with a warning. Raises `ArgumentError` for what is none of these, or has
    none of the models, or one twice.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        frame = given.set_index("model") if "model" in given.columns else given
        series = {str(head): column for head, column in frame.items()}
    elif isinstance(given, pd.Series):
        series = {str(name if given.name is None else given.name): given}
    elif isinstance(given, Mapping):
        return {name: dict(given)}
    else:
        raise ArgumentError(
            f"{quoted(given)} cannot be joined; give a DataFrame with a column model, a Series, "
            'or a mapping like {"gpt2": 25.9}'
        )
    if not series:
        raise ArgumentError("the frame has no column beside the model; give one with figures")
    return {
        head: _known_rows(column, list(dict.fromkeys(models))) for head, column in series.items()
    }


def _known_rows(column: pd.Series[Any], models: Collection[str]) -> dict[Any, Any]:
    """The values of the report's models."""
    index = list(column.index)
    found = [model for model in index if isinstance(model, str) and model in models]
    unknown = [model for model in index if not isinstance(model, str) or model not in models]
    if not index:
        raise ArgumentError(f"{column.name} has no rows; give one for each model")
    if not found:
        raise ArgumentError(f"{column.name}: {_unknown_models(unknown, models)}")
    if len(set(found)) < len(found):
        twice = next(model for model in found if found.count(model) > 1)
        raise ArgumentError(f"{column.name}: {quoted(twice)} stands there twice; keep one row")
    if unknown:
        left = counted(len(unknown), "row")
        warnings.warn(
            f"{left} of {column.name} left out: {_unknown_models(unknown, models)}", stacklevel=5
        )
    return {
        model: value
        for model, value in zip(index, column.tolist(), strict=True)
        if isinstance(model, str) and model in models
    }
