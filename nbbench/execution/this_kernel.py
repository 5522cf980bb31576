"""Cases in this very process, for debugging: breakpoints work, and no crash is survived.

The framework is imported here, and memory counts all that this process holds. It is the one
exception to the rule that the kernel stays clean, and runs only where it is asked for.
"""

from __future__ import annotations

import ctypes
import os
import platform
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from ..frameworks import find_backend
from ..plan.cases import Case, Outcome, Phase, Status
from ..worker.messages import Event, Failed, Finished, PhaseChanged, Started
from .events import CaseEnd, CaseEvent, ExecutorEvent, cancelled_while, too_late

_LISTEN_S = 0.1
_STOP_GRACE_S = 2.0
"""Seconds that an interrupted case is waited for; it may be deep in a call of the framework's."""


class InlineExecutor:
    """Runs cases here, each in a thread of its own, one at a time.

    ``timeout`` is in seconds, for one phase. A case that is cancelled or too late is interrupted
    where Python can be; one that sits in a call of the framework's goes on in its thread.
    """

    def __init__(self, timeout: float, about: dict[str, Any]) -> None:
        self._timeout = timeout
        self._about = about
        self._backends: dict[str, Any] = {}

    def run(self, cases: list[Case], cancelled: Callable[[], bool]) -> Iterator[ExecutorEvent]:
        """Events of each case and then its end; see `Executor.run`."""
        for case in cases:
            if cancelled():
                yield CaseEnd(case, Outcome.skipped())
                continue
            if case.framework not in self._backends:
                yield CaseEvent(case, PhaseChanged(Phase.STARTING))
                self._backends[case.framework] = _load(case.framework)
            backend = self._backends[case.framework]
            if isinstance(backend, Failed):
                reason = f"{backend.reason} in this process, where isolation none runs it"
                outcome = Outcome(
                    backend.status, reason, Phase.STARTING.value, detail=backend.detail
                )
                yield CaseEnd(case, outcome)
                continue
            begin = time.monotonic()
            outcome = yield from self._supervise(case, backend, cancelled)
            about = {
                "python_version": platform.python_version(),
                **backend.environment(),
                **self._about,
                "use_multiprocessing": False,
            }
            yield CaseEnd(case, replace(outcome, wall_s=time.monotonic() - begin), about)

    def _supervise(
        self, case: Case, backend: Any, cancelled: Callable[[], bool]
    ) -> Generator[ExecutorEvent, None, Outcome]:
        """Listen to one case until it ends, is stopped, or takes too long; its outcome."""
        events: queue.Queue[Event] = queue.Queue()
        thread = threading.Thread(
            target=_run, args=(backend, case, events), daemon=True, name="nbbench-case"
        )
        thread.start()
        yield CaseEvent(case, Started(os.getpid()))
        phase, entered = Phase.IMPORTING, time.monotonic()
        while True:
            stop = None
            if cancelled():
                stop = cancelled_while(phase)
            elif time.monotonic() - entered > self._timeout:
                stop = too_late(phase, self._timeout)
            if stop is not None:
                _interrupt(thread)
                thread.join(_STOP_GRACE_S)
                return stop
            try:
                event = events.get(timeout=_LISTEN_S)
            except queue.Empty:
                continue
            if isinstance(event, Finished):
                return event.outcome
            if isinstance(event, PhaseChanged):
                phase, entered = event.phase, time.monotonic()
            yield CaseEvent(case, event)


def _load(framework: str) -> Any:
    """The framework's backend, or why there is none."""
    from ..worker.load import load_backend

    found = find_backend(framework)
    return load_backend(framework, found.file, found.class_name)


def _run(backend: Any, case: Case, events: queue.Queue[Event]) -> None:
    from ..worker.resident import high_water_mark_works
    from ..worker.run_case import run_case

    try:
        outcome = run_case(backend, case, events.put, mark_works=high_water_mark_works())
    except BaseException as error:  # an interrupt that came when the case itself was over
        outcome = Outcome(Status.ERROR, f"{type(error).__name__}: {error}")
    events.put(Finished(outcome))


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in another thread, when it next runs Python."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
        )
