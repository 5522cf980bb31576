"""What nbbench raises. Every message is one sentence: what was wrong, and what to do.

A message is one line of what can be printed, whatever a user's value or a library's error brings
into it, and no password or token is in it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from .masked_urls import without_secrets
from .text import one_line

NEAR = 0.75
"""How alike two names are, from 0 to 1, of which one may be the other misspelt."""

MIN_ABBREVIATION = 3
MAX_NAME = 200
"""The letters of the longest name that is compared with others."""


class NbbenchError(Exception):
    """Whatever nbbench raises itself; passwords and tokens in URLs are masked in its message."""

    def __str__(self) -> str:
        return _shown(super().__str__())

    def __repr__(self) -> str:
        return _shown(super().__repr__())


class ArgumentError(NbbenchError, ValueError):
    """An argument is unknown, or its value is not one that it takes.

    ``problems`` has a sentence for each argument that is wrong, by its name; "" for what concerns
    several. The message is the first of them.
    """

    def __init__(self, message: str, problems: dict[str, str] | None = None) -> None:
        super().__init__(message)
        found = {"": message} if problems is None else problems
        self.problems = {name: _shown(text) for name, text in found.items()}


class ModelNotFound(NbbenchError, LookupError):
    """No configuration was found for a model's name."""


class OutputError(NbbenchError, OSError):
    """A report or the history cannot be read from a file or written to it, or is switched off."""


def _shown(message: str) -> str:
    return one_line(without_secrets(message))


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Ask "did you mean …?" where a known name is near; else say nothing."""
    near = nearest(wrong, known)
    return f"; did you mean {near!r}?" if near else ""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The known name that is a slip of the keyboard away, or is abbreviated; empty if none is.

    Dashes of options and the case of letters do not count.
    """
    by_core = {name.lstrip("-").lower(): name for name in known}
    core = wrong.lstrip("-").lower()
    if not core or len(core) > MAX_NAME:
        return ""
    near = difflib.get_close_matches(core, by_core, n=1, cutoff=NEAR)
    near = near or [name for name in by_core if sorted(name) == sorted(core)]  # letters swapped
    if near:
        return by_core[near[0]]
    longer = [name for name in by_core if _abbreviates(core, name)]
    return by_core[longer[0]] if len(longer) == 1 else ""


def _abbreviates(short: str, name: str) -> bool:
    """Whether the parts of ``short`` begin those of a name: seq_len for sequence_lengths."""
    parts, whole = (re.split("[-_ ]", text) for text in (short, name))
    return (
        len(short) >= MIN_ABBREVIATION
        and len(parts) <= len(whole)
        and all(part and full.startswith(part) for part, full in zip(parts, whole, strict=False))
    )
