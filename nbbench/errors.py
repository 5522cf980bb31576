"""What nbbench raises. Every message is one sentence: what was wrong, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NbbenchError(Exception):
    """Whatever nbbench raises itself."""


class ArgumentError(NbbenchError, ValueError):
    """An argument is unknown, or its value is not one that it takes.

    ``problems`` has a sentence for each argument that is wrong, by its name; "" for what concerns
    several. The message is the first of them.
    """

    def __init__(self, message: str, problems: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.problems = {"": message} if problems is None else problems


class ModelNotFound(NbbenchError, LookupError):
    """No configuration was found for a model's name."""


class OutputError(NbbenchError, OSError):
    """A report cannot be written to a path, or read from one."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Ask "did you mean …?" where a known name is near; else say nothing."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
