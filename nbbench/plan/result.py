"""A case with what came of it, as reports, histories and tables have it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..worker.case import Axis, Case, Outcome
from .reasons import without_private


@dataclass(frozen=True)
class Result:
    """A case and what came of it; its reason names no home folder and no password."""

    case: Case
    outcome: Outcome

    def __post_init__(self) -> None:
        reason = without_private(self.outcome.reason) if self.outcome.reason else ""
        if reason != self.outcome.reason:
            object.__setattr__(self, "outcome", dataclasses.replace(self.outcome, reason=reason))

    def value(self, axis: Axis) -> Any:
        """The case's value on an axis, as it ran where that is known."""
        ran_with: dict[str, Any] = {
            "dtype": self.outcome.dtype,
            "execution": self.outcome.execution,
            "quantization": self.outcome.quantization,
            "device_name": self.outcome.device_name,
        }
        if self.case.sequence_length is None:
            ran_with["sequence_length"] = self.outcome.sequence_length
        return ran_with.get(axis.name) or axis.value(self.case)
