"""Which cases are measured together on one node of a cluster, and what is known of them so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...environments import EnvironmentProgress
from ...worker.case import AXES, Case, Outcome, Phase, Status
from ...worker.messages import CaseMeasured, PhaseChanged
from ..events import CaseEnded, CaseEvent, CaseVisited, Event, cancelled_while
from .node import Sender

_ALWAYS_COMPARED = ("parallel", "ranks")
"""How well several ranks do is seen beside one rank of the same machine."""


def groups_of(cases: Sequence[Case], compared: bool) -> list[list[Case]]:
    """Cases that belong on one node: those that are compared with each other, else each its own.

    Times of two nodes are those of two machines, which no verdict can rest on.
    """
    shared = [
        axis for axis in AXES if not (axis.is_way if compared else axis.name in _ALWAYS_COMPARED)
    ]
    found: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        key = tuple(axis.value(case) for axis in shared)
        found.setdefault(key, []).append(case)
    return list(found.values())


@dataclass
class Group:
    """Cases that are measured on one node, and how often they were begun.

    It has none where a node is asked what it is.
    ``measured`` has the latest visit of cases by now; ``current`` is the one that is in ``phase``.
    ``sender`` is where it runs, None until it does; it has sent nothing for ``silent_s``.
    ``lost_with`` has what ran each time that its node was lost, None for no case.
    """

    cases: list[Case]
    tries: int = 0
    ended: set[Case] = field(default_factory=set)
    measured: dict[Case, CaseVisited] = field(default_factory=dict)
    node: str = ""
    current: Case | None = None
    phase: Phase = Phase.STARTING
    sender: Sender | None = None
    silent_s: float = 0.0
    makes_environment: bool = False
    lost_with: list[Case | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._own = frozenset(self.cases)

    @property
    def left(self) -> list[Case]:
        """The cases that have not ended."""
        return [case for case in self.cases if case not in self.ended]

    def follow(self, event: Event) -> None:
        """Follow an event of its cases."""
        self.makes_environment = isinstance(event, EnvironmentProgress)
        if isinstance(event, CaseEvent):
            self.current = self._planned(event.case)
            if isinstance(event.event, PhaseChanged):
                self.phase = event.event.phase
            elif isinstance(event.event, CaseMeasured) and event.case in self._own:
                outcome = dataclasses.replace(event.event.outcome, node=self.node)
                self.measured[event.case] = CaseVisited(event.case, outcome)
        elif isinstance(event, CaseVisited):
            self.current, self.measured[event.case] = None, event
        elif isinstance(event, CaseEnded):
            self.current = None
            self.ended.add(event.case)

    def _planned(self, case: Case) -> Case:
        """The case of this group that runs: a search for one runs others, of several sizes."""
        if case in self._own:
            return case
        searches = (each for each in self.left if each.searched and _is_tried_for(case, each))
        return next(searches, (self.left or self.cases)[0])

    def begin(self) -> None:
        """Record that Ray has it to run, on a node that is yet to be known."""
        self.tries += 1
        self.node, self.sender, self.silent_s = "", None, 0.0
        self.current, self.phase, self.makes_environment = None, Phase.STARTING, False

    def give_up(self) -> list[Case]:
        """The cases to end, now that its nodes were lost too often; the others begin as if anew.

        It is the one that ran each time, which may be what ends them; else it is all.
        """
        ran = set(self.lost_with)
        to_blame = [case for case in self.left if ran == {case}]
        self.lost_with, self.tries = [], 0
        return to_blame or self.left

    def end(self, case: Case, otherwise: Outcome) -> CaseEnded:
        """The end of a case that Ray or its node does not bring to one.

        It is what its visits have measured, if they have: a machine that dies is not its fault.
        """
        self.ended.add(case)
        known = self.measured.get(case)
        if known is None:
            return CaseEnded(case, dataclasses.replace(otherwise, node=self.node))
        reason = "; ".join(filter(None, [known.outcome.reason, otherwise.reason]))
        outcome = dataclasses.replace(known.outcome, reason=reason)
        return CaseEnded(case, outcome, known.worker, found=known.found)

    def end_silent(self) -> CaseEnded:
        """The end of the case that runs on a node that sends nothing any more."""
        reason = (
            f"{self.node} has sent nothing for {self.silent_s:.0f} s while {self.phase.doing}, and "
            f"its process was ended; look whether the node hangs"
        )
        return self.end(self.current or self.left[0], Outcome(Status.TIMEOUT, reason, self.phase))

    def cancel(self, case: Case) -> CaseEnded:
        """The end of a case, now that all is cancelled."""
        if case in self.measured:
            return self.end(case, Outcome(Status.CANCELLED))
        if case != self.current:
            return CaseEnded(case, Outcome.skipped())
        return self.end(case, cancelled_while(self.phase))


def _is_tried_for(case: Case, planned: Case) -> bool:
    """Whether a case is a size that the search for a planned one may try."""
    return all(
        axis.value(case) == axis.value(planned) for axis in AXES if axis.name != planned.searched
    )
