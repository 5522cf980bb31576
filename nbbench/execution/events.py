"""What happens while a plan is carried out; the events come up from `measure`, in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ..environments import EnvironmentProgress
from ..plan.result import Result
from ..report.environment import WorkerFacts
from ..worker.case import Case, Outcome, Phase, Status
from ..worker.messages import Event as WorkerEvent


@dataclass(frozen=True)
class CaseEvent:
    """An event of the worker that runs the case."""

    case: Case
    event: WorkerEvent


@dataclass(frozen=True)
class CaseVisited:
    """A visit of a case went well, and others follow; ``outcome`` is that of its visits so far.

    ``found`` is the case that a search has found for one that was planned.
    """

    case: Case
    outcome: Outcome
    worker: WorkerFacts | None = None
    found: Case | None = None

    @cached_property
    def result(self) -> Result:
        """What was measured so far."""
        return Result(self.found or self.case, self.outcome)


@dataclass(frozen=True)
class CaseEnded:
    """A case is over; ``worker`` is what its worker reported of itself, None if none came up.

    One that ``is_old`` was not measured now: an earlier run has its outcome. ``found`` is the case
    that a search has found for one that was planned.
    """

    case: Case
    outcome: Outcome
    worker: WorkerFacts | None = None
    is_old: bool = False
    found: Case | None = None

    @cached_property
    def result(self) -> Result:
        """What came of it."""
        return Result(self.found or self.case, self.outcome)


@dataclass(frozen=True)
class SizeMeasured:
    """A size that a search tries was measured; its own case goes on.

    One that ``is_over`` was measured wholly, or until the search was cut off; else so far.
    """

    case: Case
    outcome: Outcome
    worker: WorkerFacts | None = None
    is_over: bool = False

    @cached_property
    def result(self) -> Result:
        """What was measured of it."""
        return Result(self.case, self.outcome)


@dataclass(frozen=True)
class Notice:
    """Something that a person should know happened, which is of no one case."""

    text: str


Event: TypeAlias = EnvironmentProgress | CaseEvent | CaseVisited | CaseEnded | SizeMeasured | Notice


def cancelled_while(phase: Phase) -> Outcome:
    """What comes of a case that is cancelled in a phase."""
    return Outcome(Status.CANCELLED, f"cancelled while {phase.doing}", phase)


def too_late(phase: Phase, timeout: float) -> Outcome:
    """What comes of a case of which one phase takes longer than ``timeout`` seconds."""
    reason = f"{phase.doing} took longer than {timeout:g} s; raise timeout"
    return Outcome(Status.TIMEOUT, reason, phase)
