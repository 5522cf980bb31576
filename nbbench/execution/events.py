"""What every executor is: cases go in, events and outcomes come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from ..plan.cases import Case, Outcome, Phase, Status
from ..worker.messages import Event


@dataclass(frozen=True)
class CaseEvent:
    """Something the worker says of the case that is running."""

    case: Case
    event: Event


@dataclass(frozen=True)
class EnvironmentEvent:
    """How the making of an environment goes, in words."""

    label: str
    said: str


@dataclass(frozen=True)
class CaseEnd:
    """A case is over; ``environment`` is what its worker told of itself, empty if it never ran."""

    case: Case
    outcome: Outcome
    environment: dict[str, Any] = field(default_factory=dict)


ExecutorEvent: TypeAlias = CaseEvent | EnvironmentEvent | CaseEnd


def cancelled_while(phase: Phase) -> Outcome:
    """What comes of a case that is cancelled in a phase."""
    return Outcome(Status.CANCELLED, f"cancelled while {phase.value}", phase.value)


def too_late(phase: Phase, timeout: float) -> Outcome:
    """What comes of a case of which one phase takes longer than ``timeout`` seconds."""
    reason = f"{phase.value} took longer than {timeout:g} s; raise timeout"
    return Outcome(Status.TIMEOUT, reason, phase.value)


class Executor(Protocol):
    """Runs cases one after the other."""

    def run(self, cases: list[Case], cancelled: Callable[[], bool]) -> Iterator[ExecutorEvent]:
        """Yield events of each case and then its end, in order; every case has an end.

        Once ``cancelled()`` is true, or the generator is interrupted, the running case ends as
        ``cancelled`` and the rest as ``skipped``.
        """
