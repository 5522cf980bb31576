"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..history_database.columns import EXTRAS
from ..history_database.connection import SWITCH
from ..history_database.database import history_file, warn_twice
from ..history_database.store import HistoryStore
from ..machine.machine import describe_machine
from ..plan.result import Result
from ..report.environment import EnvironmentKey, WorkerFacts
from ..text import counted
from ..worker.case import Case, Outcome
from .events import CaseEnded, CaseVisited, Event, Notice
from .rounds import is_measured
from .supervise import Supervisor

Run = Callable[
    [Sequence[Case], Mapping[EnvironmentKey, Supervisor], Callable[[], bool]], Iterator[Event]
]
"""Carries out cases whose environments are ready; is given what says whether to stop."""

_BUSY_S = 5.0
"""How long what was measured before waits for another's write; nothing is measured meanwhile."""


class EarlierRuns:
    """What earlier runs have measured, as far as the history can be read: the rest is measured."""

    def __init__(self, file: Path, extras: Collection[str]) -> None:
        self._notices: list[str] = []
        self._store = HistoryStore(
            file,
            describe_machine(),
            lambda text: warn_twice(text, self._notices.append),
            _BUSY_S,
            extras,
        )
        self._is_lost = False

    def find(self, case: Case, worker: WorkerFacts) -> Result | None:
        """What became of the same case here; None if nothing, or nothing that can be read."""
        return self._found(lambda: self._store.find(case, worker))

    def find_visits(self, case: Case, worker: WorkerFacts) -> Result | None:
        """What visits of a case have measured that has not ended; None if nothing can be read."""
        return self._found(lambda: self._store.find_visits(case, worker))

    def find_on_nodes(self, case: Case) -> Result | None:
        """What became of the same case on any node; None if nothing that can be read."""
        return self._found(lambda: self._store.find_on_nodes(case))

    def close(self) -> None:
        """Let go of the history."""
        self._store.close()

    def notices(self) -> Iterator[Notice]:
        """What a person should know of the history, and has not been given yet."""
        if self._store.unreadable:
            cases = counted(self._store.unreadable, "case")
            self._notices.append(f"{cases} of the history cannot be read: measured again")
            self._store.unreadable = 0
        while self._notices:
            yield Notice(self._notices.pop(0))

    def _found(self, find: Callable[[], Result | None]) -> Result | None:
        if self._is_lost:
            return None
        try:
            return find()
        except OutputError as error:
            self._is_lost = True
            self._notices.append(f"{error}; what it has is measured again")
            return None


def extras_of(arguments: BenchmarkArguments) -> frozenset[str]:
    """Which of `EXTRAS` a run asks for beside its cases."""
    asked = {"ceilings": arguments.ceilings, "prediction": arguments.predict is True}
    return frozenset(extra for extra in EXTRAS if asked[extra])


def history_to_resume(arguments: BenchmarkArguments) -> EarlierRuns:
    """The runs that a sweep goes on from; raises `OutputError` where the history is off."""
    file = history_file()
    if file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return EarlierRuns(file, extras_of(arguments))


def run_missing(
    run: Callable[..., Iterator[Event]],
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    earlier: EarlierRuns,
) -> Iterator[Event]:
    """Yield the end of each case that was measured before, and the events of ``run`` for the rest.

    A case was measured before if it is the same in all that changes a result, with the same
    versions and settings on the same machine, and has the extras that are asked for. One that timed
    out, crashed or was cancelled then is measured again. ``run`` gets as ``begun`` what visits have
    measured of cases that did not come to their end.
    """
    missing, begun = list[Case](), dict[Case, Outcome]()
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced()
            found = None
            if worker is not None and not cancelled():
                found = earlier.find(case, worker) or earlier.find_visits(case, worker)
            if worker is None or found is None:
                missing.append(case)
            elif is_measured(case, found.outcome, forks=supervisor.forks):
                yield CaseEnded(case, found.outcome, worker, is_old=True)
            else:
                missing.append(case)
                if not _has_compiled(found.outcome):
                    begun[case] = found.outcome
                    yield CaseVisited(case, found.outcome, worker)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(missing, supervisors, cancelled, begun=begun)


def _has_compiled(outcome: Outcome) -> bool:
    """Whether visits have compiled what those of another run do not find."""
    visits = () if outcome.timing is None else outcome.timing.visits
    return any(visit.compiled for visit in visits)


def run_unsearched(
    run: Run,
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    earlier: EarlierRuns,
) -> Iterator[Event]:
    """Yield the end of each search that came to its end before, and the events of ``run``."""
    left = []
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced() if case.searched else None
            found = None if worker is None or cancelled() else earlier.find(case, worker)
            if found is None:
                left.append(case)
                continue
            sized = found_case(case, found.case)
            if is_measured(sized, found.outcome, forks=supervisor.forks):
                yield CaseEnded(case, found.outcome, worker, is_old=True, found=sized)
            else:
                left.append(case)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(left, supervisors, cancelled)


def found_case(planned: Case, found: Case) -> Case:
    """The planned case with the size that a search has found for it."""
    sized: dict[str, Any] = {planned.searched: getattr(found, planned.searched)}
    return replace(planned, searched="", **sized)
