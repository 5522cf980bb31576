"""The argument ``inputs``: what a model of the user's own is called with, by symbolic shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .given import Refused, guarded

SIZES = ("batch", "length")
"""Sizes that a case gives: its batch size and its sequence length."""

_FLOATS = ("float32", "float16", "bfloat16", "float64")
_WHOLE = ("int64", "int32", "int8", "uint8", "bool")

_LARGEST = 2**31 - 1

_EXAMPLE = '{"x": ["batch", 3, 224, 224]}'


@guarded
def inputs_as_dict(value: Any) -> dict[str, dict[str, Any]]:
    """Each input with its ``shape``, ``dtype`` ("" is the model's own) and ``below``.

    Takes a dict, or its JSON; raises ``ValueError`` with one sentence.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise Refused(f"inputs: {value[:60]!r} is no JSON; give {_EXAMPLE}") from None
    if not isinstance(value, Mapping):
        raise Refused(
            f"inputs: a value of type {type(value).__name__} is no dict of shapes by name; give "
            f"{_EXAMPLE}"
        )
    return {_name(name): _described(name, given) for name, given in value.items()}


def _name(name: Any) -> str:
    if not (isinstance(name, str) and name):
        raise Refused(f"inputs: {name!r} is no name of an input; give {_EXAMPLE}")
    return name


def _described(name: str, given: Any) -> dict[str, Any]:
    values = dict(given) if isinstance(given, Mapping) else {"shape": given}
    unknown = sorted(map(str, values.keys() - {"shape", "dtype", "below"}))
    if unknown:
        raise Refused(
            f"inputs: {name} has {', '.join(unknown)}; an input has shape, dtype and below"
        )
    below = values.get("below")
    dtype = values.get("dtype") or ("" if below is None else "int64")
    if dtype and dtype not in (*_FLOATS, *_WHOLE):
        raise Refused(
            f"inputs: {name} has the dtype {dtype!r}, which is not one of "
            f"{', '.join((*_FLOATS, *_WHOLE))}"
        )
    if dtype == "bool" and below is None:
        below = 2
    if (dtype in _WHOLE) != _is_size(below) or (below is not None and not _is_size(below)):
        raise Refused(
            f"inputs: {name} has dtype {dtype or 'float'} and below {below!r}; whole numbers are "
            f"drawn below a whole number from 1 to {_LARGEST}, and others have none"
        )
    return {"shape": _shape(name, values.get("shape")), "dtype": dtype, "below": below}


def _shape(name: str, shape: Any) -> list[int | str]:
    if not isinstance(shape, (list, tuple)):
        raise Refused(
            f"inputs: {name} has the shape {shape!r}, which is no list of sizes; give {_EXAMPLE}"
        )
    for size in shape:
        if not (size in SIZES if isinstance(size, str) else _is_size(size)):
            raise Refused(
                f"inputs: {name} has the size {size!r}, which is neither a whole number from 1 to "
                f"{_LARGEST} nor batch or length"
            )
    return list(shape)


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 0 < size <= _LARGEST
