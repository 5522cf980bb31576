"""Rows of the history that may serve a case, with what was asked for beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..plan.result import Result
from ..report.roofline import NO_CEILINGS
from ..worker.case import Outcome, Status
from .columns import EXTRAS

_OF_SEARCHES = ("; found by ", "; even batch ", "; tried for the best ")
"""How begins what a search adds to a reason."""


@dataclass(frozen=True)
class Candidate:
    """What a row has of a case; ``row`` tells it from every other."""

    row: str
    label: str
    result: Result

    @property
    def visits(self) -> int:
        """How many visits were timed."""
        timing = self.result.outcome.timing
        return 0 if timing is None else len(timing.visits)

    @cached_property
    def samples(self) -> frozenset[tuple[Any, ...]]:
        """What tells its visits from others: rows of one case may have the same ones."""
        timing = self.result.outcome.timing
        visits = () if timing is None else timing.visits
        return frozenset(
            (tuple(visit.samples), tuple(visit.references), visit.calls_s) for visit in visits
        )


class CandidateRow:
    """A row as it was read; what is in it is read when it is asked for."""

    def __init__(
        self,
        row: str,
        label: str,
        extras: Any,
        content: Any,
        read: Callable[[Any], Result | None],
        machine: Any = None,
    ) -> None:
        self.row, self._label, self._content, self._read = row, label, content, read
        self._extras, self._machine = str(extras or "").split(), machine

    @cached_property
    def result(self) -> Result | None:
        """The result; None where it is damaged."""
        return self._read(self._content)

    @property
    def is_of_node(self) -> bool:
        """Whether it was measured on a node of a cluster, and not where its run was begun."""
        return self.result is not None and bool(self.result.outcome.node)

    @property
    def cpu_ram_mb(self) -> int:
        """The memory of the machine that it was measured on; 0 where that is not known."""
        try:
            found = json.loads(self._machine or "{}")["cpu_ram_mb"]
            return int(found)
        except (KeyError, TypeError, ValueError):
            return 0

    @property
    def label(self) -> str:
        """What the case's model was called."""
        return self._label or ("" if self.result is None else self.result.case.model)

    def has(self, extra: str) -> bool:
        """Whether it has what a run may ask for, or was asked for it in vain."""
        result = self.result
        if result is None or result.outcome.status is not Status.OK:
            return False
        return extra in self._extras or getattr(result.outcome, extra) is not None


def with_extras(
    row: CandidateRow, rows: Sequence[CandidateRow], asked: Collection[str]
) -> Candidate | None:
    """What a row has, and of the extras asked for what others of the same case have.

    None where one is in none of them, though it might be.
    """
    result = row.result
    assert result is not None
    outcome = result.outcome
    missing = [extra for extra in EXTRAS if extra in asked and not row.has(extra)]
    for extra in missing if outcome.status is Status.OK else ():
        alike = (each for each in rows if each.is_of_node == row.is_of_node)
        other = next((each for each in alike if each.has(extra)), None)
        if other is None or other.result is None:
            return None
        given: dict[str, Any] = {extra: getattr(other.result.outcome, extra)}
        if extra == "ceilings":
            why = _why_no_ceilings(other.result.outcome)
            given["reason"] = "; ".join(filter(None, [outcome.reason, why]))
        outcome = replace(outcome, **given)
    return Candidate(row.row, row.label, replace(result, outcome=outcome))


def without_ceilings(outcome: Outcome) -> Outcome:
    """An outcome as it is where ceilings are not asked for; it gives no reason why they lack."""
    why, reason = _why_no_ceilings(outcome), outcome.reason
    if why:
        before, _, after = reason.partition(why)
        reason = "; ".join(filter(None, [before.removesuffix("; "), after.removeprefix("; ")]))
    return replace(outcome, ceilings=None, reason=reason)


def _why_no_ceilings(outcome: Outcome) -> str:
    """The part of a reason that says why there are no ceilings; what a search adds is behind it."""
    _, begin, why = outcome.reason.partition(NO_CEILINGS)
    for search in _OF_SEARCHES if outcome.searched_runs is not None else ():
        why = why.partition(search)[0]
    return begin + why


def own_first(rows: Sequence[CandidateRow], label: str) -> Iterator[CandidateRow]:
    """The rows in order, those of a label before the others."""
    yield from (row for row in rows if row.label == label)
    yield from (row for row in rows if row.label != label)
