"""Where live progress is shown: below a notebook's cell, on a terminal, or in a log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

from ..execution.progress import Progress
from ..report.width import in_notebook, is_terminal
from .log import LogDisplay
from .terminal import TerminalDisplay


class Display(Protocol):
    """Shows a benchmark's progress while it is entered."""

    def __enter__(self) -> Display:
        """Show it for the first time."""

    def update(self) -> None:
        """Show it as it is now; called a few times a second."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave a line that says how it went."""


def display_for(progress: Progress, *, shown: bool) -> Display:
    """The display that suits where it runs: a notebook's, a terminal's, or a log's."""
    if not shown:
        return NoDisplay()
    if in_notebook():
        from .notebook import NotebookDisplay

        return NotebookDisplay(progress)
    if sys.stderr is None:  # which it is without a console: pythonw, a service
        return NoDisplay()
    if is_terminal(sys.stderr):
        return TerminalDisplay(progress)
    return LogDisplay(progress)


class NoDisplay:
    """Shows nothing."""

    def __enter__(self) -> NoDisplay:
        return self

    def update(self) -> None:
        """Nothing."""

    def __exit__(self, *_: object) -> None:
        pass
