"""A benchmark on its way, in a thread of its own."""

from __future__ import annotations

import atexit
import dataclasses
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from ..errors import NbbenchError
from ..machine.health import notices
from ..machine.machine import LoadWatch, describe_machine
from ..plan.plan import Plan
from ..plan.result import Result
from ..report.report import Report
from ..text import counted
from ..worker.case import Outcome
from .events import CaseEnded, Event
from .listeners import (
    Autosave,
    KeepHistory,
    Listener,
    OnResult,
    Recorder,
    Remember,
    WatchLoad,
    recent_results,
)
from .progress import Progress
from .resume import extras_of
from .turn import Turn, refuse_within_another

Measure: TypeAlias = Callable[[Callable[[], bool]], Iterator[Event]]
"""Measures cases, yielding what happens; is given what says whether to stop."""

_NO_THREAD = (
    "this process may start no more threads; raise its limits of memory and of processes "
    "(ulimit -v and -u), or end what else runs"
)

_jobs: deque[Job] = deque(maxlen=20)
"""The last jobs of this process that measure, for what they have measured."""

_unfinished: set[Job] = set()
"""Those that run or wait, however many."""


class Job:
    """Measures in a thread, hands each event to its listeners, and makes the report.

    It waits for its turn, since two jobs at a time would disturb each other. ``on_result`` is
    called with each `Result` as its case ends, in the job's thread; one that raises is not called
    again, and `report` warns of it. ``save`` is a file that the report is written to, each case as
    it ends. ``on_end`` is given the report before `wait` returns. What is not ``is_timed`` needs no
    quiet machine, and is no estimate.
    """

    def __init__(
        self,
        plan: Plan,
        measure: Measure,
        on_result: Callable[[Result], None] | None = None,
        save: str | Path | None = None,
        on_end: Callable[[Report], None] | None = None,
        is_timed: bool = True,
    ) -> None:
        known = list(recent_results) if is_timed else []  # which are of what was measured
        self.progress = Progress(plan.cases, known, is_timed)
        self._problems: dict[str, str] = {}
        self._failure: NbbenchError | None = None
        self._cases = plan.cases
        self._measure = measure
        elsewhere = plan.arguments.executor != "local"
        self._turn = Turn(None if elsewhere else plan.arguments.device, plan.arguments.wait)
        self._is_elsewhere = elsewhere
        self._is_measured_here = plan.arguments.isolation == "none"
        self._recorder = Recorder(
            plan.cases, plan.arguments.baseline, plan.arguments.price_per_hour
        )
        self._autosave = None if save is None else Autosave(self._recorder, save)
        self._listeners: list[Listener] = [self._recorder]
        if self._autosave is not None:
            self._listeners.append(self._autosave)
        self._history = (
            KeepHistory(
                plan.history_file, self._recorder, self.progress.warn, extras_of(plan.arguments)
            )
            if plan.arguments.history and plan.history_file is not None
            else None
        )
        if self._history is not None:
            self._listeners.append(self._history)
        if on_result is not None:
            self._listeners.append(OnResult(on_result))
        self._listeners.append(self.progress)  # last: what is shown is on the disk
        self._on_end, self._is_timed = on_end, is_timed
        if is_timed:
            self._listeners.append(Remember())
        self._cancelled = False
        self._done = threading.Event()
        _unfinished.add(self)  # first: a signal between the two must find it
        if is_timed:
            _jobs.append(self)
        thread = threading.Thread(target=self._run, daemon=True, name="nbbench-job")
        try:
            self._turn.enter_line()  # not in the thread: threads begin in any order
            thread.start()
        except BaseException as error:
            self.cancel()  # after an interrupt nobody has this job
            if not thread.ident:  # else it leaves the line itself, when it has ended what runs
                self._turn.leave_line()
            _unfinished.discard(self)
            if isinstance(error, RuntimeError):
                raise NbbenchError(_NO_THREAD) from None
            raise

    def cancel(self) -> None:
        """End the running case as ``cancelled`` and leave the rest ``skipped``."""
        # No lock is taken: a signal may come while the one before is handled.
        self._cancelled = True

    def _is_cancelled(self) -> bool:
        return self._cancelled

    @property
    def was_cancelled(self) -> bool:
        """Whether it was told to end before its end: some cases may have fewer visits for it."""
        return self._cancelled

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    @property
    def problem(self) -> str:
        """What failed beside the measuring, or has broken it off; empty where nothing did."""
        return "; ".join(tuple(self._problems.values()))

    @property
    def last_result_at(self) -> float:
        """When it last measured something, on the monotonic clock; 0 if it has not yet."""
        return self._recorder.last_result_at

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the job is done, after waiting at most ``timeout`` seconds for it.

        Raises `NbbenchError` where that would wait for ever, as in the job's own ``on_result``.
        """
        if timeout is None and not self.done:
            refuse_within_another()
        return self._done.wait(timeout)  # joining a thread does not survive an interrupt

    def report(self) -> Report:
        """What was measured so far; warns of what failed beside it, or has broken the job off.

        Raises `NbbenchError` where nothing could be measured: no cluster, say.
        """
        if self._failure is not None:
            raise self._failure
        if self.problem:
            warnings.warn(self.problem, RuntimeWarning, stacklevel=3)
        return self._recorder.report()

    def _run(self) -> None:
        try:
            with self._turn.taken(self._is_cancelled, self.progress.wait_for) as has_come:
                self.progress.begin()
                if has_come:
                    self._follow_measuring()
                else:  # another benchmark may be at it, beside which nothing is to start
                    self._follow(self._skip_all)
                if self._history is not None:
                    self._guarded(self._history.close, self._history.name)
                if self._autosave is not None and self._failure is None:
                    self._problems.pop(self._autosave.name, None)  # all of it is written again
                    self._guarded(self._autosave.save, self._autosave.name)
        except Exception as error:
            self._break_off(error)
        finally:
            self.progress.finish()
            on_end = self._on_end
            if on_end is not None and self._failure is None:
                self._guarded(lambda: on_end(self._recorder.report()), "on_end")
            _unfinished.discard(self)
            self._done.set()

    def _follow_measuring(self) -> None:
        """Measure, and keep what the machine is, and what else kept it busy meanwhile."""
        self._recorder.machine = dataclasses.replace(
            describe_machine(), beside_another=self._turn.beside_another
        )
        _import_beside("pandas")
        load = LoadWatch()
        watch = WatchLoad(load, self.progress.warn)
        if self._is_timed and not self._is_elsewhere:
            self.progress.warn(notices(self._recorder.machine))
            self._listeners.append(watch)
        self._follow(self._measure)
        if watch.measures:
            self._recorder.machine = dataclasses.replace(
                self._recorder.machine,
                other_load_cores=load.cores(),
                own_load_cores=None if self._is_measured_here else load.own_cores(),
            )

    def _skip_all(self, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """End every case without having begun it."""
        for case in self._cases:
            yield CaseEnded(case, Outcome.skipped())

    def _follow(self, measure: Measure) -> None:
        """Hand every event to every listener, whatever ends them: what was measured stays."""
        try:
            for event in measure(self._is_cancelled):
                for listener in self._listeners:
                    self._guarded(partial(listener.on_event, event), listener.name)
        except BaseException as error:
            self._break_off(error)

    def _break_off(self, error: BaseException) -> None:
        """Keep why the benchmark ends: for a report that has results, or in its stead."""
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            error = NbbenchError(_NO_THREAD)
        if not isinstance(error, NbbenchError):
            text = f"the benchmark broke off with {type(error).__name__}: {error}"
            self._problems["measuring"] = text
            return
        self._problems["measuring"] = str(error)  # of a cluster that is not there, or a history
        if not self._recorder.last_result_at:
            self._failure = error

    def _guarded(self, act: Callable[[], object], name: str) -> None:
        """Do what is beside the measuring, and let it fail without harm to what was measured."""
        try:
            act()
        except NbbenchError as error:
            self._problems[name] = str(error)
        except BaseException as error:  # of a thread: a SystemExit in it ends nothing else
            self._problems[name] = f"{name} failed with {type(error).__name__}: {error}"

    def __repr__(self) -> str:
        cases = counted(len(self._cases), "case")
        return f"<nbbench job of {cases}: .done, .wait(), .cancel(), .report()>"


def _import_beside(module: str) -> None:
    """Import what the report will need while a worker imports its framework.

    In a thread of its own: an interrupt must not come in the middle of it.
    """
    threading.Thread(target=_import, args=(module,), daemon=True).start()


def _import(module: str) -> None:
    """Import it; what fails is met by whoever needs it, and the interpreter may be ending."""
    with suppress(BaseException):
        import_module(module)


def latest() -> Report | None:
    """What was last measured in this process; None before anything was.

    It is what is left of a report that was not kept: of a cancelled ``await arun(…)``, say.
    """
    measured = [job for job in _jobs if job.last_result_at]
    return max(measured, key=lambda job: job.last_result_at).report() if measured else None


def cancel() -> None:
    """Cancel every benchmark of this process that runs or waits, whoever holds its job."""
    for job in tuple(_unfinished):
        job.cancel()


@atexit.register
def _print_unfinished() -> None:
    """Say why nothing came of a job that a script did not wait for."""
    left = len(_unfinished)
    if left:
        text = f"{counted(left, 'benchmark')} had not ended when Python did"
        print(f"nbbench: {text}; call .wait() on its job", file=sys.stderr)


def any_unfinished() -> bool:
    """Whether a benchmark of this process runs or waits."""
    return bool(_unfinished)


def any_begun() -> bool:
    """Whether this process has begun a benchmark."""
    return bool(_jobs or _unfinished)
