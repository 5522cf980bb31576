"""The quantities that cases are chosen by: what they are of a result, and how they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import ArgumentError, did_you_mean
from ..plan.result import Result
from ..text import MIB, quoted, rounded, time_unit
from ..units import bytes_of, seconds_of
from . import estimates
from .estimates import Estimate, Estimator, exactly
from .own_columns import Added, OwnColumn

LIMITS: dict[str, Callable[[object], float]] = {
    "latency": seconds_of,
    "memory": bytes_of,
    "ttft": seconds_of,
    "tpot": seconds_of,
}
"""The quantities that may have a limit, each with what reads it."""


@dataclass(frozen=True)
class Quantity:
    """Something that a case has more or less of.

    ``column`` is the name of its column in a frame: what stands before and behind the end of the
    interval, where it is one's. ``scale`` is what a value is divided by there. ``unit`` is that
    which a value reads best in, with its size, and ``number`` writes a value in it. ``missing``
    says why no case has any.
    """

    name: str
    estimate: Estimator
    column: tuple[str, str]
    unit: Callable[[float], tuple[str, float]]
    missing: str
    higher_is_better: bool = False
    scale: float = 1.0
    is_exact: bool = False
    number: Callable[[float], str] = rounded

    def columns(self) -> tuple[str, str, str]:
        """The names of a frame's columns for the value and the ends of its interval."""
        stem, end = self.column
        return f"{stem}{end}", f"{stem}_ci_low{end}", f"{stem}_ci_high{end}"

    def goodness(self, estimate: Estimate) -> Estimate:
        """The estimate turned so that less is better."""
        return (
            Estimate(-estimate.value, -estimate.high, -estimate.low)
            if self.higher_is_better
            else estimate
        )

    def shown(self, estimate: Estimate | None) -> str:
        """The value with its interval, as a cell of a table."""
        if estimate is None:
            return ""
        unit, size = self.unit(estimate.value)
        ends = (estimate.value, estimate.low, estimate.high)
        value, low, high = (self.number(each / size) for each in ends)
        return f"{value}{unit}" if low == high else f"{value}{unit} [{low}, {high}]"


def _time_unit(seconds: float) -> tuple[str, float]:
    unit, size = time_unit(seconds)
    return f" {unit}", size


def _of(unit: str, size: float = 1.0) -> Callable[[float], tuple[str, float]]:
    """The same unit for all values."""
    return lambda _: (unit, size)


def _one_decimal(value: float) -> str:
    return f"{value:,.1f}"


def _plain(value: float) -> str:
    return f"{value:,.6g}"


_NO_TIME = "no time was measured; measure with speed=True"
_NO_TOKENS = "no case generates; measure with generation=True, and new_tokens above 1 for tpot"
_NO_PRICE = "there is no price, or no time; give price_per_hour"

_MEASURED = (
    Quantity("latency", estimates.latency, ("latency", "_s"), _time_unit, _NO_TIME),
    Quantity("throughput", estimates.throughput, ("samples", "_per_s"), _of("/s"), _NO_TIME, True),
    Quantity(
        "memory",
        estimates.memory,
        ("peak", "_mib"),
        _of(" MiB", MIB),
        "no memory was measured; measure with memory=True",
        scale=MIB,
        number=_one_decimal,
    ),
    Quantity("ttft", estimates.first_token, ("ttft", "_s"), _time_unit, _NO_TOKENS),
    Quantity("tpot", estimates.each_token, ("tpot", "_s"), _time_unit, _NO_TOKENS),
    Quantity(
        "decode_tokens_per_s",
        estimates.decoded_per_second,
        ("decode_tokens", "_per_s"),
        _of("/s"),
        _NO_TOKENS,
        True,
    ),
)

_COSTS = {
    "cost_per_million_tokens": estimates.cost_per_million_tokens,
    "cost_per_thousand_samples": estimates.cost_per_thousand_samples,
}

NAMES = (*(each.name for each in _MEASURED), *_COSTS)
"""The quantities that every report may have; a user's own columns come on top."""


FRAME_COLUMNS = {name for each in _MEASURED for name in each.columns()} | {
    f"{name}{end}" for name in _COSTS for end in ("", "_ci_low", "_ci_high")
}
"""The names of columns that a choice's frame may have for these."""


def quantity(name: object, added: Added) -> Quantity:
    """A quantity by its name; raises `ArgumentError` for one that there is not."""
    own = {each.name: each for each in added.columns}
    if isinstance(name, str) and name in own:
        return _own(own[name])
    for each in _MEASURED:
        if name == each.name:
            return each
    if isinstance(name, str) and name in _COSTS:
        estimate = partial(_COSTS[name], price_per_hour=added.price_per_hour)
        return Quantity(name, estimate, (name, ""), _of(""), _NO_PRICE)
    known = [*NAMES, *own]
    raise ArgumentError(
        f"{quoted(name)} is nothing to choose by; it is one of {', '.join(known)}, or a column "
        f"that with_column adds{did_you_mean(str(name), known)}"
    )


def _own(column: OwnColumn) -> Quantity:
    if not column.is_number:
        raise ArgumentError(f"{column.name} has texts, of which none is best; give numbers")

    def estimate(result: Result) -> Estimate | None:
        value = column.values.get(result.case.model)
        return None if value is None else exactly(float(value))

    return Quantity(
        column.name,
        estimate,
        (column.name, ""),
        _of(""),
        f"no case has a value of {column.name}",
        column.higher_is_better,
        is_exact=True,
        number=_plain,
    )
