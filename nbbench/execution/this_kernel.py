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
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..frameworks import BackendFile
from ..worker.case import Outcome, Phase, Status
from ..worker.messages import (
    CaseFinished,
    CaseStarted,
    Event,
    MeasureCeilings,
    OfOneCase,
    PredictCase,
    Request,
    StopCase,
    WorkerFailed,
    WorkerReady,
)
from .worker import Worker

_STOP_GRACE_S = 2.0
"""Seconds that an interrupted case is waited for, and once more before the next one begins: it may
be deep in a call of the framework's."""

_ENDING_S = 0.2
"""Seconds in which a thread ends whose case has."""

_NOT_ALONE = Outcome(
    Status.ERROR,
    "a case before it could not be stopped and still runs in this process, where it would be "
    "measured beside it; restart the kernel, or leave isolation at its default",
    Phase.STARTING,
)

_THREAD = "nbbench-case"
"""The name of each thread that runs a case, whichever benchmark it is of."""


class ThisKernel:
    """Runs cases here, each in a thread of its own.

    A case that is stopped is interrupted where Python can be; one that sits in a call of the
    framework's goes on in its thread, and as long as it does no other is measured beside it.
    """

    where = "this process, where isolation none runs it"
    alive = True
    serves_many = True
    introduces_itself = False

    def __init__(self, backend: BackendFile) -> None:
        self.facts: Mapping[str, Any] = {}
        self._backend = backend
        self._events: queue.Queue[Event] = queue.Queue()
        self._thread: threading.Thread | None = None

    def begin_case(self) -> None:
        """Forget what a case that was stopped may still say."""
        self._events = queue.Queue()

    def send(self, request: Request) -> None:
        """Begin a case."""
        before = [thread for thread in threading.enumerate() if thread.name == _THREAD]
        for thread in before:
            thread.join(_ENDING_S)
            _interrupt(thread)
        if any(thread.is_alive() for thread in before):
            self._events.put(CaseFinished(_NOT_ALONE))
        elif not isinstance(request, StopCase):
            self._thread = threading.Thread(
                target=_run_until_interrupted,
                args=(self._backend, request, self._events),
                daemon=True,
                name=_THREAD,
            )
            self._thread.start()

    def receive(self, timeout: float) -> Event | None:
        """The next event; ``queue.Empty`` after ``timeout`` seconds."""
        return self._events.get(timeout=max(timeout, 0.0))

    def stop(self) -> None:
        """Interrupt the running case, and wait for it a moment."""
        if self._thread is not None:
            _interrupt(self._thread)

    def close(self) -> None:
        """Nothing: this process goes on."""

    def outcome_of_death(self, phase: Phase) -> Outcome:
        """What is never asked for: this process does not end."""
        return Outcome(Status.CRASHED, "this process has ended", phase)

    def log_tail(self) -> str:
        """Nothing: what is printed here is seen here."""
        return ""


class ThisKernelAlone:
    """This process as the only worker."""

    own_process = False

    def __init__(self, backend: BackendFile, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self._worker = ThisKernel(backend)

    def take(self) -> Worker:
        """This process."""
        return self._worker

    def give_back(self, worker: Worker, *, idle: bool) -> None:
        """Nothing: this process goes on."""


def _run_until_interrupted(
    backend_file: BackendFile, request: OfOneCase, events: queue.Queue[Event]
) -> None:
    with suppress(KeyboardInterrupt):  # one that comes beside the case itself
        _run(backend_file, request, events)


def _run(backend_file: BackendFile, request: OfOneCase, events: queue.Queue[Event]) -> None:
    from ..worker.load import load_backend
    from ..worker.measure_ceilings import measure_ceilings
    from ..worker.predict_case import predict_case
    from ..worker.run_case import run_case

    found = backend_file
    backend = load_backend(found.framework, found.file, found.class_name)
    if isinstance(backend, WorkerFailed):
        events.put(backend)
        return

    def ready() -> WorkerReady:
        own = {"python_version": platform.python_version(), "own_process": False}
        return WorkerReady(found.framework, os.getpid(), {**own, **backend.environment()})

    events.put(ready())
    events.put(CaseStarted(os.getpid()))
    try:
        if isinstance(request, PredictCase):
            outcome = predict_case(backend, request.case, events.put)
        elif isinstance(request, MeasureCeilings):
            outcome = measure_ceilings(backend, request.case, request.dtype, events.put)
        else:
            outcome = run_case(backend, request, events.put)
    except BaseException as error:  # an interrupt that came when the case itself was over
        outcome = Outcome(Status.ERROR, f"{type(error).__name__}: {error}")
    events.put(ready())  # a case may set threads, which stay set in this process
    events.put(CaseFinished(outcome))


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in another thread when it next runs Python, and wait for it a moment.

    Again where it has not ended: what is raised in a finalizer is lost.
    """
    deadline = time.monotonic() + _STOP_GRACE_S
    while thread.is_alive() and thread.ident is not None and time.monotonic() < deadline:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
        )
        thread.join(_STOP_GRACE_S / 4)
