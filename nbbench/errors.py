"""What nbbench raises. Every message is one sentence: what was wrong, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NbbenchError(Exception):
    """Whatever nbbench raises itself."""


class ArgumentError(NbbenchError, ValueError):
    """An argument is unknown, or its value is not one that it takes."""


class ModelNotFound(NbbenchError, LookupError):
    """No configuration was found for a model's name."""


class OutputError(NbbenchError, OSError):
    """A report cannot be written where it was to go, or read from where it was said to be."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Ask "did you mean …?" where a known name is near; else say nothing."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
