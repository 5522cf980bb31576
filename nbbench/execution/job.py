"""A benchmark on its way, in a thread of its own."""

from __future__ import annotations

import atexit
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import NbbenchError
from ..machine.gpus import describe_gpu
from ..machine.machine import LoadWatch, describe_machine
from ..plan.cases import Case, Result, Status
from ..report.report import Report, keep
from ..text import counted
from ..worker.messages import Opened
from .events import CaseEnd, CaseEvent, ExecutorEvent
from .progress import Progress

Work = Callable[[Callable[[ExecutorEvent], None], Callable[[], bool]], None]
"""Runs cases: is given what to tell of each event, and what to ask whether to stop."""

_SAVE_EVERY_S = 5.0
_LOOK_EVERY_S = 0.1

recent_results: deque[Result] = deque(maxlen=1000)
"""What jobs of this process have measured, for estimates of how long others will take."""

_jobs: deque[Job] = deque(maxlen=20)
"""The last jobs of this process."""

_one_at_a_time = threading.Lock()


@contextmanager
def _in_line(cancelled: threading.Event) -> Iterator[None]:
    """Wait for the turn, or for being cancelled, which needs no turn: nothing is run then."""
    while not _one_at_a_time.acquire(timeout=_LOOK_EVERY_S):
        if cancelled.is_set():
            yield
            return
    try:
        yield
    finally:
        _one_at_a_time.release()


class Job:
    """Runs cases in a thread, keeps their results, and makes the report.

    Jobs of one process run one at a time, since two would disturb each other's timings; the others
    wait in line. ``on_result`` is called with each `Result` as its case ends, in the job's thread;
    one that raises is not called again, and `report` warns of it. ``save`` is a file that the
    report is written to, at least every 5 s and at the end, so that no crash loses more.
    ``on_end`` is given the report before `wait` returns.
    """

    def __init__(
        self,
        cases: list[Case],
        work: Work,
        on_result: Callable[[Result], None] | None = None,
        save: str | Path | None = None,
        on_end: Callable[[Report], None] | None = None,
    ) -> None:
        self.progress = Progress(cases)
        self._cases = cases
        self._work = work
        self._on_result = on_result
        self._save = save
        self._on_end = on_end
        self._saved_at = time.monotonic()
        self.last_result_at = 0.0
        self._trouble = ""
        self._results: dict[Case, Result] = {}
        self._environments: dict[tuple[str, str], dict[str, Any]] = {}
        self._gpus: dict[tuple[str, str], dict[str, Any]] = {}
        self._machine: dict[str, Any] = {}
        self._cancelled = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None
        _jobs.append(self)
        threading.Thread(target=self._run, daemon=True, name="nbbench-job").start()

    def cancel(self) -> None:
        """End the running case as ``cancelled`` and leave the rest ``skipped``."""
        self._cancelled.set()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the job is done, after waiting at most ``timeout`` seconds for it."""
        return self._done.wait(timeout)  # joining a thread does not survive an interrupt

    def report(self) -> Report:
        """What was measured so far; raises what broke the job, should anything have."""
        if self._error is not None:
            raise self._error
        if self._trouble:
            warnings.warn(self._trouble, RuntimeWarning, stacklevel=3)
            self._trouble = ""
        return self._report()

    def _report(self) -> Report:
        results = [self._results[case] for case in self._cases if case in self._results]
        return Report(results, dict(self._machine), dict(self._environments))

    def _run(self) -> None:
        try:
            with _in_line(self._cancelled):
                self.progress.begin()
                self._machine = describe_machine()
                _import_beside("pandas")
                load = LoadWatch()
                self._work(self._hear, self._cancelled.is_set)
                self._machine["other_load_cores"] = load.cores()
                self._keep()
        except BaseException as error:
            self._error = error
        finally:
            self.progress.finish()
            if self._on_end is not None:
                self._guarded(partial(self._on_end, self._report()), "on_end")
            self._done.set()

    def _hear(self, event: ExecutorEvent) -> None:
        if isinstance(event, CaseEvent) and isinstance(event.event, Opened):
            place = event.case.framework, event.case.environment
            self._gpus[place] = describe_gpu(event.event.gpu_uuid)
        if not isinstance(event, CaseEnd):
            self.progress.hear(event)
            return
        case, result = event.case, Result(event.case, event.outcome)
        place = case.framework, case.environment
        if event.environment:
            self._environments[place] = {**event.environment, **self._gpus.get(place, {})}
        self._results[case] = result
        recent_results.append(result)
        if result.outcome.status is not Status.SKIPPED:
            self.last_result_at = time.monotonic()
        self.progress.end(result)
        if self._on_result is not None:
            self._guarded(partial(self._on_result, result), "on_result")
        if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            self._keep()

    def _keep(self) -> None:
        """Write what there is to the file, if there is one to write to."""
        if self._save is not None:
            self._guarded(partial(keep, self._report(), self._save), "saving the report")
            self._saved_at = time.monotonic()

    def _guarded(self, act: Callable[[], object], what: str) -> None:
        """Do what is beside the measuring, and let it fail without harm to what was measured."""
        try:
            act()
        except NbbenchError as error:
            self._trouble = str(error)
        except Exception as error:
            self._trouble = f"{what} failed with {type(error).__name__}: {error}"
            self._on_result = None if what == "on_result" else self._on_result

    def __repr__(self) -> str:
        cases = counted(len(self._cases), "case")
        return f"<nbbench job of {cases}: .done, .wait(), .cancel(), .report()>"


def _import_beside(module: str) -> None:
    """Import what the report will need while a worker imports its framework.

    In a thread of its own: an interrupt must not come in the middle of it.
    """
    threading.Thread(target=import_module, args=(module,), daemon=True).start()


def latest() -> Report | None:
    """What was last measured in this process; None before anything was.

    It is what is left of a report that was not kept: of a cancelled ``await arun(…)``, say.
    """
    measured = [job for job in _jobs if job.last_result_at]
    return max(measured, key=lambda job: job.last_result_at).report() if measured else None


def cancel() -> None:
    """Cancel every benchmark of this process that runs or waits, whoever holds its job."""
    for job in _jobs:
        job.cancel()


@atexit.register
def _tell_of_unfinished() -> None:
    """Say why nothing came of a job that a script did not wait for."""
    left = sum(not job.done for job in _jobs)
    if left:
        said = (
            f"{counted(left, 'benchmark')} had not ended when Python did; call .wait() on its job"
        )
        print(f"nbbench: {said}", file=sys.stderr)


def any_begun() -> bool:
    """Whether this process has begun a benchmark."""
    return bool(_jobs)
