"""The energy of a case, which both sides of the wire know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Energy:
    """What a call takes in joules, over a window of ``calls`` calls that lasted ``window_s``.

    ``source`` is "NVML" or "RAPL"; ``idle_w`` is the power in watts while nothing was called, which
    is counted into ``joules``, too.
    """

    source: str
    joules: float
    calls: int
    window_s: float
    idle_w: Optional[float] = None

    def __post_init__(self) -> None:
        if self.calls < 1 or not self.window_s > 0 or not self.joules >= 0:
            raise ValueError("energy was taken over no calls, or is less than nothing")

    @property
    def joules_per_call(self) -> float:
        """Energy of one call."""
        return self.joules / self.calls

    @property
    def watts(self) -> float:
        """Power while calls ran."""
        return self.joules / self.window_s
