"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..errors import OutputError
from ..history.database import SWITCH, history_file
from ..history.store import HistoryStore
from ..machine.machine import describe_machine
from ..report.environment import EnvironmentKey
from ..worker.case import Case
from .events import CaseEnded, Event
from .supervise import Supervisor

Run = Callable[
    [Sequence[Case], Mapping[EnvironmentKey, Supervisor], Callable[[], bool]], Iterator[Event]
]
"""Carries out cases whose environments are ready; is given what says whether to stop."""


def history_to_resume() -> HistoryStore:
    """The history that a sweep goes on from; raises `OutputError` where it is switched off."""
    file = history_file()
    if file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return HistoryStore(file, describe_machine())


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
    store, missing = history_to_resume(), []
    try:
        for case in cases:
            worker = supervisors[case.framework, case.environment].introduced()
            outcome = None if worker is None or cancelled() else store.find(case, worker)
            if outcome is None:
                missing.append(case)
            else:
                yield CaseEnded(case, outcome, worker, is_old=True)
    finally:
        store.close()
    yield from run(missing, supervisors, cancelled)
