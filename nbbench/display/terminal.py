"""Progress on a terminal: one line that changes in place."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from ..execution.progress import Progress


class TerminalDisplay:
    """A line on stderr that changes in place."""

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.status import Status

        self._progress = progress
        self._warned = 0
        stderr: Any = _Lasting(sys.stderr)
        self._console = Console(file=stderr)
        self._status = Status("starting", console=self._console, refresh_per_second=4)

    def __enter__(self) -> TerminalDisplay:
        self._status.start()
        return self

    def update(self) -> None:
        """Show the line as it is now."""
        from rich.markup import escape

        for warning in self._progress.warnings[self._warned :]:
            self._console.print(warning, highlight=False, markup=False)
            self._warned += 1
        self._status.update(escape(self._progress.line()))

    def __exit__(self, *_: object) -> None:
        self.update()
        self._status.stop()
        self._console.print(self._progress.summary(), highlight=False)


class _Lasting:
    """A stream that may be lost: a terminal that goes away is no reason to lose the run."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Write what is left, if it can be."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
