"""What cases of the history are asked for by, and what tells those that are found apart."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..errors import ArgumentError, did_you_mean
from ..text import quoted
from ..worker.case import AXES, Axis, Status

MODES = ("inference", "training", "generation")
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

    A folder that is given by its path is known by its last part, too: histories keep that alone.
    """
    wanted = {given.rstrip("/\\")}
    if given.startswith((".", "/", "~")):
        wanted.add(os.path.basename(os.path.abspath(os.path.expanduser(given))))
    patterns = (".*".join(map(re.escape, name.split("*"))) for name in wanted)
    pattern = re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)
    return [
        name
        for name in names
        for shown in [name.rstrip("/\\")]
        if any(map(pattern.fullmatch, (shown, re.split(r"[/\\]", shown)[-1])))
    ]
