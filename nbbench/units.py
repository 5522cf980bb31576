"""Quantities that a user gives with their units: ``"50 ms"`` as seconds, ``"4 GB"`` as bytes."""

from __future__ import annotations

import math
import re
from numbers import Real

from .errors import ArgumentError
from .text import quoted

_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0,
    "microsecond": 1e-6, "millisecond": 1e-3, "msec": 1e-3, "sec": 1.0, "second": 1.0,
    "minute": 60.0, "hour": 3600.0,
}  # fmt: skip

_BYTES = {
    "b": 1, "byte": 1,
    **{f"{prefix}b": 10 ** (3 * power) for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 2 ** (10 * power) for power, prefix in enumerate("kmgt", 1)},
}  # fmt: skip

_NUMBER_AND_UNIT = re.compile(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*([a-zµμ]*)", re.ASCII | re.I)

_MAX_TEXT = 60

MAX_SECONDS = 1e9
"""Thirty years: what is computed with longer times has no meaning, and may not be finite."""

MAX_BYTES = 10**18
"""Far below 2^63, which no worker's message, column of the history or system's limit can hold."""


def seconds_of(given: object) -> float:
    """The seconds of a text like ``"50 ms"``; a number by itself is seconds.

    Raises `ArgumentError`, with one sentence, for what is no time above 0, or more than
    `MAX_SECONDS`.
    """
    seconds = _quantity(given, _SECONDS, alone=1.0)
    if seconds is None:
        raise ArgumentError(
            f"{quoted(given)} is no time; give a number with ns, us, ms, s, min or h, "
            f"like '50 ms', or seconds alone"
        )
    if seconds > MAX_SECONDS:
        raise ArgumentError(f"{quoted(given)} is too long; give {MAX_SECONDS:g} s at most")
    return seconds


def bytes_of(given: object) -> int:
    """The bytes of a text like ``"4 GB"`` (4 × 10^9) or ``"4 GiB"`` (4 × 2^30).

    A number without a unit is refused, since it may mean bytes as well as gigabytes. Raises
    `ArgumentError`, with one sentence, for what is no size of a byte or more, or more than
    `MAX_BYTES`.
    """
    size = _quantity(given, _BYTES, alone=None)
    if size is None or size < 1:
        raise ArgumentError(
            f"{quoted(given)} is no size of memory; give a number with its unit, one of B, kB, "
            f"MB, GB, TB (decimal), KiB, MiB, GiB or TiB, like '4 GB'"
        )
    if size > MAX_BYTES:
        raise ArgumentError(f"{quoted(given)} is too much; give {MAX_BYTES // 10**12:,} TB at most")
    return round(size)


def _quantity(given: object, units: dict[str, float], alone: float | None) -> float | None:
    """A finite number above 0 times its unit's size, ``alone`` for none; None for what is none."""
    if isinstance(given, str) and len(given) <= _MAX_TEXT:
        found = _NUMBER_AND_UNIT.fullmatch(given.strip())
        if found is None:
            return None
        unit = found[3].lower().replace("µ", "u").replace("μ", "u")
        scale = _scale(unit, units) if unit else alone
        number = float(found[1] + (found[2] or ""))
    elif isinstance(given, Real) and not isinstance(given, bool):
        scale = alone
        try:
            number = float(given)
        except (OverflowError, ValueError):
            return None
    else:
        return None
    value = number * (scale or 0)
    return value if math.isfinite(value) and value > 0 else None


def _scale(unit: str, units: dict[str, float]) -> float | None:
    """A unit's size; whole names may stand in the plural."""
    if unit in units:
        return units[unit]
    single = unit.removesuffix("s")
    return units.get(single) if len(single) > 2 else None
