"""A semicolon at the end of the line or of the cell: the value is kept, and not shown."""

from __future__ import annotations

import io
import re
import tokenize
from typing import Any, TypeVar

_Value = TypeVar("_Value")

_BARE = re.compile(r"^\s*%{0,2}tfbench\b", re.MULTILINE)
"""A call whose value IPython shows, and assigns to nothing."""

_ASSIGNED = re.compile(r"=\s*%tfbench\b")


def without_semicolon(line: str) -> tuple[str, bool]:
    """A magic's line without semicolons at its end, and whether there were any."""
    bare = line.rstrip().rstrip("; ")
    return (bare, True) if ";" in line[len(bare) :] else (line, False)


def ends_with_semicolon(body: str) -> bool:
    """Whether the last token of a cell's body is a semicolon, comments aside."""
    beside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.DEDENT, tokenize.ENDMARKER)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(body).readline))
    except (tokenize.TokenError, SyntaxError):  # which whoever reads the body has a sentence for
        return False
    texts = [token.string for token in tokens if token.type not in beside]
    return texts[-1:] == [";"]


class SilencedCells:
    """Leaves a value unshown where IPython would show it; elsewhere returns it.

    IPython shows what the magic returns, unless it is assigned (``report = %tfbench …;``), which
    the magic cannot see: so the text of the cell that runs is kept.
    """

    def __init__(self, ipython: Any) -> None:
        self._ipython = ipython
        self._cell = ""
        ipython.events.register("pre_run_cell", self._remember)
        ipython.events.register("post_run_cell", self._forget)

    def keep(self, value: _Value) -> _Value | None:
        """None, with the value in ``_`` and ``Out`` all the same; or the value if it is used."""
        if not _BARE.search(self._cell) or _ASSIGNED.search(self._cell):
            return value
        if value is not None:
            self._ipython.displayhook.update_user_ns(value)
        return None

    def _remember(self, info: Any) -> None:
        self._cell = info.raw_cell

    def _forget(self, _: Any) -> None:
        self._cell = ""
