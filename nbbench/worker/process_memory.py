"""A case's memory on the CPU: baseline, weights, activations and peak of this process.

The framework's code is mapped from files and becomes resident as it is first used, much of it
while a model is built and first called. It belongs to the framework, not to the model: `weights`
is the growth of anonymous memory alone, and `baseline` counts the code that was resident when
the peak was taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Protocol, Union

from .memory_profile import MemoryProfile
from .resident import (
    HighWaterMark,
    Polling,
    high_water_mark_works,
    quick_resident,
    read_resident,
    release_free_memory,
)


class MemoryGauge(Protocol):
    """Watches one case's memory; the methods are called in the order in which they stand here.

    One may have ``apart``, a context in which what is given out counts for no peak: the reference
    kernel is then timed in it.
    """

    peak_costs_nothing: bool
    """Whether the peak can be taken over the calls that are timed, without disturbing them."""

    def before_model(self) -> None:
        """The framework is ready and the model does not exist yet."""

    def after_model(self) -> None:
        """The model is built."""

    def start(self) -> None:
        """The calls whose peak counts begin."""

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """Those calls are over; ``parameters`` are the model's own bytes."""

    def now(self) -> tuple[int, Optional[int]]:
        """Bytes that this process holds, and those its GPU's allocator has given out, if any.

        May be called at any time, and is quick.
        """


class ProcessMemory:
    """The memory of this process: ``peak`` is the kernel's high-water mark where that works."""

    def __init__(self, peak: Union[HighWaterMark, Polling, None] = None) -> None:
        if peak is None:
            peak = HighWaterMark() if high_water_mark_works() else Polling()
        self.peak_costs_nothing = isinstance(peak, HighWaterMark)
        self._peak = peak
        self._anonymous_before = 0
        self._weights = 0

    def before_model(self) -> None:
        """Take the baseline."""
        release_free_memory()
        self._anonymous_before = read_resident().anonymous

    def after_model(self) -> None:
        """Take the weights."""
        release_free_memory()
        self._weights = read_resident().anonymous - self._anonymous_before

    def start(self) -> None:
        """Begin to watch the peak."""
        self._peak.start()

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the calls since `start`."""
        peak = self._peak.stop()
        baseline = self._anonymous_before + read_resident().mapped
        return MemoryProfile(
            method=self._peak.method,
            baseline=baseline,
            parameters=parameters,
            weights=self._weights,
            activations=peak - baseline - self._weights,
            peak=peak,
        )

    def now(self) -> tuple[int, Optional[int]]:
        """What this process holds; there is no other device."""
        return quick_resident(), None


class UndividedMemory(ProcessMemory):
    """The same where a peak cannot be divided into weights and the rest.

    A runtime keeps what its first call took, which is made while a model is built, and may map
    weights from a file as if they were code.
    """

    def before_model(self) -> None:
        """Take the baseline."""
        super().before_model()
        self._resident_before = read_resident().total

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The peak of the calls since `start`, and the process before the model."""
        profile = super().stop(parameters)
        return replace(profile, baseline=self._resident_before, weights=None, activations=None)
