"""Runs what subclasses override, as the original did, in the caller's process and thread."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ..api import run_arguments
from ..arguments.schema import BenchmarkArguments
from ..errors import ArgumentError
from ..execution.turn import Turn
from ..execution.user_calls import Call, CallFailed, UserCalls
from ..machine.machine import LoadWatch, MachineFacts, describe_machine
from ..plan.cases import expand
from ..plan.models import ModelConfig, find_models
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..report.report import Report
from ..text import quoted
from ..worker.case import Case, Outcome, Phase, Status
from ..worker.memory_profile import MemoryProfile
from ..worker.summarize import summarize
from ..worker.timing import Visit
from .line_memory import Memory, MemorySummary, memory_summary

MEASURING_HOOKS = (
    "_prepare_inference_func", "_prepare_train_func", "_measure_speed", "_measure_memory",
    "_inference_speed", "_inference_memory", "_train_speed", "_train_memory",
    "inference_speed", "inference_memory", "train_speed", "train_memory",
)  # fmt: skip
"""What subclasses of the original overrode to measure something else, or otherwise."""

_NOT_ASKED = {"speed": False, "memory": False, "trace_memory_line_by_line": False}


class Hooks(Protocol):
    """What is asked of a benchmark whose own code is run."""

    @property
    def framework(self) -> str:
        """The framework's name."""

    def inference_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Seconds of a forward pass, or "N/A"."""

    def inference_memory(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Memory of a forward pass, or "N/A"; with a summary or without."""

    def train_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Seconds of a training step, or "N/A"."""

    def train_memory(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Memory of a training step, or "N/A"; with a summary or without."""

    def arguments(self) -> BenchmarkArguments:
        """What is asked for, now."""


class OwnCode:
    """Measures by a benchmark's hooks; ``summaries`` are those that hooks gave, by mode."""

    def __init__(self, benchmark: Hooks) -> None:
        self._benchmark = benchmark
        self._calls = UserCalls()
        self._case: Case | None = None
        self._measured: Outcome | None = None
        self._failed: Outcome | None = None
        self.summaries: dict[str, MemorySummary] = {}

    def run(
        self,
        arguments: BenchmarkArguments,
        on_result: Callable[[Result], None],
        on_update: Callable[[], None],
    ) -> Report:
        """Measure every case by the hooks; an interrupt leaves the rest ``skipped``.

        ``on_result`` is given each result, and ``on_update`` called after it.
        """
        models = [ModelConfig(name, source="own code") for name in arguments.model_names()]
        cases = expand(arguments, models, [(self._framework(arguments), "kernel")])
        results: list[Result] = []
        self.summaries.clear()
        machine = MachineFacts()
        # One interrupt is of the wait for the turn, the other of a case; neither is of the report.
        with suppress(KeyboardInterrupt), Turn(arguments.device).taken(lambda: False, print):
            machine, load = describe_machine(), LoadWatch()
            with suppress(KeyboardInterrupt):
                for case in cases:
                    results.append(Result(case, self._outcome(case)))
                    on_result(results[-1])
                    on_update()
                    if results[-1].outcome.status is Status.CANCELLED:
                        break
            machine = dataclasses.replace(machine, other_load_cores=load.cores())
        results += [Result(case, Outcome.skipped()) for case in cases[len(results) :]]
        key = cases[0].framework, "kernel"
        facts = {"framework": self._benchmark.framework, **self._calls.facts}
        return Report(results, machine, {key: WorkerFacts(facts, self._calls.gpu)})

    def build(self, mode: str, model: str, batch_size: int, sequence_length: int) -> Call:
        """The call that nbbench would measure, with the model in this process."""
        arguments = self._one(mode, model, batch_size, sequence_length)
        (found,) = find_models(arguments)
        (case,) = expand(arguments, [found], [(self._framework(arguments), "kernel")])
        return self._calls.build(case)

    def speed_of(self, call: Call) -> float:
        """Seconds for a call, the median; raises `CallFailed`."""
        self._measured = self._measure(call, speed=True)
        timing = self._measured.timing
        assert timing is not None
        return timing.median_s

    def memory_of(self, call: Call) -> tuple[Memory, MemorySummary | None]:
        """The peak of this process or its GPU in a call, and the lines' summary if asked for."""
        traced = self._benchmark.arguments().trace_memory_line_by_line
        self._measured = self._measure(call, memory=True, trace_memory_line_by_line=traced)
        memory, lines = self._measured.memory, self._measured.lines
        assert memory is not None
        assert memory.peak is not None
        return Memory(memory.peak), None if lines is None else memory_summary(lines)

    def guarded(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """What a hook gives; "N/A" where it raises, which `reason` then explains."""
        self._failed = None
        try:
            return hook(*arguments)
        except (Exception, SystemExit) as error:
            case = self._case or self._any_case()
            self._failed = self._explained(case, error)
            return "N/A"

    @property
    def reason(self) -> str:
        """Why the last hook that was `guarded` has failed; empty where it has not."""
        return "" if self._failed is None else self._failed.reason

    @property
    def running(self) -> bool:
        """Whether `run` is calling hooks now."""
        return self._case is not None

    def report_of(
        self, mode: str, asked: str, model: str, batch_size: int, sequence_length: int
    ) -> Report:
        """The report of one case that is measured as `run` measures all without any hook."""
        arguments = self._one(mode, model, batch_size, sequence_length)
        traced = asked == "memory" and arguments.trace_memory_line_by_line
        update = {**_NOT_ASKED, asked: True, "trace_memory_line_by_line": traced}
        return run_arguments(arguments.model_copy(update=update), progress=False)

    def _outcome(self, case: Case) -> Outcome:
        """What came of a case, from one hook for memory and one for speed."""
        begin = time.perf_counter()
        hooks, size = self._benchmark, (case.model, case.batch_size, case.sequence_length or 1)
        training = case.mode == "training"
        known: dict[str, Any] = {}
        failures: list[Outcome] = []
        self._case = case
        try:
            if case.memory or case.trace_memory_line_by_line:
                ask = hooks.train_memory if training else hooks.inference_memory
                known.update(self._asked(ask, size, self._memory_from, failures))
            if case.speed:
                ask = hooks.train_speed if training else hooks.inference_speed
                known.update(self._asked(ask, size, self._timing_from, failures))
        except KeyboardInterrupt:
            reason = "cancelled while own code was run"
            return Outcome(Status.CANCELLED, reason, Phase.MEASURING, **known)
        finally:
            self._case = None
        known["wall_s"] = time.perf_counter() - begin
        if not failures:
            return Outcome(Status.OK, **known)
        reasons = dict.fromkeys(failure.reason for failure in failures)
        known.update(phase=failures[0].phase or Phase.MEASURING, detail=failures[0].detail)
        return Outcome(failures[0].status, "; ".join(reasons), **known)

    def _asked(
        self,
        ask: Callable[[str, int, int], Any],
        size: tuple[str, int, int],
        read: Callable[[Any], dict[str, Any]],
        failures: list[Outcome],
    ) -> dict[str, Any]:
        """What a hook's value adds to the outcome; a failure is kept, and adds nothing."""
        self._measured = self._failed = None
        assert self._case is not None
        try:
            value = ask(*size)
            if self._failed is not None and value == "N/A":
                failures.append(self._failed)
                return {}
            device = "" if self._measured is None else self._measured.device
            return {"device": device, **read(value)}
        except Exception as error:
            failures.append(self._explained(self._case, error))
            return {}

    def _timing_from(self, value: Any) -> dict[str, Any]:
        """A `Timing` of a hook's seconds: nbbench's own where they are what it has measured."""
        measured = None if self._measured is None else self._measured.timing
        if measured is not None and value == measured.median_s:
            return {"timing": measured}
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise CallFailed(_wrong("speed", value, "a number of seconds above 0"))
        visit = Visit((seconds,), calls_s=seconds, alone=True)
        return {"timing": summarize(visit, self._benchmark.arguments().precision)}

    def _memory_from(self, value: Any) -> dict[str, Any]:
        """A profile of a hook's memory, or of its pair of memory and summary."""
        memory, summary = value if type(value) is tuple and len(value) == 2 else (value, None)
        size = getattr(memory, "bytes", memory)
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise CallFailed(_wrong("memory", memory, "Memory, or a number of bytes"))
        if isinstance(summary, MemorySummary) and self._case is not None:
            self.summaries[self._case.mode] = summary
        measured = self._measured
        own = measured is not None and measured.memory is not None and measured.memory.peak == size
        method = measured.memory.method if own and measured and measured.memory else "own code"
        known: dict[str, Any] = {"memory": MemoryProfile(method, peak=size)}
        if measured is not None and measured.lines is not None:
            known["lines"] = measured.lines
        return known

    def _measure(self, call: Any, **asked: Any) -> Outcome:
        if not callable(call):
            raise CallFailed(_wrong("call to measure", call, "a function without arguments"))
        case = self._case or self._any_case()
        asked = {**_NOT_ASKED, **asked}
        return self._calls.measure(dataclasses.replace(case, **asked), call)

    def _explained(self, case: Case, error: BaseException) -> Outcome:
        try:
            return self._calls.explain(case, error)
        except CallFailed as failed:
            return failed.outcome

    def _any_case(self) -> Case:
        """A case for a call that is measured by itself."""
        arguments = self._benchmark.arguments()
        models = [ModelConfig(arguments.model_names()[0])]
        return expand(arguments, models, [(self._framework(arguments), "kernel")])[0]

    def _framework(self, arguments: BenchmarkArguments) -> str:
        """The framework's name: nbbench's where it has that framework, else the hooks' own."""
        named = str(self._benchmark.framework).lower()
        known = arguments.frameworks[0]
        return known if named == known else named

    def _one(
        self, mode: str, model: str, batch_size: int, sequence_length: int
    ) -> BenchmarkArguments:
        """The arguments for one case alone."""
        arguments = self._benchmark.arguments()
        names = arguments.model_names()
        if arguments.configs and model not in names:
            raise ArgumentError(f"{quoted(model)} is none of the models ({', '.join(names)})")
        configs = arguments.configs and [arguments.configs[names.index(model)]]
        one = {
            "models": [model],
            "configs": configs,
            "batch_sizes": [batch_size],
            "sequence_lengths": [sequence_length],
            "inference": mode == "inference",
            "training": mode == "training",
        }
        return arguments.model_copy(update=one)


def _wrong(what: str, value: Any, expected: str) -> Outcome:
    text = repr(value)
    text = text if len(text) <= 80 else text[:79] + "…"
    return Outcome(Status.ERROR, f"own code gave {text} as {what}, which is not {expected}")
