"""Calls that the user's own code made, measured in this process and thread.

For subclasses of the former benchmark's classes that build their own call, or time it themselves:
that code can run nowhere else. A standard model can be built here for it, too.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..errors import NbbenchError
from ..frameworks import backend_names, find_backend
from ..machine.gpus import GpuFacts, describe_gpu
from ..worker.case import Case, Outcome, Status
from ..worker.messages import DeviceOpened, Event, RunCase, WorkerFailed

if TYPE_CHECKING:
    from ..worker.backend import Backend, Device, Model

Call = Callable[[], object]


class CallFailed(NbbenchError):
    """A call could not be made or measured; ``outcome`` is what came of its case."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class UserCalls:
    """What measures calls, with what is known of the framework and the GPU by then."""

    def __init__(self) -> None:
        self.gpu = GpuFacts()
        self._facts: dict[str, Any] = {}

    @property
    def facts(self) -> Mapping[str, Any]:
        """Versions and settings of the framework as it is in this process, where it is known."""
        own = {"python_version": platform.python_version(), "own_process": False}
        return {**self._facts, **own, "interpreter": "the kernel's own"}

    def build(self, case: Case) -> Call:
        """The call of a case's standard model; raises `CallFailed` where there is none."""
        from ..worker.backend import Unsupported

        backend = self._backend(case)
        if backend is None:
            raise CallFailed(_failed(f"{case.framework} has no backend that could build a model"))
        try:
            backend.import_model(case)
            return backend.build(case, backend.open(case)).prepare()[0]
        except Unsupported as error:
            raise CallFailed(Outcome(Status.UNSUPPORTED, str(error))) from error

    def measure(self, case: Case, call: Call) -> Outcome:
        """Measure a call as one of the case's; raises `CallFailed` if the call fails.

        An interrupt goes on to the caller, who is to begin no other case.
        """
        from ..worker.run_case import run_case

        backend = _BackendOfACall(self._backend(case), call)
        outcome = run_case(backend, RunCase(case), self._on_event, reraised=(KeyboardInterrupt,))
        if outcome.status is not Status.OK:
            raise CallFailed(outcome)
        return replace(outcome, tokens_per_call=None, real_tokens_per_call=None)

    def explain(self, case: Case, error: BaseException) -> Outcome:
        """What came of a case where the user's code raised."""
        from ..worker.exceptions import first_line

        if isinstance(error, CallFailed):
            return error.outcome
        backend = self._backend(case)
        status = Status.ERROR
        if backend is not None and backend.is_out_of_memory(error):
            status = Status.OOM
        return Outcome(status, f"{type(error).__name__}: {first_line(error)}")

    def _backend(self, case: Case) -> Backend | None:
        """The framework's backend in this process; None where nbbench has none."""
        from ..worker.load import load_backend

        if case.framework not in backend_names():
            return None
        found = find_backend(case.framework)
        backend = load_backend(found.framework, found.file, found.class_name)
        if isinstance(backend, WorkerFailed):
            raise CallFailed(
                _failed(f"{backend.reason} in this process, where own code is measured")
            )
        self._facts = backend.environment()
        return backend

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DeviceOpened):
            self.gpu = describe_gpu(event.gpu_uuid)


def measure_peak(call: Call) -> int:
    """The most bytes that this process held while a call ran, once."""
    from ..worker.process_memory import ProcessMemory

    gauge = ProcessMemory()
    gauge.start()
    try:
        call()
    finally:
        profile = gauge.stop(None)
    return cast("int", profile.peak)


def bytes_held() -> int:
    """How many bytes this process holds now; quick."""
    from ..worker.resident import quick_resident

    return quick_resident()


def _failed(reason: str) -> Outcome:
    return Outcome(Status.UNSUPPORTED, reason)


class _BackendOfACall:
    """A backend whose model is a call that exists already."""

    def __init__(self, beneath: Backend | None, call: Call) -> None:
        self._beneath, self._call = beneath, call

    def load(self) -> None:
        """Nothing: the call exists."""

    def environment(self) -> dict[str, Any]:
        """Nothing beside what is known of the framework."""
        return {"process": os.getpid()}

    def import_model(self, case: Case) -> None:
        """Nothing: the call exists."""

    def open(self, case: Case) -> Device:
        """The framework's device, or the processor."""
        from ..worker.backends.cpu import CpuDevice

        return CpuDevice() if self._beneath is None else self._beneath.open(case)

    def build(self, case: Case, device: Device) -> Model:
        """The call, in the form of a model."""
        return _ModelOfACall(self._call)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """What the framework says, else Python's own."""
        if self._beneath is None:
            return isinstance(error, MemoryError)
        return self._beneath.is_out_of_memory(error)


class _ModelOfACall:
    """A call of which no more is known than that it can be called."""

    architecture = ""
    dtype = ""
    execution = "eager"  # Python runs it, whatever it starts
    library = "transformers"
    parameter_count = cast("int", None)
    parameter_bytes = cast("int", None)

    def __init__(self, call: Call) -> None:
        self._call = call

    def prepare(self) -> tuple[Call, int | None]:
        """The call."""
        return self._call, None

    def training_phases(self) -> list[tuple[str, Call]]:
        """None: what the call does is its own."""
        return []

    def gradient_bytes(self) -> int | None:
        """Unknown."""
        return None
