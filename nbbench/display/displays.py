"""Where live progress is shown: below a notebook's cell, on a terminal, or in a log."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

from ..execution.progress import Progress


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
    """The display that suits the place: a notebook's, a terminal's, or a log's."""
    if not shown:
        return NoDisplay()
    if in_notebook():
        from .notebook import NotebookDisplay

        return NotebookDisplay(progress)
    if sys.stderr.isatty():
        return TerminalDisplay(progress)
    return LineDisplay(progress)


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel (or Colab's, or VS Code's) rather than a terminal."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NoDisplay:
    """Shows nothing."""

    def __enter__(self) -> NoDisplay:
        return self

    def update(self) -> None:
        """Nothing."""

    def __exit__(self, *_: object) -> None:
        pass


class LineDisplay:
    """A line on stderr for every case that has ended, where lines cannot change in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = self._noticed = 0

    def __enter__(self) -> LineDisplay:
        return self

    def update(self) -> None:
        """Tell of what was made and of the cases that have ended since the last time."""
        for notice in self._progress.notices[self._noticed :]:
            self._print(notice)
            self._noticed += 1
        results = self._progress.results
        for number, result in enumerate(results[self._told :], self._told + 1):
            status = result.outcome.status.value
            self._print(f"{number} of {len(self._progress.cases)} · {result.case.label} · {status}")
            self._told = number

    def __exit__(self, *_: object) -> None:
        self.update()
        self._print(self._progress.summary())

    def _print(self, line: str) -> None:
        with suppress(OSError):  # a log that cannot be written is no reason to lose the run
            encoding = sys.stderr.encoding or "utf-8"
            print(line.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


class TerminalDisplay:
    """A line on stderr that changes in place."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.status import Status

        self._progress = progress
        self._console = Console(stderr=True)
        self._status = Status("starting", console=self._console, refresh_per_second=4)

    def __enter__(self) -> TerminalDisplay:
        self._status.start()
        return self

    def update(self) -> None:
        """Show the line as it is now."""
        from rich.markup import escape

        self._status.update(escape(self._progress.line()))

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        self._console.print(self._progress.summary(), highlight=False)
