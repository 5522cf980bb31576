"""How far a benchmark is: which case, which phase, and an estimate of what is left. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from ..environments import EnvironmentProgress
from ..plan.cases import Case, Outcome, Phase, Result
from ..plan.estimate import expected_seconds
from ..text import counted, duration
from ..worker.messages import Event as WorkerEvent
from ..worker.messages import PhaseChanged, SamplingProgress
from .events import CaseEnded, CaseVisited, Event

_USUAL_VISITS = 5


class Progress:
    """The state of one benchmark, followed by its events."""

    name = "progress"

    def __init__(self, cases: list[Case]) -> None:
        self.cases = cases
        self.results: list[Result] = []
        self.notices: list[str] = []
        self.warnings: list[str] = []
        self.current: Case | None = None
        self.phase = "waiting for the benchmark before it (nbbench.cancel() ends all)"
        self.begun = time.monotonic()
        self._case_begun = self.begun
        self._visited: dict[Case, Outcome] = {}
        self._sampling: SamplingProgress | None = None
        self._finished: float | None = None

    def finish(self) -> None:
        """Record the end and stop the clock."""
        self._finished = time.monotonic()

    def begin(self) -> None:
        """Record that its turn has come, and start the clock."""
        self.phase, self.begun = "", time.monotonic()

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
        elif isinstance(event, CaseVisited):
            self._visited[event.case] = event.outcome
            self.current, self.phase = None, ""
        elif isinstance(event, CaseEnded):
            self._visited.pop(event.case, None)
            self.results.append(Result(event.case, event.outcome))
            self.current, self.phase = None, ""
        else:
            self._follow(event.case, event.event)

    def _follow(self, case: Case, event: WorkerEvent) -> None:
        if case is not self.current:
            self.current, self._case_begun = case, time.monotonic()
            self._sampling = None
        if isinstance(event, PhaseChanged):
            first = event.phase is Phase.STARTING
            self.phase = f"importing {case.framework}" if first else event.phase.value
        elif isinstance(event, SamplingProgress):
            width = "" if event.half_width is None else f" ±{event.half_width:.1%}"
            self.phase = f"measuring: {counted(event.n, 'sample')}{width}"
            self._sampling = event

    @property
    def share(self) -> float:
        """Which part of the work is done, from 0 to 1; a visit counts for a part of its case."""
        visits = [len(o.timing.visits) for o in self._visited.values() if o.timing is not None]
        parts = sum(min(count / _USUAL_VISITS, 0.9) for count in visits)
        return (len(self.results) + parts) / max(len(self.cases), 1)

    def rows(self) -> list[Result]:
        """The results so far, in the cases' order; of cases that are still visited, as they are."""
        ended = {result.case: result for result in self.results}
        visited = {case: Result(case, outcome) for case, outcome in self._visited.items()}
        return [row for case in self.cases if (row := ended.get(case) or visited.get(case))]

    @property
    def seconds(self) -> float:
        """Seconds since the benchmark began."""
        return (self._finished or time.monotonic()) - self.begun

    def seconds_left(self) -> float:
        """An estimate of what is left, from the cases that have ended and what runs."""
        begun = {self.current, *self._visited, *(result.case for result in self.results)}
        waiting = [case for case in self.cases if case not in begun]
        left = sum(map(_seconds_left_of_visits, self._visited.values()))
        if self.current not in self._visited:
            left += self._seconds_left_of_current()
        return left + expected_seconds(waiting, self.results)

    def _seconds_left_of_current(self) -> float:
        if self.current is None:
            return 0.0
        expected = expected_seconds([self.current], self.results)
        left = max(expected - (time.monotonic() - self._case_begun), 0.0)
        if self._sampling is None:
            return left
        lacking = self.current.min_samples - self._sampling.n
        return max(left, lacking * self._sampling.median_s)

    def line(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.results)} of {len(self.cases)}"]
        if self._visited:
            rounds = [len(o.timing.visits) for o in self._visited.values() if o.timing is not None]
            parts.append(f"round {max(rounds, default=0) + 1}")
        if self.current is not None:
            parts.append(self.current.label)
        parts.append(self.phase)
        parts.append(f"about {duration(self.seconds_left())} left")
        return " · ".join(part for part in parts if part)

    def summary(self) -> str:
        """How it went, in one line."""
        counts = Counter(result.outcome.status.value for result in self.results)
        listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        return f"{counted(len(self.results), 'case')} in {duration(self.seconds)}: {listed}"


def _seconds_left_of_visits(outcome: Outcome) -> float:
    """An estimate for a case that was visited: five visits are usual, and one more from then on."""
    visits = 1 if outcome.timing is None else len(outcome.timing.visits)
    return outcome.wall_s / visits * max(_USUAL_VISITS - visits, 1)
