"""Which values an argument is usually given, for completion."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from .schema import BenchmarkArguments

_SIZES = tuple(str(2**power) for power in range(10))

_OPEN_ENDED = {
    "device": ("auto", "cpu", "cuda", "cuda:0", "xpu", "mps"),
    "batch_sizes": (*_SIZES, "max", "best"),
    "sequence_lengths": (*_SIZES[3:], "max"),
    "new_tokens": (*_SIZES[3:], "max"),
    "baseline": ("first",),
    "environments": ("auto", "kernel"),
}
"""Values worth a suggestion where others are taken, too."""


def is_switch(name: str) -> bool:
    """Whether an argument is true or false."""
    return BenchmarkArguments.model_fields[name].annotation is bool


def choices(name: str) -> list[str]:
    """The values to suggest for an argument, as texts; none where anything goes."""
    if name == "frameworks":
        from ..frameworks import backend_names

        return backend_names()
    if name in _OPEN_ENDED:
        return list(_OPEN_ENDED[name])
    return _literals(BenchmarkArguments.model_fields[name].annotation)


def _literals(annotation: Any) -> list[str]:
    """The texts of a Literal, whatever it is wrapped in."""
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if isinstance(value, str)]
    if get_origin(annotation) is None:
        return []
    return [value for inner in get_args(annotation) for value in _literals(inner)]
