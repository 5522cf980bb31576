"""What a choice has to keep to: limits, which cases are meant, and what is best."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..arguments.flags import FlagParser
from ..arguments.schema import BenchmarkArguments
from ..errors import ArgumentError, did_you_mean
from ..plan.result import Result
from ..text import one_line, quoted, shortened
from ..worker.case import AXES, Axis
from .quantities import LIMITS, NAMES

_BY = "throughput"

WITHIN_HELP = (
    "what the best has to keep to: limits like latency=50ms memory=4GB ttft=200ms tpot=20ms, and "
    "which cases are meant, like mode=inference sequence_length=128"
)

_PAIR = re.compile(r"[, ]?(\w+) ?=(?!=) ?(.*?)[, ]*(?=\b\w+ ?=(?!=)|$)")
"""A name and its value in a text of several, parted by commas or blanks; a value may have ==."""

_MAX_TEXT = 2000

_NEEDS = {
    "ttft": ("generation", "speed"),
    "tpot": ("generation", "speed"),
    "decode_tokens_per_s": ("generation", "speed"),
    "cost_per_million_tokens": ("price_per_hour", "speed"),
    "cost_per_thousand_samples": ("price_per_hour", "speed"),
    "memory": ("memory",),
    "latency": ("speed",),
    "throughput": ("speed",),
}
"""The arguments that a quantity asks for."""

_HAD = {
    "generation": "of generation alone (generation=True)",
    "price_per_hour": "where an hour has a price (price_per_hour=…)",
    "memory": "where memory is measured (memory=True)",
    "speed": "where time is measured (speed=True)",
}
"""How such an argument is put."""

_BETWEEN_TOKENS = ("tpot", "decode_tokens_per_s")
"""What one token alone does not have."""


@dataclass(frozen=True)
class Budget:
    """The best by ``by`` is looked for among the cases that keep to the limits.

    ``limits`` are by quantity, in seconds and bytes, ``texts`` as the user wrote them, and
    ``where`` are values of axes that a case must have.
    """

    by: str = _BY
    limits: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, by: str, limits: Mapping[str, object], where: Mapping[str, Any]) -> Budget:
        """A budget of limits with their units; raises `ArgumentError` for what is none.

        Limits that are None are none.
        """
        read, texts = {}, {}
        for name, given in limits.items():
            if given is None:
                continue
            try:
                read[name] = LIMITS[name](given)
            except ArgumentError as error:
                raise ArgumentError(f"{name}: {error}") from None
            text = one_line(str(given)).strip()
            texts[name] = f"{text} s" if text[-1:].isdigit() else text
        for name in where:
            axis_named(name)
        return cls(by, read, texts, dict(where))

    @property
    def flags(self) -> list[str]:
        """The flags that ask for it."""
        pairs = [f"{name}={value}" for name, value in {**self.texts, **self.where}.items()]
        return ["--best", self.by, *(["--within", *pairs] if pairs else [])]

    @property
    def title(self) -> str:
        """The limits in a line; empty without any."""
        return ", ".join(f"{name} {text}" for name, text in self.texts.items())

    @property
    def meant(self) -> str:
        """Which cases are meant, as the end of a title; empty for all."""
        listed = ", ".join(f"{name} {value}" for name, value in self.where.items())
        return one_line(f", of {listed}") if listed else ""


def budget_of_texts(by: str | None, within: Sequence[str]) -> Budget | None:
    """The budget of flags: what is best, and limits and axes like ``latency=50ms mode=inference``.

    None where neither is given. Raises `ArgumentError`.
    """
    text = " ".join(within)
    if by is None and not text.strip():
        return None
    pairs = _pairs(text)
    limits = {name: value for name, value in pairs.items() if name in LIMITS}
    where = {name: value for name, value in pairs.items() if name not in LIMITS}
    return Budget.of(_BY if by is None else by, limits, where)


def add_flags(parser: FlagParser) -> None:
    """Add the flags ``--best`` and ``--within`` to a run's."""
    parser.add_argument(
        "--best",
        metavar="QUANTITY",
        help=f"show below the table which case is best by this: {', '.join(NAMES)}",
    )
    parser.add_argument("--within", nargs="+", action="extend", metavar="LIMIT", help=WITHIN_HELP)


def take_budget(values: dict[str, Any]) -> Budget | None:
    """The budget that the flags of `add_flags` have, taken from the values; None without them.

    Raises `ArgumentError`, before anything is measured.
    """
    budget = budget_of_texts(values.pop("best", None), values.pop("within", []))
    check_before_run(budget)
    return budget


def check_before_run(budget: Budget | None) -> None:
    """Raise `ArgumentError` for a quantity that no run has, before anything is measured."""
    if budget is not None and "=" in budget.by:
        raise ArgumentError(
            f"best: {quoted(budget.by)} has a limit; give the quantity alone, and limits with "
            "--within, like --best throughput --within latency=50ms"
        )
    if budget is not None and budget.by not in NAMES:
        raise ArgumentError(
            f"best: {quoted(budget.by)} is nothing that a run measures; give one of "
            f"{', '.join(NAMES)}{did_you_mean(budget.by, NAMES)}"
        )


def check_against(budget: Budget | None, arguments: BenchmarkArguments) -> None:
    """Raise `ArgumentError` for what a run with these arguments will not have."""
    if budget is None:
        return
    for name in (budget.by, *budget.limits):
        for need in _NEEDS.get(name, ()):
            if not getattr(arguments, need):
                raise ArgumentError(
                    f"{name} is had {_HAD[need]}; add it, or choose by something else"
                )
        if name in _BETWEEN_TOKENS and arguments.new_tokens == [1]:
            raise ArgumentError(f"{name} is had of several tokens (new_tokens above 1); make more")
    measured = _values_before_run(arguments)
    for name, wanted in budget.where.items():
        values = measured.get(name)
        if values is not None and not any(_is(value, wanted) for value in values):
            listed = shortened(one_line(", ".join(map(str, values))), 200) or "none is"
            raise ArgumentError(
                f"within: {name} {quoted(str(wanted))} is none that is measured ({listed})"
            )


_UNKNOWN_YET = {
    "dtype": {"auto"},
    "execution": {"default"},
    "batch_size": {"max", "best"},
    "sequence_length": {"max"},
    "new_tokens": {"max"},
}
"""Values whose own names or sizes the run has yet to find, by axis."""


def _values_before_run(arguments: BenchmarkArguments) -> dict[str, list[Any]]:
    """The values of each axis that cases will have, as far as that is known of it."""
    modes, divisions = arguments.modes(), arguments.divisions()
    ways = [way for name in arguments.frameworks for way in arguments.compilations(name)]
    made = [each for mode in modes for each in arguments.generations(mode)]
    values: dict[str, Sequence[Any]] = {
        "model": arguments.model_names(),
        "framework": arguments.frameworks,
        "mode": modes,
        "dtype": arguments.dtypes,
        "attention": arguments.attentions,
        "execution": [execution for execution, _ in ways],
        "compile_mode": [mode for _, mode in ways if mode],
        "batch_size": arguments.batch_sizes,
        "new_tokens": [count for count, _ in made if count is not None],
        "cache": [cache for _, cache in made if cache],
        "parallel": [parallel for parallel, _ in divisions],
        "ranks": [ranks for _, ranks in divisions],
    }
    if arguments.lengths is None:  # else rows are as long as what is drawn
        values["sequence_length"] = arguments.sequence_lengths
        values["padding"] = arguments.paddings
    return {
        name: list(dict.fromkeys(each))
        for name, each in values.items()
        if not _UNKNOWN_YET.get(name, set()).intersection(each)
    }


def _pairs(text: str) -> dict[str, str]:
    """Names with their values; raises `ArgumentError` for anything else, or a name twice."""
    pairs: dict[str, str] = {}
    position, text = 0, " ".join(text.split()).rstrip(", ")
    while position < len(text) and len(text) <= _MAX_TEXT:
        found = _PAIR.match(text, position)
        if found is None:
            break
        if found[1] in pairs:
            raise ArgumentError(f"within: {found[1]} is given twice; keep one")
        if not found[2]:
            raise ArgumentError(f"within: {found[1]} has no value; give one, like latency=50ms")
        pairs[found[1]] = found[2]
        position = found.end()
    else:
        if len(text) <= _MAX_TEXT:
            return pairs
    raise ArgumentError(
        f"within: {quoted(text[position:])} is no limit; give pairs like latency=50ms memory=4GB"
    )


def axis_named(name: str) -> Axis:
    """The axis of this name; raises `ArgumentError` where there is none."""
    for axis in AXES:
        if axis.name == name:
            return axis
    known = [*LIMITS, *(axis.name for axis in AXES)]
    raise ArgumentError(
        f"{quoted(name)} is neither a limit ({', '.join(LIMITS)}) nor an axis of cases, like mode "
        f"or sequence_length{did_you_mean(name, known)}"
    )


def chosen(results: Sequence[Result], where: Mapping[str, Any]) -> list[Result]:
    """The results of cases with these values; raises `ArgumentError` where a value leaves none."""
    left = list(results)
    for name, wanted in where.items():
        axis = axis_named(name)
        matching = [
            result
            for result in left
            if _is(result.value(axis), wanted) or _is(axis.value(result.case), wanted)
        ]
        if not matching:
            values = dict.fromkeys(str(result.value(axis)) for result in left)
            listed = shortened(one_line(", ".join(values)), 200)
            raise ArgumentError(f"no case has {name} {quoted(wanted)}; there are {listed}")
        left = matching
    return left


def _is(value: Any, wanted: Any) -> bool:
    """Whether a case's value is the one that a user writes: 0.0 may be written as 0."""
    if str(value) == str(wanted):
        return True
    try:
        return isinstance(value, int | float) and float(value) == float(wanted)
    except (TypeError, ValueError, OverflowError):
        return False
