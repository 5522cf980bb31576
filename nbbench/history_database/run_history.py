"""The cases of one run on their way into the history: what cannot be written yet is not lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..text import counted
from ..worker.case import Case
from .connection import HistoryLocked
from .database import warn_twice
from .store import HistoryStore

_BUSY_S = 0.1
"""How long a case waits for another's write while a benchmark runs; the next case tries again."""

_BUSY_AT_THE_END_S = 10.0

_MAX_FAILURES = 2
"""Cases in a row that cannot be written, before the others are left for later."""


@dataclass(frozen=True)
class _Kept:
    result: Result
    worker: WorkerFacts | None
    ended: float
    planned: Case | None
    position: int | None


class RunHistory:
    """Keeps the cases of one run. What cannot be written is tried again: with the next, at the end.

    Nothing of the history makes a run fail; ``warn`` is given what a person should know. ``extras``
    are what the run asks for beside its cases.
    """

    def __init__(
        self,
        file: Path,
        machine: MachineFacts,
        warn: Callable[[str], None],
        extras: Collection[str] = frozenset(),
    ) -> None:
        self._warn, self._has_warned = warn, False
        self._store = HistoryStore(
            file, machine, lambda text: warn_twice(text, warn), _BUSY_S, extras
        )
        self._waiting: list[_Kept] = []
        self._written: list[_Kept] = []

    def add(
        self,
        result: Result,
        worker: WorkerFacts | None,
        planned: Case | None = None,
        position: int | None = None,
    ) -> None:
        """Add a case that has ended now; `HistoryStore.add` has the others."""
        self._waiting.append(_Kept(result, worker, time.time(), planned, position))
        error = self._write()
        if error is not None and not isinstance(error, HistoryLocked) and not self._has_warned:
            self._has_warned = True
            self._warn(
                f"{error}; what was measured is in the report alone, and the history is tried "
                f"again with each case"
            )

    def keep_visits(self, result: Result, worker: WorkerFacts) -> bool:
        """Keep what visits of a case have measured; False where that cannot be now.

        The end of the case has them, too, so that no warning is due.
        """
        before = self._store.identity
        try:
            self._store.keep_visits(result, worker)
        except OutputError:
            return False
        if before is not None and self._store.identity != before:  # it was damaged, and mended
            self._waiting, self._written = [*self._written, *self._waiting], []
        return True

    def close(self) -> None:
        """Write what is left, and let go of the database."""
        self._look_for_it()
        if self._waiting:
            self._store.wait_longer(_BUSY_AT_THE_END_S)
            error = self._write()
            if error is not None and not self._has_warned:
                cases = counted(len(self._waiting), "case")
                self._warn(f"{error}; {cases} of this run are in the report alone")
        self._store.close()

    def _write(self) -> OutputError | None:
        """Write what waits; what kept it from it, if anything did."""
        self._look_for_it()
        problem: OutputError | None = None
        left, failures = self._waiting, 0
        self._waiting = []
        while left:
            kept, before = left.pop(0), self._store.identity
            try:
                self._store.add(kept.result, kept.worker, kept.ended, kept.planned, kept.position)
            except OutputError as error:
                problem, failures = error, failures + 1
                self._waiting.append(kept)
                if isinstance(error, HistoryLocked) or failures == _MAX_FAILURES:
                    break
                continue
            failures = 0
            self._written.append(kept)
            if before is not None and self._store.identity != before:  # it was damaged, and mended
                left = [*self._written, *left]
                self._written = []
        self._waiting += left
        return problem

    def _look_for_it(self) -> None:
        """Have all of this run wait once more where what was written is no longer there."""
        if self._store.close_if_replaced():
            self._waiting = [*self._written, *self._waiting]
            self._written = []
            self._warn(
                "the history was deleted or renamed during the run; it is begun anew with the "
                "cases of this run"
            )
