"""Types of the arguments' values: what a front end may give for them, and by which other names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from ..errors import ArgumentError, did_you_mean
from ..frameworks import backend_names, has_backend
from ..text import quoted
from ..units import MAX_SECONDS, bytes_of, seconds_of
from ..worker.timing import MIN_SAMPLES
from .given import Unreadable, as_list, as_text, plain


def no_bool(value: Any) -> Any:
    """Refuse True for 1, which pydantic would take."""
    if isinstance(value, bool):
        raise Unreadable(f"{quoted(value)} is no number")
    return value


def as_name(value: Any) -> Any:
    """Let a number stand for its text: a batch size may be a baseline, too."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return str(value) if is_number else value


def with_unit(read: Callable[[object], object], usual: str = "") -> BeforeValidator:
    """Take a quantity with its unit, as text; a number alone has the ``usual`` one, if any."""

    def checked(value: Any) -> Any:
        if value is None:
            return None
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        given = f"{value} {usual}".strip() if is_number else value
        try:
            read(given)
        except ArgumentError as error:
            raise Unreadable(str(error)) from None
        return plain(given)

    return BeforeValidator(checked)


MAX_RANKS = 64

MAX_SAMPLES = 1000
"""The most that may be asked for: an interval gains little by more."""

MIN_FRACTION = 1e-12
"""Nothing is known so precisely; the square of a smaller one may be no number."""


def above_zero(value: float, info: ValidationInfo) -> float:
    """Refuse what is not finite, or not above 0."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{info.field_name}: {value:g} is not a finite number above 0")
    return value


def within_thirty_years(value: float, info: ValidationInfo) -> float:
    """Refuse more seconds than a time can have."""
    if value > MAX_SECONDS:
        raise ValueError(
            f"{info.field_name}: {value:g} s is too long; give {MAX_SECONDS:g} at most"
        )
    return value


def below_one(value: float, info: ValidationInfo) -> float:
    """Refuse a part of 1 or more, and one that is as good as none."""
    if value >= 1:
        raise ValueError(f"{info.field_name}: {value:g} is not a fraction below 1; 0.05 means ±5 %")
    if value < MIN_FRACTION:
        raise ValueError(
            f"{info.field_name}: {value:g} is too small; give {MIN_FRACTION:g} or more"
        )
    return value


def known_framework(name: str) -> str:
    """Refuse a framework that has no backend."""
    known = backend_names()
    if not has_backend(name):
        raise Unreadable(
            f"{quoted(name)} is not one of {', '.join(known)}{did_you_mean(name, known)}"
        )
    return name


def known_device(device: str) -> str:
    """Refuse a device that no framework has."""
    kind, _, number = device.partition(":")
    if device not in ("auto", "cpu", "cuda", "xpu", "mps", "tpu") and not (
        kind in ("cuda", "xpu") and number.isdecimal()
    ):
        raise ValueError(
            f"device: {quoted(device)} is not one of auto, cpu, cuda, cuda:0, cuda:1, …, xpu, "
            f"xpu:0, …, mps"
        )
    return device


def enough_for_an_interval(count: int) -> int:
    """Refuse so few samples that no interval can be drawn from them, and more than help."""
    if not MIN_SAMPLES <= count <= MAX_SAMPLES:
        raise ValueError(
            f"min_samples: {quoted(count)} is not from {MIN_SAMPLES}, the fewest that an "
            f"interval can be drawn from, to {MAX_SAMPLES}"
        )
    return count


def of_one_machine(ranks: int) -> int:
    """Refuse more ranks than one machine has use for."""
    if ranks > MAX_RANKS:
        raise Unreadable(
            f"{quoted(ranks)} processes are more than one machine has use for; give at most "
            f"{MAX_RANKS}"
        )
    return ranks


def of_64_bits(seed: int) -> int:
    """Refuse a seed that the frameworks' generators do not take."""
    if abs(seed) >= 2**63:  # what neither a message nor a column of the history can hold
        raise ValueError(f"seed: {quoted(seed)} does not fit into 64 bits; give a smaller one")
    return seed


MemorySize = Annotated[str | None, with_unit(bytes_of)]
Duration = Annotated[str | None, with_unit(seconds_of, "s")]
AsList = BeforeValidator(as_list)
Positive = Annotated[float, BeforeValidator(no_bool), AfterValidator(above_zero)]
Seconds = Annotated[Positive, AfterValidator(within_thirty_years)]
Fraction = Annotated[Positive, AfterValidator(below_one)]
Size = Annotated[int, Field(gt=0, lt=2**31), BeforeValidator(no_bool)]
if TYPE_CHECKING:  # where sizes are used, those that were searched are numbers, too
    SizeOrMax = Size
    SizeOrBest = Size
else:
    SizeOrMax = Size | Literal["max"]
    SizeOrBest = Size | Literal["max", "best"]
Part = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), BeforeValidator(no_bool)]
Name = Annotated[str, Field(min_length=1), BeforeValidator(as_text)]


def same_as(**meanings: str) -> BeforeValidator:
    """Take other names for values: ``fp16`` for ``float16``."""
    return BeforeValidator(
        lambda value: meanings.get(plain(value), plain(value)) if isinstance(value, str) else value
    )


DType = Annotated[
    Literal["float32", "float16", "bfloat16", "float64", "auto"],
    same_as(
        fp16="float16", half="float16", bf16="bfloat16", fp32="float32", float="float32",
        fp64="float64", double="float64",
    ),
]  # fmt: skip
Framework = Annotated[
    str,
    same_as(pt="pytorch", torch="pytorch", tf="tensorflow"),
    AfterValidator(known_framework),
]
Device = Annotated[str, AfterValidator(known_device)]
Ranks = Annotated[Size, AfterValidator(of_one_machine)]
Samples = Annotated[int, BeforeValidator(no_bool), AfterValidator(enough_for_an_interval)]
Seed = Annotated[int, BeforeValidator(no_bool), AfterValidator(of_64_bits)]
Threads = Annotated[int | None, Field(gt=0), BeforeValidator(no_bool)]
