"""A benchmark on its way, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .case import Case, Result
from .executor.base import CaseEnd, ExecutorEvent
from .machine import describe_machine
from .progress import Progress
from .report import Report

Work = Callable[[Callable[[ExecutorEvent], None], Callable[[], bool]], None]
"""Runs cases: is given what to tell of each event, and what to ask whether to stop."""

_one_at_a_time = threading.Lock()


class Job:
    """Runs cases in a thread, keeps their results, and makes the report.

    Jobs of one process run one at a time, since two would disturb each other's timings; the others
    wait in line. ``on_result`` is called with each `Result` as its case ends, in the job's thread.
    """

    def __init__(
        self, cases: list[Case], work: Work, on_result: Callable[[Result], None] | None = None
    ) -> None:
        self.progress = Progress(cases)
        self._cases = cases
        self._work = work
        self._on_result = on_result
        self._results: dict[Case, Result] = {}
        self._environments: dict[tuple[str, str], dict[str, Any]] = {}
        self._machine: dict[str, Any] = {}
        self._cancelled = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True, name="nbbench-job").start()

    def cancel(self) -> None:
        """End the running case as ``cancelled`` and leave the rest ``skipped``."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the job is done, after waiting at most ``timeout`` seconds for it."""
        return self._done.wait(timeout)  # joining a thread does not survive an interrupt

    def report(self) -> Report:
        """What was measured; raises what broke the job, should anything have."""
        if self._error is not None:
            raise self._error
        results = [self._results[case] for case in self._cases if case in self._results]
        return Report(results, self._machine, self._environments)

    def _run(self) -> None:
        try:
            with _one_at_a_time:
                self._machine = describe_machine()
                self._work(self._hear, self._cancelled.is_set)
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def _hear(self, event: ExecutorEvent) -> None:
        if not isinstance(event, CaseEnd):
            self.progress.hear(event)
            return
        case, result = event.case, Result(event.case, event.outcome)
        if event.environment:
            self._environments[case.framework, case.environment] = event.environment
        self._results[case] = result
        self.progress.end(result)
        if self._on_result is not None:
            self._on_result(result)
