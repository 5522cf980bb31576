"""Dataclasses from JSON values, every type checked.

What comes over the wire or from a file is somebody else's; nothing of it is taken on trust.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

_MAX_INT = 2**63
"""What a column of whole numbers cannot hold."""

MAX_DEPTH = 100
"""Deeper nesting can be read, but then breaks whatever copies, prints or saves it."""

_UNIONS = (Union, getattr(types, "UnionType", Union))  # Python 3.9 has the first alone


def checked(kind: Any, value: Any, name: str = "") -> Any:
    """A value of this type from JSON values; raises ``ValueError``, which names what is wrong.

    Knows dataclasses, enums, tuples, mappings, unions and JSON's own types. A mapping for a
    dataclass may leave out what has a default, and has no other names.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        _require(not is_deep(value), name, "of a depth that can be shown", type(value).__name__)
        return _text(value) if isinstance(value, str) else value
    if origin in _UNIONS:
        return _one_of(args, value, name)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, name)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if origin is tuple:
        return _tuple(args, value, name)
    if origin in (dict, Mapping):
        _require(isinstance(value, Mapping), name, "a mapping", value)
        return {
            _text(str(key)): checked(args[1], item, f"{name}.{key}") for key, item in value.items()
        }
    return _plain(kind, value, name)


def is_deep(value: Any) -> bool:
    """Whether lists and mappings are nested deeper than any configuration's."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    problem: Exception = ValueError(f"{name} has no type")
    for kind in kinds:
        if kind is not type(None):
            try:
                return checked(kind, value, name)
            except ValueError as error:
                problem = error
    raise problem


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _dataclass(kind: Any, value: Any, name: str) -> Any:
    _require(isinstance(value, Mapping), name or kind.__name__, "a mapping", value)
    hints, fields = _hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        _require(key in fields, f"{name or kind.__name__}.{key}", "known", key)
    return kind(
        **{
            key: checked(hints[key], item, f"{name}.{key}".lstrip("."))
            for key, item in value.items()
        }
    )


def _tuple(kinds: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    _require(isinstance(value, (list, tuple)), name, "a list", value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        if kinds[0] is float and {type(item) for item in value} == {float}:  # samples, by thousands
            _require(all(map(math.isfinite, value)), name, "finite numbers", value)
            return tuple(value)
        return tuple(checked(kinds[0], item, name) for item in value)
    _require(len(value) == len(kinds), name, f"a list of {len(kinds)}", value)
    return tuple(checked(kind, item, name) for kind, item in zip(kinds, value))


def _plain(kind: Any, value: Any, name: str) -> Any:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        finite = number and abs(value) <= sys.float_info.max  # false for nan, too
        _require(finite, name, "a finite number", value)
        return value
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_INT
        _require(whole, name, "a whole number", value)
        return value
    _require(isinstance(value, kind), name, kind.__name__, value)
    return _text(value) if kind is str else value


def _text(value: str) -> str:
    """Text that can be printed and written: half of a surrogate pair cannot."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _require(holds: bool, name: str, wanted: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{name} is not {wanted} ({str(value)[:40]!r})")
