"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..history.columns import EXTRAS
from ..history.database import SWITCH, history_file
from ..history.store import HistoryStore
from ..machine.machine import describe_machine
from ..report.environment import EnvironmentKey
from ..worker.case import Case, Outcome
from .events import CaseEnded, CaseVisited, Event
from .rounds import is_measured
from .supervise import Supervisor

Run = Callable[
    [Sequence[Case], Mapping[EnvironmentKey, Supervisor], Callable[[], bool]], Iterator[Event]
]
"""Carries out cases whose environments are ready; is given what says whether to stop."""


def extras_of(arguments: BenchmarkArguments) -> frozenset[str]:
    """Which of `EXTRAS` a run asks for beside its cases."""
    asked = {"ceilings": arguments.ceilings, "prediction": arguments.predict is True}
    return frozenset(extra for extra in EXTRAS if asked[extra])


def history_to_resume(extras: Collection[str]) -> HistoryStore:
    """The history that a sweep goes on from; raises `OutputError` where it is switched off."""
    file = history_file()
    if file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return HistoryStore(file, describe_machine(), extras)


def run_missing(
    run: Callable[..., Iterator[Event]],
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    extras: Collection[str],
) -> Iterator[Event]:
    """Yield the end of each case that was measured before, and the events of ``run`` for the rest.

    A case was measured before if it is the same in all that changes a result, with the same
    versions and settings on the same machine, and has the ``extras``. One that timed out, crashed
    or was cancelled then is measured again. ``run`` gets as ``begun`` what visits have measured of
    cases that did not come to their end.
    """
    store, missing, begun = history_to_resume(extras), [], dict[Case, Outcome]()
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced()
            found = None
            if worker is not None and not cancelled():
                found = store.find(case, worker) or store.find_visits(case, worker)
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
        store.close()
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
    extras: Collection[str],
) -> Iterator[Event]:
    """Yield the end of each search that came to its end before, and the events of ``run``."""
    store, left = history_to_resume(extras), []
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced() if case.searched else None
            found = None if worker is None or cancelled() else store.find(case, worker)
            if found is None:
                left.append(case)
                continue
            sized = found_case(case, found.case)
            if is_measured(sized, found.outcome, forks=supervisor.forks):
                yield CaseEnded(case, found.outcome, worker, is_old=True, found=sized)
            else:
                left.append(case)
    finally:
        store.close()
    yield from run(left, supervisors, cancelled)


def found_case(planned: Case, found: Case) -> Case:
    """The planned case with the size that a search has found for it."""
    sized: dict[str, Any] = {planned.searched: getattr(found, planned.searched)}
    return replace(planned, searched="", **sized)
