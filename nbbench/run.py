"""The whole way of a benchmark: arguments → cases → executor → report. Read this file first."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .arguments import BenchmarkArguments
from .case import Case, Outcome, Result, Status, expand
from .display import display_for
from .errors import ArgumentError
from .executor.base import CaseEnd
from .executor.local import LocalExecutor
from .machine import describe_machine
from .models import find_models
from .progress import Progress
from .report import Report

OnResult = Callable[[Result], None]

_REFRESH_S = 0.2
_one_at_a_time = threading.Lock()


def run(
    *models: str, progress: bool = True, on_result: OnResult | None = None, **arguments: Any
) -> Report:
    """Measure models, and report.

    Parameters
    ----------
    *models
        Names of models; the same as the argument ``models``.
    progress
        Show live progress: in a notebook below the cell, else on stderr.
    on_result
        Called with each `Result` as its case ends.
    **arguments
        The fields of `BenchmarkArguments`.

    An interrupt (Ctrl-C, or a notebook's stop button) ends the running case and returns what was
    measured, the rest marked ``cancelled`` and ``skipped``. Raises `ArgumentError` for arguments
    that make no sense and `ModelNotFound` if no model has a configuration; whatever goes wrong
    with a case is a row of the report.
    """
    job = Job(_arguments(models, arguments), on_result)
    with display_for(job.progress, shown=progress) as display:
        job.start()
        try:
            while not job.wait(_REFRESH_S):
                display.update()
        except KeyboardInterrupt:
            job.cancel()
            job.wait()
    return job.report()


async def arun(
    *models: str, progress: bool = True, on_result: OnResult | None = None, **arguments: Any
) -> Report:
    """`run` for an event loop, which stays free meanwhile.

    Cancelling the task ends the running case before ``CancelledError`` is raised; what was
    measured until then has gone to ``on_result``.
    """
    job = Job(_arguments(models, arguments), on_result)
    with display_for(job.progress, shown=progress) as display:
        job.start()
        try:
            while not await asyncio.to_thread(job.wait, _REFRESH_S):
                display.update()
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.shield(asyncio.to_thread(job.wait))
            raise
    return job.report()


class Job:
    """A benchmark on its way, in a thread of its own; jobs of one process run one at a time.

    Raises what `BenchmarkArguments` and `find_models` raise, before anything is started.
    """

    def __init__(self, arguments: BenchmarkArguments, on_result: OnResult | None = None) -> None:
        self.arguments = arguments
        models = find_models(arguments)
        self._problems = {model.name: model.problem for model in models if model.problem}
        self._cases = expand(arguments, models)
        self._on_result = on_result
        self._results: dict[Case, Result] = {}
        self._environments: dict[str, dict[str, Any]] = {}
        self._machine: dict[str, Any] = {}
        self._cancelled = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self.progress = Progress(self._cases)

    def start(self) -> None:
        """Begin, or wait in line behind the job that runs."""
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
                self._execute()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def _execute(self) -> None:
        runnable = []
        for case in self._cases:
            problem = self._problems.get(case.model)
            if problem is None:
                runnable.append(case)
            else:
                self._end(Result(case, Outcome(Status.ERROR, problem, "resolving")))
        arguments = self.arguments
        executor = LocalExecutor(
            python=interpreter(arguments.environment),
            isolation=arguments.isolation,
            timeout=arguments.timeout,
            idle_limit=arguments.idle_limit,
        )
        for event in executor.run(runnable, self._cancelled.is_set):
            if isinstance(event, CaseEnd):
                if event.environment:
                    self._environments[event.case.framework] = event.environment
                self._end(Result(event.case, event.outcome))
            else:
                self.progress.hear(event)

    def _end(self, result: Result) -> None:
        self._results[result.case] = result
        self.progress.end(result)
        if self._on_result is not None:
            self._on_result(result)


def interpreter(environment: str) -> str:
    """The python that ``environment`` names: this one, a file, or that of a virtual environment."""
    if environment == "kernel":
        return sys.executable
    path = Path(environment).expanduser()
    if path.is_dir():
        path = path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return str(path)


def _arguments(models: tuple[str, ...], arguments: dict[str, Any]) -> BenchmarkArguments:
    if models and "models" in arguments:
        raise ArgumentError("models are given by position and by name; keep one")
    return BenchmarkArguments(**({"models": models} if models else {}), **arguments)
