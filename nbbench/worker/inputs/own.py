"""Inputs of a model of the user's own: shapes as the user or the model's signature gives them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case

_IMAGE_SIZE = 224


@dataclass(frozen=True)
class OwnInput:
    """A tensor: whole numbers below ``below``; without that ones of a whole dtype, else noise.

    ``dtype`` is empty for the model's own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = ""
    below: Optional[int] = None


@dataclass(frozen=True)
class OwnInputs:
    """All that one call takes, and how many tokens it puts through the model."""

    tensors: tuple[OwnInput, ...]
    tokens: Optional[int]


def described_inputs(described: Mapping[str, Any], case: Case) -> OwnInputs:
    """The inputs of a case by their symbolic shapes, as the argument ``inputs`` gives them."""
    sizes = {"batch": case.batch_size, "length": case.sequence_length or 0}
    has_length = any("length" in each["shape"] for each in described.values())
    if has_length and case.sequence_length is None:
        raise Unsupported(f"{case.model} takes sequences; give sequence_lengths")
    tensors = (
        OwnInput(
            name,
            tuple(sizes[size] if isinstance(size, str) else size for size in each["shape"]),
            each["dtype"],
            each["below"],
        )
        for name, each in described.items()
    )
    tokens = case.batch_size * (case.sequence_length or 0) if has_length else None
    return OwnInputs(tuple(tensors), tokens)


def known_inputs(
    parameters: Iterable[inspect.Parameter], vocabulary: Optional[int], channels: Optional[int]
) -> tuple[dict[str, Any], list[str]]:
    """The inputs that a forward method's names say, by symbolic shapes, and names that say none.

    ``vocabulary`` and ``channels`` are the model's, as far as its layers show them.
    """
    text = {"shape": ["batch", "length"], "dtype": "int64"}
    pixels = ["batch", channels or 3, _IMAGE_SIZE, _IMAGE_SIZE]
    known = {
        "attention_mask": {**text, "below": None},
        "token_type_ids": {**text, "below": 1},
        "pixel_values": {"shape": pixels, "dtype": "", "below": None},
    }
    if vocabulary:
        known["input_ids"] = {**text, "below": vocabulary}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found, unknown = {}, []
    for parameter in parameters:
        needed = parameter.default is inspect.Parameter.empty and parameter.kind in plain
        if parameter.name in known and (needed or parameter.name != "token_type_ids"):
            found[parameter.name] = known[parameter.name]
        elif needed or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            unknown.append(parameter.name)
    return found, unknown


def cannot_make(label: str, names: Iterable[str]) -> Unsupported:
    """The refusal of inputs that nobody describes."""
    listed = ", ".join(names) or "nothing known"
    return Unsupported(
        f"nbbench cannot make the inputs that {label} takes ({listed}); write a function "
        f"inputs(batch_size, sequence_length) beside it that returns them, or give "
        f'inputs={{"x": ["batch", 3, 224, 224]}}'
    )
