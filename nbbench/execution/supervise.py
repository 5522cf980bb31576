"""Cases on this machine: a warm worker per interpreter and framework, supervised from here."""

from __future__ import annotations

import atexit
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..frameworks import BackendFile, find_backend
from ..plan.cases import Case, Outcome, Phase, Status
from ..worker.messages import Failed, Finished, Hello, PhaseChanged, RunCase, Started, StopCase
from .events import CaseEnd, CaseEvent, ExecutorEvent, cancelled_while, too_late
from .worker_process import WorkerProcess

_EXTRAS = {"pytorch": "torch", "tensorflow": "tensorflow"}
"""nbbench's extras that install a framework."""

_LISTEN_S = 0.1
_STOP_GRACE_S = 2.0
"""Seconds that a worker has to end its case before it is ended itself."""

_ESCALATION = ("SIGINT", "SIGTERM", "SIGKILL")
_ESCALATION_STEP_S = 0.2


class _WorkerPool:
    """The warm workers of this process, by interpreter and framework."""

    def __init__(self) -> None:
        self._warm: dict[tuple[str, BackendFile, float], WorkerProcess] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def take(self, python: str, backend: BackendFile, idle_limit: float) -> WorkerProcess:
        """A warm worker, or a new one; it is the caller's until given back."""
        with self._lock:
            worker = self._warm.pop((python, backend, idle_limit), None)
        if worker is not None and worker.alive:
            return worker
        return WorkerProcess(python, backend, "fork", idle_limit)

    def give(
        self, worker: WorkerProcess, python: str, backend: BackendFile, idle_limit: float
    ) -> None:
        """Keep a worker that is between two cases warm."""
        if not worker.alive:
            return
        with self._lock:
            displaced = self._warm.pop((python, backend, idle_limit), None)
            self._warm[(python, backend, idle_limit)] = worker
        if displaced is not None:
            displaced.close()

    def close(self) -> None:
        """End every warm worker."""
        with self._lock:
            workers, self._warm = list(self._warm.values()), {}
        for worker in workers:
            worker.close()


_pool = _WorkerPool()


def close_workers() -> None:
    """End the workers that are kept warm, at once rather than at their idle limit."""
    _pool.close()


@dataclass
class LocalExecutor:
    """Runs cases here, one at a time.

    ``python`` is the interpreter, ``isolation`` "fork" or "process", ``timeout`` the seconds that
    one phase may take, ``idle_limit`` the seconds that an unused worker stays warm, ``about`` what
    is known of the interpreter besides what its worker tells.
    """

    python: str = sys.executable
    isolation: str = "auto"
    timeout: float = 600.0
    idle_limit: float = 300.0
    about: dict[str, Any] = field(default_factory=dict)
    _worker: WorkerProcess | None = field(default=None, init=False)
    _failures: dict[str, Outcome] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.isolation == "auto":
            self.isolation = "fork" if sys.platform == "linux" else "process"

    def run(self, cases: list[Case], cancelled: Callable[[], bool]) -> Iterator[ExecutorEvent]:
        """Events of each case and then its end; see `Executor.run`."""
        waiting = list(cases)
        framework: BackendFile | None = None
        try:
            while waiting and not cancelled():
                case = waiting[0]
                if framework is None or framework.framework != case.framework:
                    if framework is not None:
                        self._give_back(framework)
                    framework = find_backend(case.framework)
                yield from self._run_case(case, framework, cancelled)
                waiting.pop(0)
            for case in waiting:
                yield CaseEnd(case, Outcome.skipped())
        finally:
            if framework is not None:
                self._give_back(framework)

    def _give_back(self, backend: BackendFile) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            if worker.case_pid is None and worker.isolation == "fork":
                _pool.give(worker, self.python, backend, self.idle_limit)
            else:
                worker.close()

    def _run_case(
        self, case: Case, backend: BackendFile, cancelled: Callable[[], bool]
    ) -> Iterator[ExecutorEvent]:
        begin = time.monotonic()
        known = self._failures.get(backend.framework)
        if known is not None:  # the framework cannot be imported: no use in trying again
            yield CaseEnd(case, known)
            return
        try:
            worker = self._ensure_worker(backend)
        except OSError as error:
            self._failures[backend.framework] = outcome = Outcome(
                Status.ERROR,
                f"the interpreter cannot be started: {error.strerror or error}; "
                f"give environments the path of a python",
                Phase.STARTING.value,
            )
            yield CaseEnd(case, outcome)
            return
        outcome = yield from self._supervise(case, worker, backend, cancelled)
        worker = self._worker or worker
        worker.case_pid = None
        if outcome.status in (Status.CRASHED, Status.OOM) and not outcome.detail:
            outcome = replace(outcome, detail=worker.log_tail())
        if worker.isolation == "process" or not worker.alive:
            worker.close()
            self._worker = None
        about = {**worker.environment, **self.about} if worker.environment else {}
        yield CaseEnd(case, replace(outcome, wall_s=time.monotonic() - begin), about)

    def _ensure_worker(self, backend: BackendFile) -> WorkerProcess:
        if self._worker is None or not self._worker.alive:
            if self.isolation == "fork":
                self._worker = _pool.take(self.python, backend, self.idle_limit)
            else:
                self._worker = WorkerProcess(self.python, backend, "process", self.idle_limit)
        return self._worker

    def _supervise(
        self,
        case: Case,
        worker: WorkerProcess,
        backend: BackendFile,
        cancelled: Callable[[], bool],
    ) -> Generator[ExecutorEvent, None, Outcome]:
        """Listen to one case until it ends, is stopped, or takes too long; its outcome."""
        fresh, heard = not worker.environment, False
        phase = Phase.STARTING if fresh else Phase.IMPORTING
        if fresh:
            yield CaseEvent(case, PhaseChanged(phase))
        worker.begin_case()
        worker.send(RunCase(case))
        entered = time.monotonic()
        while True:
            if cancelled():
                return self._stop(worker, cancelled_while(phase))
            if time.monotonic() - entered > self.timeout:
                return self._stop(worker, too_late(phase, self.timeout))
            try:
                event = worker.receive(_LISTEN_S)
            except queue.Empty:
                continue
            if event is None and not (fresh or heard):  # it went at its idle limit just now
                return (
                    yield from self._supervise(
                        case, self._ensure_worker(backend), backend, cancelled
                    )
                )
            heard = True
            if event is None:
                reason = f"{worker.exit_reason()} while {phase.value}"
                if phase is Phase.STARTING:
                    reason += "; check that environments names a Python that works"
                return Outcome(Status.CRASHED, reason, phase.value)
            if isinstance(event, Failed):
                outcome = self._startup_failure(event, case.framework)
                self._failures[case.framework] = outcome
                worker.close()
                return outcome
            if isinstance(event, Finished):
                return event.outcome
            if isinstance(event, Hello):
                worker.environment = event.environment
            elif isinstance(event, Started):
                worker.case_pid = event.pid
            elif isinstance(event, PhaseChanged):
                phase, entered = event.phase, time.monotonic()
            yield CaseEvent(case, event)

    def _startup_failure(self, failed: Failed, framework: str) -> Outcome:
        where = "this interpreter"
        if self.python != sys.executable:
            where = "the interpreter that environments names"
        extra = _EXTRAS.get(framework)
        install = f' (pip install "nbbench[{extra}]")' if extra else ""
        hint = f"install it there{install}, or leave environments at auto"
        reason = f"{failed.reason} in {where}; {hint}"
        return Outcome(failed.status, reason, Phase.STARTING.value, detail=failed.detail)

    def _stop(self, worker: WorkerProcess, outcome: Outcome) -> Outcome:
        """End the running case; the worker too, if it does not answer in time."""
        if worker.isolation == "fork" and worker.case_pid is not None:
            worker.send(StopCase())
            deadline = time.monotonic() + _STOP_GRACE_S
            while time.monotonic() < deadline:
                try:
                    event = worker.receive(deadline - time.monotonic())
                except queue.Empty:
                    break
                if event is None or isinstance(event, Finished):
                    worker.case_pid = None
                    return outcome
        else:
            for name in _ESCALATION:
                worker.signal(name)
                deadline = time.monotonic() + _ESCALATION_STEP_S
                while worker.alive and time.monotonic() < deadline:
                    time.sleep(0.01)
        worker.close()
        return outcome
