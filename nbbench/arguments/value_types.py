"""Types of the arguments' values: what a front end may give for them, and by which other names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..text import quoted
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


AsList = BeforeValidator(as_list)
Seconds = Annotated[float, BeforeValidator(no_bool)]
Size = Annotated[int, Field(gt=0, lt=2**31), BeforeValidator(no_bool)]
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
