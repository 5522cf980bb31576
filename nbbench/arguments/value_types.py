"""Types of the arguments' values: what a front end may give for them, and by which other names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..errors import ArgumentError
from ..text import quoted
from ..units import bytes_of, seconds_of
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


MemorySize = Annotated[str | None, with_unit(bytes_of)]
Duration = Annotated[str | None, with_unit(seconds_of, "s")]
AsList = BeforeValidator(as_list)
Seconds = Annotated[float, BeforeValidator(no_bool)]
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
Framework = Annotated[str, same_as(pt="pytorch", torch="pytorch", tf="tensorflow")]
