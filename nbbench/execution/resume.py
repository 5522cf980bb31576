"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..history_database.alike import model_key
from ..history_database.columns import EXTRAS
from ..history_database.connection import SWITCH
from ..history_database.database import history_file, warn_twice
from ..history_database.store import HistoryStore
from ..history_database.stored import Stored, without_ceilings
from ..machine.machine import describe_machine
from ..plan.code_digest import MAX_BYTES, MAX_ENTRIES, MAX_FILES, UNKNOWN
from ..plan.result import Result
from ..report.environment import EnvironmentKey, WorkerFacts
from ..text import counted, quoted
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
    """What earlier runs have measured, as far as the history can be read: the rest is measured.

    ``cases`` are those of the run: what was measured of one of their models under its own label is
    left for that. Nothing serves two cases.
    """

    def __init__(self, file: Path, extras: Collection[str], cases: Iterable[Case] = ()) -> None:
        self._extras, self._has_noticed = extras, False
        self._notices: list[str] = []
        self._rows, self._samples = set[str](), frozenset[tuple[Any, ...]]()
        self._models = {(model_key(case), case.saved_as or case.model) for case in cases}
        self._store = HistoryStore(
            file,
            describe_machine(),
            lambda text: warn_twice(text, self._notices.append),
            _BUSY_S,
            extras,
        )
        self._is_lost = False

    def find(self, case: Case, worker: WorkerFacts, *, forks: bool) -> Result | None:
        """What became of the same case here, or what its visits have measured so far.

        None if nothing, nothing that can be read, or nothing that no other case of this run has:
        cases of several models may be alike. ``forks`` is that of `is_measured`.
        """
        return self._taken(case, lambda: self._of_case(case, worker), forks)

    def find_on_nodes(self, case: Case, *, forks: bool) -> Result | None:
        """What became of the same case on any node; None if nothing that can be read."""
        return self._taken(case, lambda: self._on_nodes(case), forks)

    def _of_case(self, case: Case, worker: WorkerFacts) -> Iterator[Stored]:
        yield from self._store.ended(case, worker)
        if not case.searched:
            yield from self._store.begun(case, worker)

    def _on_nodes(self, case: Case) -> Iterator[Stored]:
        return (each for each in self._store.ended(case, None) if each.result.outcome.node)

    def _taken(
        self, case: Case, find: Callable[[], Iterator[Stored]], forks: bool
    ) -> Result | None:
        """What serves a case best, which serves no other case from then on."""
        if self._is_lost:
            return None
        self._notice_unknown(case)
        try:
            stored = self._best(case, find(), forks)
        except OutputError as error:
            self._is_lost = True
            self._notices.append(f"{error}; what it has is measured again")
            return None
        if stored is None:
            return None
        if is_whole(case, stored.result, forks=forks) or not case.searched:
            self._rows.add(stored.row)
            self._samples |= stored.samples
        result = stored.result
        if "ceilings" in self._extras:
            return result
        return replace(result, outcome=without_ceilings(result.outcome))

    def _best(self, case: Case, found: Iterator[Stored], forks: bool) -> Stored | None:
        """What is whole, of the same label if it can be; else what has the most visits."""
        own, of_others = list[Stored](), list[Stored]()
        label = case.saved_as or case.model
        for stored in found:
            is_own = stored.label == label
            if stored.row in self._rows or stored.samples & self._samples:
                continue
            if not is_own and (model_key(case), stored.label) in self._models:
                continue
            if is_own and is_whole(case, stored.result, forks=forks):
                return stored
            (own if is_own else of_others).append(stored)
        for each in (own, of_others):
            whole = (stored for stored in each if is_whole(case, stored.result, forks=forks))
            best = next(whole, None) or max(each, key=lambda stored: stored.visits, default=None)
            if best is not None:
                return best
        return None

    def _notice_unknown(self, case: Case) -> None:
        """Say once why code that cannot be compared is measured again."""
        if case.code.startswith(UNKNOWN) and not self._has_noticed:
            self._has_noticed = True
            self._notices.append(
                f"what {quoted(case.saved_as or case.model)} runs cannot be compared with an "
                f"earlier run, and is measured again: beneath its folder are more than "
                f"{MAX_FILES:,} .py files, {MAX_BYTES >> 20} MiB of them or {MAX_ENTRIES:,} files "
                f"of any kind, or something cannot be read or found; a folder of its own helps"
            )

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


def is_whole(case: Case, result: Result, *, forks: bool) -> bool:
    """Whether a result is all that a case comes to, which may be one whose size is searched."""
    sized = found_case(case, result.case) if case.searched else case
    return is_measured(sized, result.outcome, forks=forks)


def extras_of(arguments: BenchmarkArguments) -> frozenset[str]:
    """Which of `EXTRAS` a run asks for beside its cases."""
    asked = {"ceilings": arguments.ceilings, "prediction": arguments.predict is True}
    return frozenset(extra for extra in EXTRAS if asked[extra])


def history_to_resume(arguments: BenchmarkArguments, cases: Iterable[Case] = ()) -> EarlierRuns:
    """The runs that a sweep goes on from; raises `OutputError` where the history is off."""
    file = history_file()
    if file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return EarlierRuns(file, extras_of(arguments), cases)


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
                found = earlier.find(case, worker, forks=supervisor.forks)
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
            forks, found = supervisor.forks, None
            if worker is not None and not cancelled():
                found = earlier.find(case, worker, forks=forks)
            if found is None or not is_whole(case, found, forks=forks):
                left.append(case)
                continue
            sized = found_case(case, found.case)
            yield CaseEnded(case, found.outcome, worker, is_old=True, found=sized)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(left, supervisors, cancelled)


def found_case(planned: Case, found: Case) -> Case:
    """The planned case with the size that a search has found for it."""
    sized: dict[str, Any] = {planned.searched: getattr(found, planned.searched)}
    return replace(planned, searched="", **sized)
