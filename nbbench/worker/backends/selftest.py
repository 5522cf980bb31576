"""What `nbbench selftest` measures: calls whose time, memory or slowdown is known beforehand."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

from ..backend import Device, Model, Unsupported
from ..case import Case
from ..measure import Call
from .cpu import CpuDevice
from .torch import TorchBackend

SLOWDOWN = "selftest_slowdown"
"""The key of a configuration that has calls last longer, by this part of their own time."""

_HELD_S = 0.02
"""Memory is held so long: polling, where there is nothing better, would miss a shorter peak."""

_SPIN_S = 0.002
"""The end of a wait is spent working: who sleeps wakes up late."""


class SelftestBackend:
    """Waits and touches memory, as the configuration says; no framework is needed."""

    def load(self) -> None:
        """Nothing."""

    def environment(self) -> dict[str, Any]:
        """A name alone."""
        return {"framework": "selftest", "framework_version": "1"}

    def import_model(self, case: Case) -> None:
        """Nothing."""

    def open(self, case: Case) -> Device:
        """The processor."""
        return CpuDevice()

    def build(self, case: Case, device: Device) -> Model:
        """A model without weights."""
        return KnownModel(case)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Only Python's own error says so."""
        return isinstance(error, MemoryError)


class KnownModel:
    """A call that waits for ``wait_s``, or holds ``touch_mib`` for a moment."""

    architecture = "Known"
    dtype = "float32"
    execution = "eager"
    library = "nbbench"
    parameter_count = 0
    parameter_bytes = 0

    def __init__(self, case: Case) -> None:
        self._config = case.config

    def prepare(self) -> tuple[Call, Optional[int]]:
        """The call that the configuration names."""
        if "wait_s" in self._config:
            seconds = float(self._config["wait_s"])
            return (lambda: wait(seconds)), None
        if "touch_mib" in self._config:
            size = int(self._config["touch_mib"]) << 20
            return (lambda: hold(size)), None
        raise Unsupported("a model of selftest has wait_s or touch_mib in its configuration")

    def training_phases(self) -> list[tuple[str, Call]]:
        """None."""
        return []

    def gradient_bytes(self) -> Optional[int]:
        """None."""
        return None


def wait(seconds: float) -> None:
    """Wait to the microsecond."""
    end = time.perf_counter() + seconds
    time.sleep(max(seconds - _SPIN_S, 0.0))
    while time.perf_counter() < end:
        pass


def hold(size: int) -> None:
    """Touch so many bytes of fresh memory, hold them for a moment, and free them."""
    with mmap.mmap(-1, size) as memory:
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1
        time.sleep(_HELD_S)


class SelftestTorchBackend(TorchBackend):
    """PyTorch as ever, with calls that last longer where the configuration says so."""

    REQUIREMENTS = ("torch>=2.4", "transformers>=4.50")

    def build(self, case: Case, device: Device) -> Any:
        """The case's model, slowed."""
        config = dict(case.config)
        part = float(config.pop(SLOWDOWN, 0.0))
        model = super().build(replace(case, config=config), device)
        return SlowedModel(model, part) if part else model


class SlowedModel:
    """A model whose calls last longer by a part of their own time; all else is the model's own."""

    def __init__(self, model: Any, part: float) -> None:
        self._model, self._part = model, part

    def prepare(self) -> tuple[Call, Optional[int]]:
        """The model's call, and the wait after it."""
        call, tokens = self._model.prepare()
        return slowed(call, self._part), tokens

    def __getattr__(self, name: str) -> Any:
        """What else a model has."""
        return getattr(self._model, name)


def slowed(call: Callable[[], object], part: float) -> Call:
    """A call that takes longer by this part of its own time, whatever that is."""

    def longer() -> object:
        begin = time.perf_counter()
        result = call()
        end = time.perf_counter()
        until = end + part * (end - begin)
        while time.perf_counter() < until:
            pass
        return result

    return longer
