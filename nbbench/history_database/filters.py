"""What cases of the history are asked for by, and what tells those that are found apart."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..errors import ArgumentError, did_you_mean
from ..plan.saved_names import last_part, looks_like_path, own_name
from ..text import quoted
from ..worker.case import AXES, Axis, Status

STATUSES = tuple(status.value for status in Status)

_ALWAYS = ("model", "batch_size", "sequence_length")
_VARYING = (
    *(axis for axis in AXES if axis.name not in _ALWAYS), Axis("device", "device", " on {}", rank=9)
)  # fmt: skip
"""What is shown only where the rows that are shown differ in it."""


def varying(rows: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """The columns that tell rows apart, beside model and sizes, which every row has."""
    return [axis for axis in _VARYING if len({str(row[axis.name]) for row in rows}) > 1]


def check_known(name: str, value: str | None, known: Collection[str]) -> None:
    """Raise `ArgumentError` for a value that no case can have."""
    if value is None or (isinstance(value, str) and value in known):
        return
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    raise ArgumentError(f"{name}: {quoted(value)} is not one of {', '.join(sorted(known))}{near}")


def models_like(given: str, names: Sequence[str]) -> list[str]:
    """The names of models that are the given one, or of which the last part is.

    A folder, or a file of code, that is given by its path is known by its last parts, too:
    histories keep no more. A name with a slash that is no file's may be one on the Hub, and is
    taken for a path only where no other model has it.
    """
    wanted = given.rstrip("/\\")
    found = _matching(_pattern([wanted]), names, by_last_part=True)
    if looks_like_path(wanted) or _is_file(wanted):
        found += _matching(_pattern([own_name(wanted)]), names, by_last_part=True)
    elif not found:
        found += _matching(_pattern(_endings(wanted)), names, by_last_part=False)
    known = set(found)
    return [name for name in names if name in known]


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    patterns = (".*".join(map(re.escape, name.split("*"))) for name in names)
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


def _matching(pattern: re.Pattern[str], names: Sequence[str], *, by_last_part: bool) -> list[str]:
    return [
        name
        for name in names
        for shown in [name.rstrip("/\\")]
        if pattern.fullmatch(shown)
        or (by_last_part and pattern.fullmatch(re.split(r"[/\\]", shown)[-1]))
    ]


def _endings(path: str) -> list[str]:
    """What a path may be kept as: as many of its last parts as it took; none of a pattern."""
    parts = [part for part in re.split(r"[/\\]+", path) if part]
    if "*" in path or len(parts) < 2:
        return [path]
    return ["/".join(parts[-count:]) for count in range(1, len(parts))] + [last_part(path)]


def _is_file(path: str) -> bool:
    """Whether it is a folder or a file, that of a function's code included."""
    with suppress(OSError, ValueError):
        return any(map(os.path.exists, (path, path.rpartition(":")[0] or path)))
    return False
