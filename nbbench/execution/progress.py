"""How far a benchmark is: which case, which phase, and an estimate of what is left. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from ..environments import EnvironmentProgress
from ..plan.estimate import USUAL_VISITS, KnownCosts
from ..plan.result import Result
from ..text import counted, duration, one_line
from ..worker.case import Case, Phase
from ..worker.messages import Event as WorkerEvent
from ..worker.messages import PhaseChanged, SamplingProgress
from .events import CaseEnded, CaseEvent, CaseVisited, Event, Notice
from .turn import MEASURES_BESIDE

_LEARN_EVERY = 0.2
"""Estimates of what waits are made anew when there are so many results more, as a part of all."""

_MAX_LATEST = 100
"""Rows that are shown while a benchmark runs: to write more takes a core from what is measured."""


class Progress:
    """The state of one benchmark, followed by its events.

    It is asked several times a second beside what is measured, so an answer costs the same however
    many cases there are: sums are kept, and mended by each event. Estimates begin with the results
    that are ``known``, of benchmarks before it. One that is not ``is_timed`` predicts its cases.
    """

    name = "progress"

    def __init__(
        self, cases: list[Case], known: Sequence[Result] = (), is_timed: bool = True
    ) -> None:
        self.cases = cases
        self.results: list[Result] = []
        self.notices: list[str] = []
        self._old = 0
        self.warnings: list[str] = []
        self.current: Case | None = None
        self.phase = "waiting for the benchmark before it (nbbench.cancel() ends all)"
        self.begun = time.monotonic()
        self._case_begun = self.begun
        self._number = {case: number for number, case in enumerate(cases)}
        self._rows: dict[Case, Result] = {}
        self._visited: dict[Case, tuple[int, float]] = {}
        self._seconds_of_visits = self._parts = 0.0
        self._rounds = 0
        self._known, self._is_timed = known, is_timed
        self._costs = KnownCosts(known, is_timed)
        self._learned = 0
        self._waiting = {case: self._costs.expected(case) for case in cases}
        self._seconds_of_waiting = sum(self._waiting.values())
        self._sampling: SamplingProgress | None = None
        self._finished: float | None = None

    def finish(self) -> None:
        """Record the end and stop the clock."""
        self._finished = time.monotonic()

    def begin(self) -> None:
        """Record that its turn has come, and start the clock."""
        self.phase, self.begun = "", time.monotonic()

    def wait_for(self, what: str) -> None:
        """Show what it waits for, and how it would not."""
        self.phase = f"{what} ({MEASURES_BESIDE})"
        self.notices.append(self.phase)

    def warn(self, warnings: Sequence[str]) -> None:
        """Give notice of what makes the numbers unsteady."""
        self.warnings += warnings
        self.notices += warnings

    def with_warnings(self, line: str) -> str:
        """A line for where notices are not shown one below the other."""
        return " · ".join([line, *self.warnings])

    def on_event(self, event: Event) -> None:
        """Follow an event of the benchmark."""
        if isinstance(event, EnvironmentProgress):
            self.notices.append(f"environment {event.label}: {event.text}")
            self.phase = self.notices[-1]
        elif isinstance(event, Notice):
            self.warn([event.text])
        elif isinstance(event, CaseVisited):
            self._keep_visits(event.case, event.result)
            self.current, self.phase = None, ""
        elif isinstance(event, CaseEnded):
            self._keep_visits(event.case, None)
            self._old += event.is_old
            self.results.append(self._keep_row(event.case, event.result))
            self._learn()
            self.current, self.phase = None, ""
        elif isinstance(event, CaseEvent):
            self._follow(event.case, event.event)

    def _follow(self, case: Case, event: WorkerEvent) -> None:
        if case is not self.current:
            self._begin(case)
            self.current, self._case_begun = case, time.monotonic()
            self._sampling = None
        if isinstance(event, PhaseChanged):
            first = event.phase is Phase.STARTING
            self.phase = f"importing {case.framework}" if first else event.phase.value
        elif isinstance(event, SamplingProgress):
            width = "" if event.half_width is None else f" ±{event.half_width:.1%}"
            self.phase = f"measuring: {counted(event.n, 'sample')}{width}"
            self._sampling = event

    def _keep_visits(self, case: Case, result: Result | None) -> None:
        """Count the visits of a case that others follow; None where it has ended."""
        self._begin(case)
        visits, seconds = self._visited.pop(case, (0, 0.0))
        self._parts -= _part(visits)
        self._seconds_of_visits -= seconds
        if result is not None:
            outcome = result.outcome
            visits = 1 if outcome.timing is None else len(outcome.timing.visits)
            seconds = self._costs.left(case, outcome)
            self._visited[case] = visits, seconds
            self._keep_row(case, result)
            self._parts += _part(visits)
            self._seconds_of_visits += seconds
            self._rounds = max(self._rounds, visits)

    def _keep_row(self, case: Case, result: Result) -> Result:
        """Keep the row of a planned case behind those that came before it."""
        self._rows.pop(case, None)
        self._rows[case] = result
        return result

    def _begin(self, case: Case) -> None:
        """Let a case wait no longer."""
        self._seconds_of_waiting -= self._waiting.pop(case, 0.0)

    def _learn(self) -> None:
        """Estimate what waits from what has ended; not at every case, where there are many."""
        if len(self.results) < self._learned * (1 + _LEARN_EVERY):
            return
        self._learned = len(self.results)
        self._costs = KnownCosts([*self._known, *self.results], self._is_timed)
        self._waiting = {case: self._costs.expected(case) for case in self._waiting}
        self._seconds_of_waiting = sum(self._waiting.values())

    @property
    def share(self) -> float:
        """Which part of the work is done, from 0 to 1; a visit counts for a part of its case."""
        return (len(self.results) + max(self._parts, 0.0)) / max(len(self.cases), 1)

    @property
    def row_count(self) -> int:
        """How many cases have results, of a first visit too."""
        return len(self._rows)

    def latest_rows(self) -> list[Result]:
        """The latest results, in the cases' order; of cases that are still visited, as they are."""
        latest = list(islice(reversed(self._rows.items()), _MAX_LATEST))
        return [row for _, row in sorted(latest, key=lambda item: self._number[item[0]])]

    @property
    def seconds(self) -> float:
        """Seconds since the benchmark began."""
        return (self._finished or time.monotonic()) - self.begun

    def seconds_left(self) -> float:
        """An estimate of what is left, from the cases that have ended and what runs."""
        left = max(self._seconds_of_visits, 0.0) + max(self._seconds_of_waiting, 0.0)
        return left + self._seconds_left_of_current()

    def _seconds_left_of_current(self) -> float:
        current, sampling = self.current, self._sampling
        if current is None or current in self._visited:
            return 0.0
        expected = self._costs.expected(current)
        left = max(expected - (time.monotonic() - self._case_begun), 0.0)
        if sampling is None:
            return left
        return max(left, (current.min_samples - sampling.n) * sampling.median_s)

    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.results)} of {len(self.cases)}"]
        if self._visited:
            parts.append(f"round {self._rounds + 1}")
        if self.current is not None:
            parts.append(one_line(self.current.label))
        parts.append(one_line(self.phase))
        parts.append(f"about {duration(self.seconds_left())} left")
        return " · ".join(part for part in parts if part)

    def summary(self) -> str:
        """How it went, in one line."""
        counts = Counter(result.outcome.status.value for result in self.results)
        listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        old = f", {self._old} of them measured before" if self._old else ""
        whole = f"{counted(len(self.results), 'case')} in {duration(self.seconds)}"
        return f"{whole}: {listed}{old}" if listed else whole


def _part(visits: int) -> float:
    """Which part of a case so many visits are: five are usual, and one more from then on."""
    return min(visits / USUAL_VISITS, 0.9)
