"""What stands in a cell's output."""

from __future__ import annotations

from html import escape
from typing import Any


class Shown:
    """What stands in an output, in every form that a front end may take."""

    def __init__(self, text: str, html: str) -> None:
        self._text, self._html = text, html

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self._text, "text/html": self._html}


def escaped_note(sentence: str, *, alarming: bool = True) -> str:
    """A sentence as HTML, to stand beside what it is about; a screen reader says it at once."""
    if not sentence:
        return ""
    color = "var(--jp-error-color1, #b3261e)" if alarming else "inherit"
    role = "alert" if alarming else "status"
    return f'<span role="{role}" style="color: {color}">{escape(sentence)}</span>'
