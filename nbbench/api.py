"""The whole way of a benchmark: arguments → plan → job → report. Read this file first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .arguments.schema import BenchmarkArguments
from .display.choose_display import display_for
from .errors import ArgumentError
from .execution.executors import EXECUTORS
from .execution.job import Job
from .execution.measure import predict_cases
from .execution.turn import refuse_within_another
from .history_database.database import history_file
from .paths import absolute_path
from .plan.plan import Plan
from .plan.result import Result
from .report.atomic_write import check_writable
from .report.comparison import Comparison
from .report.fit import DeviceMemory
from .report.overwriting import check_over_report
from .report.predictions import Predictions
from .report.report import Report
from .worker.case import Outcome

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
        Called with each `Result` as its case ends; no other benchmark can run in it.
    save
        File to write the report to, while it runs and at the end; see `Report.save`. An earlier
        report is written over, any other file is refused.
    **arguments
        The fields of `BenchmarkArguments`.

    An interrupt (Ctrl-C, or a notebook's stop button) ends the running case and returns what was
    measured, the rest marked ``cancelled`` and ``skipped``. Raises `ArgumentError` for arguments
    that make no sense, `ModelNotFound` if no model has a configuration, and `NbbenchError` where
    nothing can be measured, for want of a cluster, say; whatever goes wrong with a case is a row of
    the report.
    """
    return run_arguments(BenchmarkArguments.of(models, arguments), progress, on_result, save)


def run_arguments(
    arguments: BenchmarkArguments,
    progress: bool = True,
    on_result: OnResult | None = None,
    save: str | Path | None = None,
    on_update: Callable[[], None] = lambda: None,
) -> Report:
    """`run` for arguments that are one object already.

    ``on_update`` is called in this thread, a few times a second meanwhile.
    """
    refuse_within_another()
    return watched(start(arguments, on_result, save), progress, on_update)


def watched(
    job: Job, progress: bool = True, on_update: Callable[[], None] = lambda: None
) -> Report:
    """Show a job until it ends, and return its report; an interrupt cancels it."""
    try:
        with _cancelled_by_errors(job), display_for(job.progress, shown=progress) as display:

            def update() -> None:
                display.update()
                on_update()

            _wait_for(job, update)
    except KeyboardInterrupt:  # as the display is imported, or as it ends
        _wait_for(job)
    return job.report()


@contextmanager
def _cancelled_by_errors(job: Job) -> Iterator[None]:
    """Leave no job behind that nobody waits for any more."""
    try:
        yield
    except BaseException:
        job.cancel()
        raise


def _wait_for(job: Job, update: Callable[[], None] = lambda: None) -> None:
    """Wait until a job ends, with an update now and then; an interrupt cancels it."""
    while not job.done:
        try:
            while not job.wait(_REFRESH_S):
                update()
        except KeyboardInterrupt:  # a second one must not lose what the first has saved
            job.cancel()


def predict(
    *models: str, device_memory: str | None = None, progress: bool = True, **arguments: Any
) -> Predictions:
    """Say what cases will hold and do, before any of them runs, and whether they fit.

    It takes a second or two for each, neither the model's memory nor its GPU. ``device_memory`` is
    what they shall fit in: a size like ``"16 GB"``, or a card like ``"T4"``. The other parameters
    are those of `run`. Raises `ArgumentError` and `ModelNotFound` as `run` does; what cannot be
    predicted is a row with its reason.
    """
    memory = None if device_memory is None else DeviceMemory.of(device_memory)
    return predict_arguments(BenchmarkArguments.of(models, arguments), memory, progress)


def predict_arguments(
    arguments: BenchmarkArguments, memory: DeviceMemory | None = None, progress: bool = True
) -> Predictions:
    """`predict` for arguments that are one object already."""
    refuse_within_another()
    if arguments.searched:
        raise ArgumentError(
            "max and best are found by runs, and nothing is run to predict; give sizes"
        )
    if arguments.memory_limit is not None:
        raise ArgumentError(
            "memory_limit is for runs, and nothing is run to predict; give device_memory"
        )
    plan = Plan.of(arguments.model_copy(update={"wait": False, "history": False}))
    job = Job(plan, partial(predict_cases, plan), is_timed=False)
    ended = {result.case: result for result in watched(job, progress).results}
    skipped = Outcome.skipped()
    results = [ended.get(case, Result(case, skipped)) for case in plan.cases]
    return Predictions(results, memory)


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
    refuse_within_another()
    job = start(BenchmarkArguments.of(models, arguments), on_result, save)
    with _cancelled_by_errors(job), display_for(job.progress, shown=progress) as display:
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
    measured so far. Jobs run one at a time; those of other processes too, if they share a device.
    Raises what `run` raises, before anything is started.
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
    cannot be written, or is there and no report, before anything is started.
    """
    if save is not None:
        save = absolute_path(save)  # the current folder may be another one before the job ends
        check_writable(save, folder=False)
        check_over_report("save", save)
    plan = replace(Plan.of(arguments), history_file=history_file())
    return Job(plan, partial(EXECUTORS[arguments.executor], plan), on_result, save, on_end)


def compare(old: str | Path | Report, new: str | Path | Report) -> Comparison:
    """Say what differs between two reports, or saved files of them; see `Report.compare`.

    Raises `OutputError` for a file that is no report.
    """
    reports = [each if isinstance(each, Report) else Report.load(each) for each in (old, new)]
    return reports[1].compare(reports[0])
