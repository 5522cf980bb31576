"""How far a benchmark is: which case, which phase, and an estimate of what is left. Pure."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable

from ..plan.cases import Case, Phase, Result, Status
from ..text import counted, duration
from ..worker.messages import PhaseChanged, Sampled
from .events import CaseEvent, EnvironmentEvent

_AROUND_S = 0.1
"""What a case takes beside building and calling."""

_UNKNOWN_COSTS_S = 5.0
"""What building and warming up a case may take before any case has shown it."""


class Progress:
    """The state of one benchmark, as its events tell it."""

    def __init__(self, cases: list[Case]) -> None:
        self.cases = cases
        self.results: list[Result] = []
        self.notices: list[str] = []
        self.current: Case | None = None
        self.phase = "waiting for the benchmark before it (nbbench.cancel() ends all)"
        self.begun = time.monotonic()
        self._case_begun = self.begun
        self._sampled: Sampled | None = None
        self._finished: float | None = None

    def finish(self) -> None:
        """Take in that all is over, for the clock to stand."""
        self._finished = time.monotonic()

    def begin(self) -> None:
        """Take in that its turn has come."""
        self.phase, self.begun = "", time.monotonic()

    def hear(self, event: CaseEvent | EnvironmentEvent) -> None:
        """Take in an event of the running case, or of what is made before it can run."""
        if isinstance(event, EnvironmentEvent):
            self.notices.append(f"environment {event.label}: {event.said}")
            self.phase = self.notices[-1]
            return
        if event.case is not self.current:
            self.current, self._case_begun = event.case, time.monotonic()
            self._sampled = None
        said = event.event
        if isinstance(said, PhaseChanged):
            first = said.phase is Phase.STARTING
            self.phase = f"importing {event.case.framework}" if first else said.phase.value
        elif isinstance(said, Sampled):
            width = "" if said.half_width is None else f" ±{said.half_width:.1%}"
            self.phase = f"measuring: {counted(said.n, 'sample')}{width}"
            self._sampled = said

    def end(self, result: Result) -> None:
        """Take in the end of a case."""
        self.results.append(result)
        self.current, self.phase = None, ""

    @property
    def share(self) -> float:
        """Which part of the cases has ended, from 0 to 1."""
        return len(self.results) / max(len(self.cases), 1)

    @property
    def seconds(self) -> float:
        """Seconds since the benchmark began."""
        return (self._finished or time.monotonic()) - self.begun

    def seconds_left(self) -> float:
        """An estimate of what is left, from the cases that have ended and what runs."""
        begun = {self.current, *(result.case for result in self.results)}
        waiting = [case for case in self.cases if case not in begun]
        return self._seconds_left_of_current() + expected_seconds(waiting, self.results)

    def _seconds_left_of_current(self) -> float:
        if self.current is None:
            return 0.0
        expected = expected_seconds([self.current], self.results)
        left = max(expected - (time.monotonic() - self._case_begun), 0.0)
        if self._sampled is None:
            return left
        lacking = self.current.min_samples - self._sampled.n
        return max(left, lacking * self._sampled.median_s)

    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.results)} of {len(self.cases)}"]
        if self.current is not None:
            parts.append(self.current.label)
        parts.append(self.phase)
        parts.append(f"about {duration(self.seconds_left())} left")
        return " · ".join(part for part in parts if part)

    def summary(self) -> str:
        """How it went, in one line."""
        counts = Counter(result.outcome.status.value for result in self.results)
        said = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        return f"{counted(len(self.results), 'case')} in {duration(self.seconds)}: {said}"


def expected_seconds(cases: Iterable[Case], known: Iterable[Result]) -> float:
    """An estimate of how long cases will take, from results that are known.

    A case is taken to be sampled as long as the most similar one that went well: longer in
    proportion to its tokens if it has more, and the more precise it shall be, but no longer than it
    may. Where none is known, it is taken to last as long as it may.
    """
    ended = [result for result in known if result.outcome.status is Status.OK]
    return sum(_expected(case, ended) for case in cases)


def _expected(case: Case, ended: list[Result]) -> float:
    if not ended:
        return case.max_time * (1.0 if case.speed else 0.0) + _UNKNOWN_COSTS_S
    same_model = [r for r in ended if r.case.model == case.model] or ended
    nearest = min(same_model, key=lambda r: abs(math.log(_size(r.case) / _size(case))))
    outcome, timing = nearest.outcome, nearest.outcome.timing
    if timing is None or not case.speed:
        return outcome.wall_s
    larger = max(1.0, _size(case) / _size(nearest.case))
    finer = max(1.0, nearest.case.precision / case.precision) ** 2
    sampled = sum(timing.samples) * timing.calls_per_sample * larger * finer
    fewest = (case.min_samples + 1) * timing.median_s * larger
    return (outcome.build_s or 0.0) + _AROUND_S + max(min(sampled, case.max_time), fewest)


def _size(case: Case) -> int:
    return case.batch_size * (case.sequence_length or 1)
