"""Progress in a log, where lines cannot change in place."""

from __future__ import annotations

import sys
from contextlib import suppress

from ..execution.progress import Progress
from ..text import one_line
from ..worker.case import Status


class LogDisplay:
    """A line on stderr for every case that has ended, where lines cannot change in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._printed = self._noticed = 0

    def __enter__(self) -> LogDisplay:
        return self

    def update(self) -> None:
        """Print what was made and the cases that have ended since the last time."""
        for notice in self._progress.notices[self._noticed :]:
            self._print(one_line(notice))
            self._noticed += 1
        results = self._progress.results
        for number, result in enumerate(results[self._printed :], self._printed + 1):
            self._printed = number
            status = result.outcome.status
            if status is not Status.SKIPPED:  # the rest of a cancelled run has one line, at the end
                case = f"{number} of {len(self._progress.cases)} · {one_line(result.case.label)}"
                self._print(f"{case} · {status.value}")

    def __exit__(self, *_: object) -> None:
        self.update()
        self._print(self._progress.summary())

    def _print(self, line: str) -> None:
        # A log that cannot be written, or is closed, is no reason to lose the run.
        with suppress(OSError, ValueError):
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            print(line.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)
