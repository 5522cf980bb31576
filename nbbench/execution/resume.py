"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import OutputError
from ..history.connection import SWITCH
from ..history.database import history_file, warn_twice
from ..history.store import HistoryStore
from ..machine.machine import describe_machine
from ..report.environment import EnvironmentKey, WorkerFacts
from ..text import counted
from ..worker.case import Case, Outcome
from .events import CaseEnded, Event, Notice
from .supervise import Supervisor

Run = Callable[
    [Sequence[Case], Mapping[EnvironmentKey, Supervisor], Callable[[], bool]], Iterator[Event]
]
"""Carries out cases whose environments are ready; is given what says whether to stop."""

_BUSY_S = 5.0
"""How long what was measured before waits for another's write; nothing is measured meanwhile."""


class EarlierRuns:
    """What earlier runs have measured, as far as the history can be read: the rest is measured."""

    def __init__(self, file: Path) -> None:
        self._notices: list[str] = []
        self._store = HistoryStore(
            file,
            describe_machine(),
            lambda text: warn_twice(text, self._notices.append),
            _BUSY_S,
        )
        self._is_lost = False

    def find(self, case: Case, worker: WorkerFacts) -> Outcome | None:
        """What became of the same case here; None if nothing, or nothing that can be read."""
        return self._found(lambda: self._store.find(case, worker))

    def find_on_nodes(self, case: Case) -> Outcome | None:
        """What became of the same case on any node; None if nothing that can be read."""
        return self._found(lambda: self._store.find_on_nodes(case))

    def close(self) -> None:
        """Let go of the history."""
        self._store.close()

    def notices(self) -> Iterator[Notice]:
        """What a person should know of the history, after all was looked for."""
        found = self._notices
        if self._store.unreadable:
            cases = counted(self._store.unreadable, "case")
            found = [*found, f"{cases} of the history cannot be read: measured again"]
        yield from map(Notice, found)

    def _found(self, find: Callable[[], Outcome | None]) -> Outcome | None:
        if self._is_lost:
            return None
        try:
            return find()
        except OutputError as error:
            self._is_lost = True
            self._notices.append(f"{error}; what it has is measured again")
            return None


def history_to_resume() -> EarlierRuns:
    """The runs that a sweep goes on from; raises `OutputError` where the history is off."""
    file = history_file()
    if file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return EarlierRuns(file)


def run_missing(
    run: Run,
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    """Yield the end of each case that was measured before, and the events of ``run`` for the rest.

    A case was measured before if it is the same in all that changes a result, with the same
    versions and settings on the same machine. One that timed out, crashed or was cancelled then is
    measured again.
    """
    earlier, missing = history_to_resume(), []
    try:
        for case in cases:
            worker = supervisors[case.framework, case.environment].introduced()
            outcome = None if worker is None or cancelled() else earlier.find(case, worker)
            if outcome is None:
                missing.append(case)
            else:
                yield CaseEnded(case, outcome, worker, is_old=True)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(missing, supervisors, cancelled)
