"""Live progress below a cell: HTML that changes in place, with plain text beside it."""

from __future__ import annotations

from html import escape
from typing import Any

from IPython.display import display

from ..progress import Progress


class _Line:
    """What is shown, in every form that a front end may take."""

    def __init__(self, text: str, share: float | None) -> None:
        self._text, self._share = text, share

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bar = ""
        if self._share is not None:
            bar = f'<progress max="1" value="{self._share:.3f}" style="width:12em"></progress> '
        html = f'<div role="status" style="font-size:90%">{bar}{escape(self._text)}</div>'
        return {"text/plain": self._text, "text/html": html}


class NotebookDisplay:
    """Progress in the output of the cell that runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shown = ""

    def __enter__(self) -> NotebookDisplay:
        self._handle = display(_Line("starting", 0.0), display_id=True)
        return self

    def update(self) -> None:
        """Show how it is now, if that is anything new."""
        line = self._progress.line()
        if line != self._shown:
            self._shown = line
            share = len(self._progress.results) / max(len(self._progress.cases), 1)
            self._handle.update(_Line(line, share))

    def __exit__(self, *_: object) -> None:
        self._handle.update(_Line(self._progress.summary(), None))
