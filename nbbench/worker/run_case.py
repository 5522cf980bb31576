"""The way of one case: open the device, build the model, warm up, sample, take the memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Optional, cast

from . import nvml
from .backend import COMPILED, Backend, Compiles, Device, Generates, Model, Unsupported
from .case import Outcome, Phase, Status
from .energy_counters import energy_of_calls
from .failures import DeviceFailed, less_of, outcome_of_error
from .line_trace import trace_lines
from .measure import (
    VISIT_SHARE,
    Call,
    Reference,
    WarmUp,
    block_size,
    sample,
    sample_visit,
    samples_per_visit,
    warm_up,
)
from .measure_ceilings import asking_seconds
from .measure_memory import memory_of_calls, with_phases
from .memory_limit import check_before_model, check_peak, limit_memory
from .memory_profile import MemoryProfile, size_text
from .messages import CaseMeasured, DeviceOpened, Event, PhaseChanged, RunCase
from .own_code import own_line
from .predict_case import CannotFit, expected_seconds, needed_bytes
from .prediction import CallCount
from .resident import release_free_memory
from .runnable import ComputingShare
from .summarize import chosen_token_times, summarize
from .timing import MIN_VISITS, GpuState, Timing, Visit

_MAX_COMPILING_CALLS = 20

_COUNTED_PART = 0.5
"""A call that takes more of ``max_time`` is not made once more to be counted."""

_MEMORY_CALLS, _TRIAL_CALLS = 3, 2


def run_case(
    backend: Backend,
    request: RunCase,
    emit: Callable[[Event], None],
    reraised: tuple[type[BaseException], ...] = (),
) -> Outcome:
    """Visit one case in this process, as `RunCase` has it; a failure comes back as an outcome.

    ``emit`` gets the phases and the progress of sampling. What is ``reraised`` is no outcome.
    """
    keep_compiled_in = getattr(backend, "keep_compiled_in", None)
    if request.compiled_folder and keep_compiled_in is not None:
        keep_compiled_in(request.compiled_folder)
    visit = _Visit(backend, request, emit)
    try:
        if request.case.parallel != "none":
            return _in_ranks(backend, request, emit)
        return visit.predicted(visit.measured())
    except reraised:
        raise
    except BaseException as error:  # a KeyboardInterrupt too: who cancels waits for no outcome
        return visit.failed(error)


def _in_ranks(backend: Backend, request: RunCase, emit: Callable[[Event], None]) -> Outcome:
    """Have several processes run the case's model."""
    run = getattr(backend, "run_in_ranks", None)
    if run is None:
        raise Unsupported(
            f"framework {request.case.framework} runs a model in one process; measure parallel "
            f"{request.case.parallel} with frameworks pytorch"
        )
    emit(PhaseChanged(Phase.IMPORTING))
    outcome: Outcome = run(request, emit)
    return outcome


class _Visit:
    """One visit on its way: what it is in, and what is known of the case by now."""

    def __init__(self, backend: Backend, request: RunCase, emit: Callable[[Event], None]) -> None:
        self.phase = Phase.IMPORTING
        self._backend, self._request, self._emit = backend, request, emit
        self._case = request.case
        self._known: dict[str, Any] = {}
        self._note = ""
        self._loading: Optional[int] = None

    @property
    def _is_first(self) -> bool:
        """Whether it is the case's first visit; later ones are for the time alone."""
        return self._request.round == 0

    def measured(self) -> Outcome:
        """Build the model, and measure what the case asks for; raises whatever goes wrong."""
        case = self._case
        self._enter(Phase.IMPORTING)
        self._backend.import_model(case)
        self._enter(Phase.BUILDING)
        device, model, build_s = self._build()
        self._enter(Phase.WARMING)
        call, tokens = model.prepare()
        real = getattr(model, "real_tokens", None)
        generation = getattr(model, "generation", None)
        if case.mode == "generation" and generation is None:
            raise Unsupported(
                f"framework {case.framework} makes no tokens one by one; measure generation with "
                f"frameworks pytorch"
            )
        self._known["tokens_per_call"] = tokens
        self._known["prompt_tokens"] = None if generation is None else generation.prompt_tokens
        self._known["real_tokens_per_call"] = tokens if real is None else real
        self._known["sequence_length"] = getattr(model, "padded_to", None)
        self._known["modalities"] = getattr(model, "modalities", "")
        timing, memory, lines = None, None, None
        if case.speed:
            timing, memory = self._time(device, model, call, build_s)
        if self._is_first:
            if case.memory and memory is None:
                self._enter(Phase.MEMORY)
                calls = _TRIAL_CALLS if self._request.trial else _MEMORY_CALLS
                memory = memory_of_calls(device, model, call, calls)
            if case.mode in ("training", "generation") and not self._request.trial:
                self._enter(Phase.MEMORY)
                memory, timing = with_phases(case, device, model, memory, timing)
            if case.energy:
                self._enter(Phase.MEMORY)
                call_s = _call_seconds(device, call) if timing is None else timing.median_s
                self._known["energy"] = energy_of_calls(device, call, call_s)
            quick = timing is None or timing.median_s < _COUNTED_PART * case.max_time
            if case.memory and quick and not self._request.trial:
                self._enter(Phase.MEMORY)
                self._known["count"] = counted = _counted(model, call)
                if counted is not None:
                    self._known["asking_s"] = asking_seconds(device, call)
            if case.trace_memory_line_by_line:
                self._enter(Phase.TRACING)
                release_free_memory()  # else calls live on what those before have left
                lines = trace_lines(call, device.stopwatch, device.memory.now, model.library)
        check_peak(case.memory_limit, memory, self._loading)
        if memory is not None:
            memory = replace(memory, loading=self._loading)
        return Outcome(
            Status.OK, self._note, timing=timing, memory=memory, lines=lines, **self._known
        )

    def predicted(self, outcome: Outcome) -> Outcome:
        """The outcome with what is predicted of its case, where that takes not too long."""
        predict_s = self._request.predict_s
        predict = getattr(self._backend, "predict", None)
        if not self._is_first or not predict_s or predict is None:
            return outcome
        if expected_seconds(self._case, outcome.count) > predict_s:
            return outcome
        self._emit(CaseMeasured(outcome))  # it stays, even if this process does not
        self._enter(Phase.PREDICTING)
        try:
            found = predict(self._case)
            note = found.note
        except Unsupported as error:
            found, note = None, str(error)
        except BaseException:  # whatever a model does without memory; who cancels has the outcome
            return outcome
        reason = "; ".join(filter(None, [outcome.reason, note]))
        return replace(outcome, prediction=found, reason=reason)

    def failed(self, error: BaseException) -> Outcome:
        """The outcome of a visit that went wrong where it is."""
        return outcome_of_error(self._backend, self._case, self.phase, error, **self._known)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._emit(PhaseChanged(phase))

    def _build(self) -> tuple[Device, Model, float]:
        """The device, the model on it, and the seconds that building took."""
        case, known = self._case, self._known
        with self._of_the_device():
            device = self._backend.open(case)
        known["device"] = device.name
        if device.gpu_uuid is not None:
            self._emit(DeviceOpened(device.gpu_uuid))
        if device.name == "cpu" and self._request.available is not None and self._is_first:
            self._refuse_what_cannot_fit(self._request.available)
        if case.memory_limit is not None:
            if device.name == "cpu":
                check_before_model(case.memory_limit)
            limit_memory(device, case.memory_limit, case.threads)
        with self._of_the_device():
            device.memory.before_model()
        watched = case.memory and self._is_first and device.memory.peak_costs_nothing
        if watched:
            device.memory.start()
        begin = time.perf_counter()
        model = self._backend.build(case, device)
        known["build_s"] = build_s = time.perf_counter() - begin
        if watched:
            self._loading = device.memory.stop(None).peak
            check_peak(case.memory_limit, None, self._loading)
        known["architecture"], known["dtype"] = model.architecture, model.dtype
        known["execution"], known["parameter_count"] = model.execution, model.parameter_count
        known["quantization"] = getattr(model, "quantization", "")
        if case.quantization not in ("none", getattr(model, "quantization", "none")):
            raise Unsupported(
                f"framework {case.framework} has no quantization {case.quantization}; measure it "
                f"with frameworks pytorch"
            )
        self._note = getattr(model, "note", "")
        known["export_s"] = getattr(model, "export_s", None)
        if case.trace_memory_line_by_line and model.execution != "eager":
            raise Unsupported(
                f"memory can be traced line by line where calls run line by line, and execution "
                f"{model.execution} does not; use execution eager"
            )
        gc.collect()
        device.memory.after_model()
        return device, model, build_s

    @contextmanager
    def _of_the_device(self) -> Iterator[None]:
        """Tell errors of the device, as of a driver or a full GPU, from those of the model."""
        try:
            yield
        except Exception as error:
            of_driver = isinstance(error, RuntimeError) or self._backend.is_out_of_memory(error)
            if of_driver and self._case.parallel == "none" and not own_line(error, self._case):
                raise DeviceFailed from error
            raise

    def _refuse_what_cannot_fit(self, available: int) -> None:
        """Raise `CannotFit` where the tensors alone are more than the bytes available."""
        try:
            needed = needed_bytes(self._backend, self._case, available)
        except Exception:  # what cannot be predicted is measured
            return
        if needed is not None and needed > available:
            raise CannotFit(
                f"needs at least {size_text(needed)} (predicted), and {size_text(available)} are "
                f"available; nothing was run; {less_of(self._case, Phase.WARMING)}, or take a "
                f"smaller model or dtype"
            )

    def _time(
        self, device: Device, model: Model, call: Call, build_s: float
    ) -> tuple[Timing, Optional[MemoryProfile]]:
        """Time the call; where the peak costs nothing, take it over the calls that are sampled."""
        with nvml.watched(device.gpu_uuid) as read_gpu:
            return self._time_watched(device, model, call, build_s, read_gpu)

    def _time_watched(
        self,
        device: Device,
        model: Model,
        call: Call,
        build_s: float,
        read_gpu: Callable[[], Optional[GpuState]],
    ) -> tuple[Timing, Optional[MemoryProfile]]:
        case, begin = self._case, time.perf_counter()
        first_call_s = device.stopwatch(call, 1)
        warm_call_s = first_call_s
        if model.execution in COMPILED:  # whose first calls say nothing of the others
            warm_call_s = self._compiled_call_s(device, model, call)
            if self._is_first:  # what later visits find compiled takes none of the case's time
                begin = time.perf_counter() - warm_call_s
        # three visits that cost so much would take longer than the case may, unless the code that
        # this one has compiled is found by the others
        costs_much = build_s + first_call_s > case.max_time / MIN_VISITS
        alone = self._request.alone or (costs_much and not self._keeps_compiled(model))
        reference = _reference(device)  # first: the peak may be that of a call of the warm-up
        with_memory = case.memory and device.memory.peak_costs_nothing
        if with_memory:
            device.memory.start()
        share = 1.0 if alone else VISIT_SHARE
        warm = warm_up(call, device.stopwatch, warm_call_s, share * case.max_time)
        self._enter(Phase.MEASURING)
        if with_memory and not warm.samples:
            device.memory.start()
        spent_s = time.perf_counter() - begin
        compilation: Optional[Compiles] = getattr(model, "compilation", None)
        if compilation is not None:
            compilation.begin_sampling()
        gpu_before = read_gpu()
        computing = ComputingShare(getattr(device, "computes_in_caller", False))
        samples = self._sample(device, call, warm, reference, alone, spent_s, build_s)
        computes = computing.so_far() if device.name == "cpu" else None
        gpu_after = read_gpu()
        memory = device.memory.stop(model.parameter_bytes) if with_memory else None
        visit = Visit(
            samples=tuple(samples),
            calls_per_sample=block_size(warm.call_s),
            references=tuple(reference.times) if reference is not None else (),
            kernel=_kernel(device) if reference is not None else "",
            first_call_s=first_call_s,
            calls_s=time.perf_counter() - begin,
            round=self._request.round,
            peak=None if memory is None else memory.peak,
            alone=alone,
            gpu_before=gpu_before,
            gpu_after=gpu_after,
            computing=computes,
            compiled=self._compiled(model),
            graph_breaks=None if compilation is None else compilation.graph_breaks,
            recompilations=None if compilation is None else compilation.recompilations,
            **_times_of_tokens(model, calls=len(samples) * block_size(warm.call_s)),
        )
        return summarize(visit, case.precision), memory

    def _compiled_call_s(self, device: Device, model: Model, call: Call) -> float:
        """Call until nothing more is compiled; the seconds of the last call.

        It may still have been slow by itself, as one is that records a CUDA graph.
        """
        compilation: Optional[Compiles] = getattr(model, "compilation", None)
        for _ in range(_MAX_COMPILING_CALLS):
            if compilation is not None:
                compilation.begin_sampling()
            call_s = device.stopwatch(call, 1)
            if compilation is None or not compilation.recompilations:
                break
        return call_s

    def _compiled(self, model: Model) -> str:
        """Whether the first call has compiled all, or found what a visit before it had."""
        if model.execution not in COMPILED:
            return ""
        return "warm" if self._keeps_compiled(model) and not self._is_first else "cold"

    def _keeps_compiled(self, model: Model) -> bool:
        """Whether later visits find what this one has compiled."""
        return bool(self._request.compiled_folder) and bool(getattr(model, "keeps_compiled", False))

    def _sample(
        self,
        device: Device,
        call: Call,
        warm: WarmUp,
        reference: Optional[Reference],
        alone: bool,
        spent_s: float,
        build_s: float,
    ) -> list[float]:
        """Seconds per call: until they are precise where the visit is alone, else a few."""
        case, calls_per_sample = self._case, block_size(warm.call_s)
        if reference is not None:
            reference.follow(sum(warm.samples))
        if alone:
            return sample(
                call,
                device.stopwatch,
                calls_per_sample=calls_per_sample,
                precision=case.precision,
                max_time=case.max_time - spent_s,
                fewest=case.min_samples,
                warm_samples=warm.samples,
                reference=reference,
                report=self._emit,
            )
        sample_s = warm.call_s * calls_per_sample
        return sample_visit(
            call,
            device.stopwatch,
            samples=samples_per_visit(build_s + spent_s, sample_s, case.max_time),
            calls_per_sample=calls_per_sample,
            warm_samples=warm.samples,
            reference=reference,
            report=self._emit,
        )


def _times_of_tokens(model: Model, calls: int) -> dict[str, Any]:
    """What a visit keeps of the last calls, the sampled ones, where they make tokens."""
    generation: Optional[Generates] = getattr(model, "generation", None)
    if generation is None:
        return {}
    laps = generation.laps()[-calls:]
    each = [lap[1:] for lap in laps if len(lap) > 1]
    between = [seconds for lap in each for seconds in lap]
    return {
        "first_token": tuple(lap[0] for lap in laps),
        "per_token": tuple(statistics.fmean(lap) for lap in each),
        "between_tokens": chosen_token_times(between),
    }


def _call_seconds(device: Device, call: Call) -> float:
    """How long a call takes that was not timed; the first one may have been slow by itself."""
    return min(device.stopwatch(call, 1) for _ in range(2))


def _counted(model: Model, call: Call) -> Optional[CallCount]:
    """What a call does by its tensors; None where that cannot be counted, which costs no more."""
    count = getattr(model, "count", None)
    try:
        return None if count is None else cast(Optional[CallCount], count(call))
    except Exception:  # what was measured stays, whatever an operation does when it is watched
        return None


def _kernel(device: Device) -> str:
    """The name of the device's reference kernel; empty where a backend has none."""
    name = getattr(device, "reference_name", None)
    return "" if name is None else str(name())


def _reference(device: Device) -> Optional[Reference]:
    """The device's reference kernel; None where a backend has none.

    A GPU's memory leaves it out of the peak of the calls between which it is timed.
    """
    make = getattr(device, "reference", None)
    call = None if make is None else make()
    if call is None:
        return None
    apart = getattr(device.memory, "apart", None)
    if apart is None:
        return Reference(call, device.stopwatch)

    def stopwatch(call: Call, times: int) -> float:
        with apart():
            return device.stopwatch(call, times)

    return Reference(call, stopwatch)
