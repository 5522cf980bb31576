"""The whole way of a benchmark: arguments → cases → executor → report. Read this file first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, repeat
from pathlib import Path
from typing import Any

from .arguments.schema import BenchmarkArguments
from .display.displays import display_for
from .environments import BuildCancelled, prepare
from .errors import NbbenchError
from .execution.events import CaseEnd, EnvironmentEvent, ExecutorEvent
from .execution.executors import executor_for
from .execution.job import Job
from .plan.cases import Outcome, Phase, Result, Status
from .plan.plan import Plan
from .report.report import Report, check_writable

OnResult = Callable[[Result], None]

_REFRESH_S = 0.2


def run(
    *models: str,
    progress: bool = True,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
    **arguments: Any,
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
    save
        File to write the report to, while it runs and at the end; see `Report.save`.
    **arguments
        The fields of `BenchmarkArguments`.

    An interrupt (Ctrl-C, or a notebook's stop button) ends the running case and returns what was
    measured, the rest marked ``cancelled`` and ``skipped``. Raises `ArgumentError` for arguments
    that make no sense and `ModelNotFound` if no model has a configuration; whatever goes wrong
    with a case is a row of the report.
    """
    return run_arguments(BenchmarkArguments.of(models, arguments), progress, on_result, save)


def run_arguments(
    arguments: BenchmarkArguments,
    progress: bool = True,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
) -> Report:
    """`run` for arguments that are one object already."""
    job = start(arguments, on_result, save)
    with display_for(job.progress, shown=progress) as display:
        while True:
            try:
                while not job.wait(_REFRESH_S):
                    display.update()
                break
            except KeyboardInterrupt:  # a second one must not lose what the first has saved
                job.cancel()
    return job.report()


async def arun(
    *models: str,
    progress: bool = True,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
    **arguments: Any,
) -> Report:
    """`run` for an event loop, which stays free meanwhile.

    Cancelling the task ends the running case before ``CancelledError`` is raised; what was
    measured until then has gone to ``on_result`` and ``save``, and is what `latest` gives.
    """
    job = start(BenchmarkArguments.of(models, arguments), on_result, save)
    with display_for(job.progress, shown=progress) as display:
        try:
            while not await asyncio.to_thread(job.wait, _REFRESH_S):
                display.update()
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.shield(asyncio.to_thread(job.wait))
            raise
    return job.report()


def submit(
    *models: str,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
    **arguments: Any,
) -> Job:
    """`run` in the background: begins, and returns a `Job` at once.

    ``job.cancel()`` ends it, ``job.wait()`` waits for it, and ``job.report()`` has what was
    measured so far. Jobs run one at a time. Raises what `run` raises, before anything is started.
    """
    return start(BenchmarkArguments.of(models, arguments), on_result, save)


def start(
    arguments: BenchmarkArguments,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
    on_end: Callable[[Report], None] | None = None,
) -> Job:
    """Begin a benchmark in a thread of its own, or put it in line behind the one that runs.

    Raises what `BenchmarkArguments` and `find_models` raise, and `OutputError` for a file that
    cannot be written, before anything is started.
    """
    if save is not None:
        check_writable(save, folder=False)
    plan = Plan.of(arguments)
    work = partial(measure, plan)
    return Job(plan.cases, work, on_result, save, on_end)


def measure(
    plan: Plan, hear: Callable[[ExecutorEvent], None], cancelled: Callable[[], bool]
) -> None:
    """Run every case; ``hear`` is told what happens, and of the end of each case, in order."""
    for (framework, place), group in groupby(plan.cases, lambda c: (c.framework, c.environment)):
        cases = list(group)
        for case in [case for case in cases if case.model in plan.problems]:
            hear(CaseEnd(case, Outcome(Status.ERROR, plan.problems[case.model], "resolving")))
        runnable = [case for case in cases if case.model not in plan.problems]
        say = partial(_tell, hear, place)
        try:
            environment = prepare(plan.interpreters[framework, place], framework, say, cancelled)
        except (NbbenchError, BuildCancelled) as error:
            for outcome, case in zip(_unprepared(error), runnable, strict=False):
                hear(CaseEnd(case, outcome))
            continue
        executor = executor_for(plan.arguments, environment)
        for event in executor.run(runnable, cancelled):
            hear(event)


def _tell(hear: Callable[[ExecutorEvent], None], label: str, said: str) -> None:
    hear(EnvironmentEvent(label, said))


def _unprepared(error: Exception) -> Iterator[Outcome]:
    """What becomes of the cases whose environment is not to be had."""
    if isinstance(error, BuildCancelled):
        yield Outcome(
            Status.CANCELLED, "cancelled while its environment was made", Phase.PREPARING.value
        )
        yield from repeat(Outcome.skipped())
    yield from repeat(Outcome(Status.ERROR, str(error), Phase.PREPARING.value))
