"""How a plan is carried out: environments first, then round by round."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from ..arguments.schema import BenchmarkArguments
from ..environments import BuildCancelled, Environment, EnvironmentProgress, prepare
from ..errors import NbbenchError
from ..frameworks import find_backend
from ..machine.machine import describe_processor
from ..plan.plan import Plan
from ..report.environment import EnvironmentKey, WorkerFacts
from ..worker.case import Case, Outcome, Phase, Status
from .events import CaseEnded, Event
from .fork_server import ForkServers
from .fresh_process import FreshProcesses
from .predictions import can_be_predicted, refused_predictions, run_predictions, seconds_to_predict
from .resume import Run, history_to_resume, run_missing, run_unsearched
from .rounds import run_rounds
from .search import run_searches
from .supervise import Supervisor
from .this_kernel import ThisKernelAlone
from .worker import Workers


def measure(
    plan: Plan, cancelled: Callable[[], bool], predict_s: float | None = None
) -> Iterator[Event]:
    """Run every case of a plan; yields what happens, and the end of each case.

    ``predict_s`` is what predicting a case may take, where the plan is a part of a run.
    """
    asked = plan.arguments
    if predict_s is None:
        predict_s = seconds_to_predict(asked.predict, len(plan.cases))
    run: Run = partial(
        run_rounds,
        baseline=asked.baseline,
        predict_s=predict_s,
        ceilings=asked.ceilings,
        skip_larger=asked.skip_larger,
    )
    if not asked.resume:
        return _carry_out(plan, cancelled, partial(run_searches, run=run))
    earlier = history_to_resume(plan)
    run = partial(run_searches, run=partial(run_missing, run, earlier=earlier))
    return _carry_out(plan, cancelled, partial(run_unsearched, run, earlier=earlier))


def predict_cases(plan: Plan, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Predict every case of a plan; yields what happens, and the end of each case."""
    yield from refused_predictions(plan.cases)
    cases = [case for case in plan.cases if can_be_predicted(case)]
    yield from _carry_out(replace(plan, cases=cases), cancelled, run_predictions)


def introduced_workers(
    plan: Plan, cancelled: Callable[[], bool]
) -> Generator[Event, None, dict[EnvironmentKey, WorkerFacts]]:
    """Make every environment ready; yields how that goes, and returns what workers there report.

    Nothing is measured. An environment that is not to be had is the matter of who measures there.
    """
    workers: dict[EnvironmentKey, WorkerFacts] = {}

    def introduce(
        _: Sequence[Case],
        supervisors: Mapping[EnvironmentKey, Supervisor],
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        for key, supervisor in supervisors.items():
            worker = supervisor.introduced()
            if worker is not None:
                workers[key] = worker
        return iter(())

    for event in _carry_out(plan, cancelled, introduce):
        if isinstance(event, EnvironmentProgress):
            yield event
    return workers


def _carry_out(plan: Plan, cancelled: Callable[[], bool], run: Run) -> Iterator[Event]:
    """Make every environment ready, and carry out the cases of all."""
    supervisors: dict[EnvironmentKey, Supervisor] = {}
    runnable: list[Case] = []
    processor = describe_processor()
    compiled = TemporaryDirectory(prefix="nbbench-compiled-", ignore_cleanup_errors=True)
    try:
        for key, group in groupby(plan.cases, lambda c: (c.framework, c.environment)):
            cases = yield from _resolved(plan, list(group))
            try:
                environment = yield from prepare(plan.interpreters[key], *key, cancelled)
            except (NbbenchError, BuildCancelled) as error:
                for case, outcome in zip(cases, _unprepared(error, len(cases)), strict=True):
                    yield CaseEnded(case, outcome)
                continue
            workers = workers_for(plan.arguments, key[0], environment)
            timeout = plan.arguments.timeout
            supervisors[key] = Supervisor(
                workers, timeout, cancelled, processor, Path(compiled.name)
            )
            runnable += cases
        yield from run(runnable, supervisors, cancelled)
    finally:
        for supervisor in supervisors.values():
            supervisor.close()
        compiled.cleanup()


def _resolved(plan: Plan, cases: list[Case]) -> Generator[Event, None, list[Case]]:
    """The cases whose model was found; those of others end here."""
    found = []
    for case in cases:
        if case.model in plan.problems:
            outcome = Outcome(Status.ERROR, plan.problems[case.model], Phase.RESOLVING)
            yield CaseEnded(case, outcome)
        else:
            found.append(case)
    return found


def workers_for(arguments: BenchmarkArguments, framework: str, environment: Environment) -> Workers:
    """The kind of worker that ``isolation`` asks for, in an environment that is ready."""
    backend, facts = find_backend(framework), environment.facts()
    isolation = arguments.isolation
    if isolation == "auto":
        isolation = "fork" if sys.platform == "linux" else "process"
    if isolation == "none":
        return ThisKernelAlone(backend, facts)
    if isolation == "process":
        return FreshProcesses(environment.python, backend, facts)
    return ForkServers(environment.python, backend, arguments.idle_limit, facts)


def _unprepared(error: Exception, count: int) -> list[Outcome]:
    """What becomes of so many cases whose environment is not to be had."""
    if not isinstance(error, BuildCancelled):
        return [Outcome(Status.ERROR, str(error), Phase.PREPARING)] * count
    reason = "cancelled while its environment was made"
    first = Outcome(Status.CANCELLED, reason, Phase.PREPARING)
    return [first, *[Outcome.skipped()] * (count - 1)][:count]
