"""The supervisor: gives a worker its visits, one by one, and returns what came of each.

It drives every kind of worker alike. A worker that dies, hangs or is cancelled costs the case that
it runs and no other.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..machine.gpus import GpuFacts, describe_gpu
from ..report.environment import WorkerFacts
from ..worker.case import Case, Outcome, Phase, Status
from ..worker.messages import (
    CaseFinished,
    CaseMeasured,
    DeviceOpened,
    MeasureCeilings,
    OfOneCase,
    PhaseChanged,
    PredictCase,
    RunCase,
    WorkerFailed,
    WorkerReady,
)
from .events import CaseEvent, Event, cancelled_while, too_late
from .worker import Worker, Workers

_EXTRAS = {"pytorch": "torch", "tensorflow": "tensorflow"}
"""nbbench's extras that install a framework."""

_RECEIVE_S = 0.1
"""Seconds between two looks at whether the benchmark was cancelled."""

_LATE_S = 0.5
"""Seconds in which what has come in time is still read: this process may have been stopped."""

_MAX_INTRODUCTIONS = 3
"""How many workers are asked what they are, before a case is begun without knowing it."""


class Supervisor:
    """Runs the visits of cases of one framework in one interpreter.

    ``timeout`` is in seconds, for one phase of a visit; once ``cancelled()`` is true the running
    one ends as ``cancelled``. ``own_process`` says whether visits are processes of their own;
    ``processor`` names the machine's. Visits of a case keep what they compile in a folder of the
    case's own in ``compiled``.
    """

    def __init__(
        self,
        workers: Workers,
        timeout: float,
        cancelled: Callable[[], bool],
        processor: str = "",
        compiled: Path | None = None,
    ) -> None:
        self.own_process = workers.own_process
        self.processor = processor
        self._workers = workers
        self._timeout = timeout
        self._cancelled = cancelled
        self._compiled = compiled
        self._worker: Worker | None = None
        self._facts: Mapping[str, Any] = {}
        self._gpu = GpuFacts()
        self._runs_case = False
        self._introductions = 0
        self._measured: Outcome | None = None
        self._building_since: float | None = None
        self._failure: Outcome | None = None

    @property
    def facts(self) -> WorkerFacts | None:
        """What a worker reported of itself; None where none has come up yet."""
        if not self._facts:
            return None
        return WorkerFacts({**self._facts, **self._workers.facts}, self._gpu)

    def introduced(self) -> WorkerFacts | None:
        """What a worker reports of itself before it is asked for a case; None where it does not.

        One that dies meanwhile may have been killed, so another is asked; what no worker has
        reported then is not asked for again, however many cases follow.
        """
        while not self._facts and self._introductions < _MAX_INTRODUCTIONS:
            if self._cancelled():
                break
            self._introductions += 1
            with suppress(OSError):
                if self._introduce():
                    break
        return self.facts

    def _introduce(self) -> bool:
        """Wait for what a worker reports of itself; False if it died before."""
        worker, begin = self._ready_worker(), time.monotonic()
        while not worker.facts and time.monotonic() - begin < self._timeout:
            if not worker.introduces_itself or self._cancelled():
                break
            with suppress(queue.Empty):
                event = worker.receive(_RECEIVE_S)
                if isinstance(event, WorkerReady):
                    worker.facts = event.facts
                elif event is None:
                    return False
                elif isinstance(event, WorkerFailed):
                    worker.close()  # the case meets it again, and reports it
                    break
        if not worker.facts and worker.introduces_itself:  # it hangs, and would for every case
            self._introductions = _MAX_INTRODUCTIONS
        self._facts = worker.facts or self._facts
        return True

    def visit(
        self,
        case: Case,
        number: int,
        alone: bool,
        predict_s: float = 0.0,
        available: int | None = None,
    ) -> Generator[Event, None, Outcome]:
        """Yield the events of one visit of a case; its outcome.

        On the CPU a case that surely needs more than the bytes ``available`` is refused.
        """
        request = RunCase(case, number, alone, self._folder_of(case), predict_s, available)
        return (yield from self._carry_out(request, is_first=number == 0))

    def attempt(self, case: Case, available: int | None = None) -> Generator[Event, None, Outcome]:
        """Yield the events of a run for the memory alone, in few calls; its outcome."""
        request = RunCase(
            case, compiled_folder=self._folder_of(case), available=available, trial=True
        )
        return (yield from self._carry_out(request, is_first=True))

    def predict(self, case: Case) -> Generator[Event, None, Outcome]:
        """Yield the events of predicting a case; the outcome, which has the prediction."""
        return (yield from self._carry_out(PredictCase(case), is_first=True))

    def ceilings(self, case: Case, dtype: str) -> Generator[Event, None, Outcome]:
        """Yield the events of measuring what a case's device can do; the outcome, which has it."""
        return (yield from self._carry_out(MeasureCeilings(case, dtype), is_first=False))

    def _carry_out(self, request: OfOneCase, is_first: bool) -> Generator[Event, None, Outcome]:
        begin, self._building_since = time.monotonic(), None
        if self._failure is not None:  # trying again for every case would be of no use
            return self._failure
        worker = self._worker_or_failure()
        if isinstance(worker, Outcome):
            return worker
        self._measured = None
        outcome = self._kept((yield from self._follow(request, worker)))
        worker = self._worker or worker
        if outcome.status in (Status.CRASHED, Status.OOM) and not outcome.detail:
            outcome = replace(outcome, detail=worker.log_tail())
        self._runs_case = False
        if not worker.serves_many or not worker.alive:
            worker.close()
            self._worker = None
        is_first = is_first and worker.serves_many
        start_s = self._building_since - begin if is_first and self._building_since else 0.0
        device_name = self._device_name(outcome.device)
        wall_s = time.monotonic() - begin
        return replace(outcome, wall_s=wall_s, start_s=start_s, device_name=device_name)

    def _kept(self, outcome: Outcome) -> Outcome:
        """The outcome; what was measured where only the prediction after it has failed."""
        if self._measured is None or outcome.status is Status.OK:
            return outcome
        note = self._measured.reason or f"it was measured, and not predicted: {outcome.reason}"
        return replace(self._measured, reason=note)

    def _device_name(self, device: str) -> str:
        """The name of the processor or the GPU that a case ran on; empty where it ran on none."""
        if not device:
            return ""
        return self.processor if device == "cpu" else self._gpu.gpu or device

    def close(self) -> None:
        """Give the worker back, or end it with the case that it still runs."""
        if self._worker is not None:
            self._workers.give_back(self._worker, idle=not self._runs_case)
            self._worker = None

    def _folder_of(self, case: Case) -> str:
        """Where visits of this case keep what they compile; the user's own process has its own."""
        if self._compiled is None or not self.own_process:
            return ""
        return str(self._compiled / case.key)

    def _ready_worker(self) -> Worker:
        if self._worker is None or not self._worker.alive:
            self._worker = self._workers.take()
        return self._worker

    def _worker_or_failure(self) -> Worker | Outcome:
        """A worker, or what comes of a case whose interpreter cannot be started."""
        try:
            return self._ready_worker()
        except OSError as error:
            hint = "give environments the path of a python"
            if self._facts:  # it was started before
                hint = "end what else holds memory, or has so many processes or files open"
            reason = f"the interpreter cannot be started: {error.strerror or error}; {hint}"
            return self._not_started(Outcome(Status.ERROR, reason, Phase.STARTING))

    def _not_started(self, outcome: Outcome) -> Outcome:
        """What comes of a case: of every other, too, where no worker has ever come up."""
        if not self._facts:
            self._failure = outcome
        return outcome

    def _follow(self, request: OfOneCase, worker: Worker) -> Generator[Event, None, Outcome]:
        """Follow one case until it ends, is stopped, or takes too long; its outcome."""
        case, fresh, answered = request.case, not worker.facts, False
        phase, entered = Phase.STARTING if fresh else Phase.IMPORTING, time.monotonic()
        late_since: float | None = None
        yield CaseEvent(case, PhaseChanged(phase))  # it may hang before it sends anything
        self._facts = worker.facts or self._facts
        self._runs_case = True
        worker.begin_case()
        worker.send(request)
        while True:
            if self._cancelled():
                worker.stop()
                return cancelled_while(phase)
            now = time.monotonic()
            if now - entered > self._timeout:
                late_since = late_since or now
                if now - late_since > _LATE_S:
                    worker.stop()
                    return too_late(phase, self._timeout)
            try:
                event = worker.receive(_RECEIVE_S)
            except queue.Empty:
                continue
            if event is None and not (fresh or answered):  # it went at its idle limit just now
                another = self._worker_or_failure()
                if isinstance(another, Outcome):
                    return another
                return (yield from self._follow(request, another))
            answered = True
            if event is None:
                return _death(worker, phase)
            if isinstance(event, WorkerFailed):
                worker.close()
                if worker.facts:  # it was ready, so that this costs no other case
                    return Outcome(event.status, event.reason, phase, detail=event.detail)
                failure = _startup_failure(event, case.framework, worker.where)
                return self._not_started(failure)
            if isinstance(event, CaseFinished):
                return event.outcome
            if isinstance(event, WorkerReady):
                worker.facts = self._facts = event.facts
                if phase is Phase.STARTING:
                    phase, entered, late_since = Phase.IMPORTING, time.monotonic(), None
                    yield CaseEvent(case, PhaseChanged(phase))
            elif isinstance(event, CaseMeasured):
                self._measured = event.outcome
            elif isinstance(event, DeviceOpened):
                self._gpu = describe_gpu(event.gpu_uuid)
            elif isinstance(event, PhaseChanged):
                phase, entered, late_since = event.phase, time.monotonic(), None
                if phase is Phase.BUILDING:
                    self._building_since = entered
            yield CaseEvent(case, event)


def _death(worker: Worker, phase: Phase) -> Outcome:
    """What comes of a case whose worker is gone."""
    outcome = worker.outcome_of_death(phase)
    if phase is Phase.STARTING and outcome.status is Status.CRASHED:
        hint = "check that environments names a Python that works"
        outcome = replace(outcome, reason=f"{outcome.reason}; {hint}")
    return outcome


def _startup_failure(failed: WorkerFailed, framework: str, where: str) -> Outcome:
    """What comes of every case whose framework cannot be imported."""
    extra = _EXTRAS.get(framework)
    install = f' (pip install "nbbench[{extra}]")' if extra else ""
    hint = f"install it there{install}, or leave environments at auto"
    if failed.status is Status.OOM:
        hint = "end what else holds memory"
    reason = f"{failed.reason} in {where}; {hint}"
    return Outcome(failed.status, reason, Phase.STARTING, detail=failed.detail)
