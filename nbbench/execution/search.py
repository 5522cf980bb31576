"""Searches for the largest size that fits: predicted first, then found by runs.

Each run is a process of its own, in which a case is called a few times. It fits, or it is out of
memory; whatever else comes of it ends the search, and is what came of the case. The size that is
found is then measured as any other case, and if memory runs out in that, the search goes on below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..machine.available import available_memory
from ..report.environment import EnvironmentKey
from ..text import counted
from ..worker.case import Case, Outcome, Status
from ..worker.memory_profile import size_text
from .best_size import best_size
from .bracket import MAX_SIZE, Bracket, Tried
from .events import CaseEnded, CaseVisited, Event
from .resume import Run
from .supervise import Supervisor

CPU_PART, GPU_PART = 0.9, 0.95
"""What part of a device's memory a search takes where no limit was given; the rest is a margin."""

_MAX_PREDICTIONS = 6


def run_searches(
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    run: Run,
) -> Iterator[Event]:
    """Yield the events of every search, and of ``run`` for what is then known."""
    found: dict[Case, _Search] = {}
    ready = []
    for case in cases:
        supervisor = supervisors[case.framework, case.environment]
        if not case.searched:
            ready.append(case)
        elif case.latency_limit is not None:
            yield from best_size(case, supervisors, cancelled, run)
        else:
            search = _Search(case, supervisor, cancelled)
            yield from _searched(search, found)
    ready += found
    while ready:
        again = []
        for event in run(ready, supervisors, cancelled):
            if not isinstance(event, (CaseVisited, CaseEnded)) or event.case not in found:
                yield event
                continue
            search = found[event.case]
            if isinstance(event, CaseEnded) and event.outcome.status is Status.OOM:
                search.add(event.case, event.outcome)
                again.append(search)
            else:
                yield search.of_planned(event)
        found = {}
        for search in again:
            yield from _searched(search, found)
        ready = list(found)


def _searched(search: _Search, found: dict[Case, _Search]) -> Iterator[Event]:
    """Search, and add what is found; a search without a size to measure ends its case."""
    outcome = yield from search.run()
    if outcome is None:
        found[search.case_of(search.size)] = search
    else:
        yield search.ended(outcome)


class _Search:
    """One search on its way."""

    def __init__(
        self, planned: Case, supervisor: Supervisor, cancelled: Callable[[], bool]
    ) -> None:
        self._planned, self._supervisor, self._cancelled = planned, supervisor, cancelled
        self._first = getattr(planned, planned.searched)
        self._bracket = Bracket(self._first)
        self._last = self._first
        self._limit_text = ""

    @property
    def size(self) -> int:
        """The largest size that is known to fit."""
        return self._bracket.fits

    def case_of(self, size: int) -> Case:
        """The case with a size, as it is measured when that is found."""
        sized: dict[str, Any] = {self._planned.searched: size}
        return replace(self._planned, searched="", **sized)

    def run(self) -> Generator[Event, None, Outcome | None]:
        """Try sizes until the largest is known; what came of the case where there is none."""
        bracket = self._bracket
        if bracket.limit is None and self._planned.memory_limit is not None:
            self._limit(self._planned.memory_limit, size_text(self._planned.memory_limit))
        while (size := bracket.next()) is not None:
            if self._cancelled():
                return self._unfinished(Outcome.skipped())
            case = self.case_of(size)
            available = None if bracket.tried else available_memory()  # it is limited from then on
            outcome = yield from self._supervisor.attempt(self._trial(case), available)
            self._last = size
            takes = outcome.takes.get(self._planned.searched, 0)
            if outcome.status is Status.UNSUPPORTED and 0 < takes < min(size, bracket.takes):
                bracket.takes = takes
            elif outcome.status in (Status.OK, Status.OOM):
                self.add(case, outcome)
                if len(bracket.tried) == 1:
                    yield from self._begin(outcome)
            else:
                return self._unfinished(outcome)
        return None if bracket.fits else self._nothing_fits()

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count a run of a size."""
        size, fits = getattr(case, self._planned.searched), outcome.status is Status.OK
        self._bracket.add(Tried(size, fits, _peak(outcome)))
        self._reason = outcome.reason

    def _trial(self, case: Case) -> Case:
        """The case as it is tried: for its memory alone, in few calls."""
        return replace(
            case, speed=False, memory=True, energy=False, trace_memory_line_by_line=False,
            memory_limit=self._bracket.limit,
        )  # fmt: skip

    def _begin(self, outcome: Outcome) -> Generator[Event, None, None]:
        """Say what the limit is, now that the device is known, and guess by prediction."""
        gpu = None if self._supervisor.facts is None else self._supervisor.facts.gpu
        if self._bracket.limit is None and outcome.device == "cpu":
            available = available_memory()
            self._limit(int(CPU_PART * available), f"{CPU_PART:.0%} of the memory available")
        elif self._bracket.limit is None and gpu is not None and gpu.gpu_ram_mb is not None:
            size = int(GPU_PART * gpu.gpu_ram_mb * 2**20)
            self._limit(size, f"{GPU_PART:.0%} of the GPU's memory")
        peak = _peak(outcome)
        if outcome.status is Status.OK and peak is not None and self._bracket.limit is not None:
            guess = yield from self._predicted(peak, self._bracket.limit)
            self._bracket.guess(guess)

    def _limit(self, size: int, text: str) -> None:
        self._bracket.limit, self._limit_text = size, text

    def _predicted(self, peak: int, limit: int) -> Generator[Event, None, int]:
        """The largest size whose tensors fit beside what the first run held; 0 if unknown.

        Between sizes that were predicted a line says which to predict next.
        """
        known: dict[int, int] = {}
        first = size = self._bracket.tried[0].size  # less than it began with, if that was too long
        target = limit
        for _ in range(_MAX_PREDICTIONS):
            if self._cancelled():
                return 0
            outcome = yield from self._supervisor.predict(self.case_of(size))
            takes = outcome.takes.get(self._planned.searched, 0)
            if 0 < takes < size:
                self._bracket.takes = min(takes, self._bracket.takes)
            elif outcome.prediction is None:
                return 0
            else:
                known[size] = outcome.prediction.call.peak
                target = limit - max(peak - known.get(first, peak), 0)
            size = min(_crossing(known, target), self._bracket.takes)
            if size in known:
                return size
        return max((each for each, held in known.items() if held <= target), default=0)

    def _nothing_fits(self) -> Outcome:
        """What came of a case of which not even the smallest size fits."""
        size = min(each.size for each in self._bracket.tried)
        limit = f" (limit {self._limit_text})" if self._limit_text else ""
        case, self._last = self.case_of(size), size
        reason = (
            f"even {_of_axis(case, self._planned.searched)} does not fit{limit}: {self._reason}"
        )
        return self._with_search(Outcome(Status.OOM, reason))

    def _unfinished(self, outcome: Outcome) -> Outcome:
        """What ended the search, with what was known by then."""
        if not self._bracket.tried:
            return outcome
        fits = f": {self._bracket.fits} fits" if self._bracket.fits else ""
        runs = counted(len(self._bracket.tried), "run")
        reason = f"{outcome.reason} (in the search for the largest, after {runs}{fits})"
        return self._with_search(replace(outcome, reason=reason))

    def _with_search(self, outcome: Outcome) -> Outcome:
        """An outcome with how many runs the search took, and under which limit."""
        return replace(
            outcome, searched_runs=len(self._bracket.tried), memory_limit=self._bracket.limit
        )

    def ended(self, outcome: Outcome) -> CaseEnded:
        """The end of a case for which nothing was found."""
        found = self.case_of(self._last)
        return CaseEnded(self._planned, outcome, self._supervisor.facts, found=found)

    def of_planned(self, event: CaseVisited | CaseEnded) -> CaseVisited | CaseEnded:
        """What was measured of the size that was found, as the end of what was planned."""
        outcome = self._with_search(event.outcome)
        reason = "; ".join(filter(None, [outcome.reason, self._how_found()]))
        outcome = replace(outcome, reason=reason)
        worker, found = event.worker, event.case
        if isinstance(event, CaseVisited):
            return CaseVisited(self._planned, outcome, worker, found)
        return CaseEnded(self._planned, outcome, worker, found=found)  # new, whenever measured

    def _how_found(self) -> str:
        """How the size was found, in a sentence for the row."""
        bracket = self._bracket
        text = f"found by {counted(len(bracket.tried), 'run')}: {bracket.fits} fits, "
        if bracket.fits == bracket.takes:
            text += (
                "the largest that is tried"
                if bracket.takes == MAX_SIZE
                else "the largest that the model takes"
            )
        else:
            text += f"{bracket.fails} does not"
        return f"{text} (limit {self._limit_text or 'the memory of the device'})"


def _peak(outcome: Outcome) -> int | None:
    """The most that a run held, while its model was built or in its calls."""
    memory = outcome.memory
    if memory is None or memory.peak is None:
        return None
    return max(memory.peak, memory.loading or 0)


def _crossing(known: Mapping[int, int], target: int) -> int:
    """The size where a line through the two nearest predictions meets a target, at least 1."""
    if not known:
        return MAX_SIZE
    if len(known) == 1:
        return 2 * next(iter(known))
    nearest = sorted(known.items(), key=lambda each: abs(each[1] - target))[:2]
    (a, low), (b, high) = sorted(nearest)
    if high <= low:
        return min(8 * b, MAX_SIZE)
    return min(max(math.floor(a + (target - low) * (b - a) / (high - low)), 1), MAX_SIZE)


def _of_axis(case: Case, axis: str) -> str:
    """A size with what it is of: batch 1, length 8."""
    names = {"batch_size": "batch", "sequence_length": "length", "new_tokens": "new tokens"}
    return f"{names[axis]} {getattr(case, axis)}"
