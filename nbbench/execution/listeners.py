"""What follows a benchmark's events: the recorder, the file that is kept up to date, the user."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from ..history_database.run_history import RunHistory
from ..machine.health import busy_sentence
from ..machine.machine import LoadWatch, MachineFacts
from ..paths import as_path
from ..plan.result import Result
from ..report.environment import EnvironmentKey, WorkerFacts, environment_key, with_gpu_of
from ..report.own_columns import Added
from ..report.report import Report
from ..report.saved_json import Content, GrowingFile, has_measured
from ..worker.case import Case, Status
from .events import CaseEnded, CaseEvent, CaseVisited, Event, SizeMeasured

_KEEP_EVERY_S = 3.0
"""How often at most the history gets what a case's visits have measured."""

_LOOK_AFTER_S = 1.0
"""Seconds over which a load is more than a moment's."""

recent_results: deque[Result] = deque(maxlen=1000)
"""What jobs of this process have measured, for estimates of how long others will take."""


class Listener(Protocol):
    """Follows the events of a benchmark; it may fail without harm to what is measured."""

    name: str
    """What failed, in the message for the user."""

    def on_event(self, event: Event) -> None:
        """Follow one event."""


class Recorder:
    """Keeps the results and the facts of a benchmark."""

    name = "recording"

    def __init__(
        self,
        cases: list[Case],
        baseline: str | None = None,
        price_per_hour: float | None = None,
    ) -> None:
        self._cases = cases
        self._baseline = baseline
        self._added = Added(price_per_hour=price_per_hour)
        self._results: dict[Case, Result] = {}
        self._positions: dict[Case, int] = {}
        self._workers: dict[EnvironmentKey, WorkerFacts] = {}
        self.machine = MachineFacts()
        self.last_result_at = 0.0

    def on_event(self, event: Event) -> None:
        """Keep the result of a case that has ended, or of its visits so far."""
        if not isinstance(event, (CaseEnded, CaseVisited)):
            return
        result = event.result
        if event.worker is not None:
            key = environment_key(event.case, event.outcome.node)
            self._workers[key] = with_gpu_of(event.worker, self._workers.get(key))
        self._results[event.case] = result
        if result.outcome.status is not Status.SKIPPED:
            self.last_result_at = time.monotonic()

    def position(self, case: Case) -> int | None:
        """The number of a case in the order of the run."""
        if not self._positions:
            self._positions = {each: number for number, each in enumerate(self._cases)}
        return self._positions.get(case)

    def head(self) -> Content:
        """What is known beside the results."""
        return Content((), self.machine, dict(self._workers), self._baseline, self._added)

    def content(self) -> Content:
        """What was measured so far, in the cases' order."""
        results = tuple(self._results[case] for case in self._cases if case in self._results)
        return dataclasses.replace(self.head(), results=results)

    def report(self) -> Report:
        """The report of what was measured so far."""
        return Report.of(self.content())


class Remember:
    """Keeps what cases took, for estimates of others."""

    name = "remembering results"

    def on_event(self, event: Event) -> None:
        """Keep the result of a case that has ended."""
        if isinstance(event, CaseEnded):
            recent_results.append(event.result)


class WatchLoad:
    """Warns, once, that other processes keep cores busy: as soon as that can be known.

    ``measures`` says whether anything was begun: beside cases of an earlier run a load is nothing.
    """

    name = "watching the load"

    def __init__(self, load: LoadWatch, warn: Callable[[list[str]], None]) -> None:
        self._load, self._warn, self._done = load, warn, False
        self.measures = False

    def on_event(self, event: Event) -> None:
        """Look once, when there was time enough for it."""
        self.measures = self.measures or isinstance(event, CaseEvent)
        if self._done or not self.measures or self._load.seconds < _LOOK_AFTER_S:
            return
        self._done = True
        self._load.watch_own()
        sentence = busy_sentence(self._load.cores())
        if sentence:
            self._warn([sentence])


class Autosave:
    """Has every visit and every case that has ended in a file, before it is shown."""

    name = "saving the report"

    def __init__(self, recorder: Recorder, file: str | Path) -> None:
        self._recorder, self._path = recorder, as_path(file)
        self._file = GrowingFile(file)
        self._measured = False

    def on_event(self, event: Event) -> None:
        """Add a case that has ended, or what its visits have measured so far."""
        if not isinstance(event, (CaseEnded, CaseVisited)):
            return
        result = event.result
        self._measured = self._measured or has_measured([result])
        if self._measured:
            self._file.add(result, self._recorder.head(), self._recorder.content)

    def save(self) -> None:
        """Write all there is, but never over a file if nothing was measured."""
        content = self._recorder.content()
        if has_measured(content.results) or not self._path.exists():
            self._file.write(content)
        self._file.close()


class KeepHistory:
    """Has every case that has ended in the history, and what visits of the others have measured.

    What was found there stays as it is. ``extras`` are what the run asks for beside its cases.
    """

    name = "keeping the history"

    def __init__(
        self,
        file: Path,
        recorder: Recorder,
        warn: Callable[[list[str]], None],
        extras: Collection[str] = (),
    ) -> None:
        self._file, self._recorder, self._warn, self._extras = file, recorder, warn, extras
        self._kept: RunHistory | None = None
        self._visits_kept: dict[Case, float] = {}

    def on_event(self, event: Event) -> None:
        """Add a case that has ended, or what its visits have measured so far."""
        if isinstance(event, (CaseVisited, SizeMeasured)):
            self._keep_visits(event)
        if not isinstance(event, CaseEnded) or event.is_old:
            return
        if event.outcome.status is Status.SKIPPED:
            return
        self._visits_kept.pop(event.case, None)
        planned = event.case if event.found is not None else None
        position = self._recorder.position(event.case)
        self._opened().add(event.result, event.worker, planned, position)

    def _keep_visits(self, event: CaseVisited | SizeMeasured) -> None:
        """Keep what a case's visits have measured, now and then; no harm where that fails.

        A size of a search is kept when it is over, too, unless no visit of it went well. A case
        of a cluster may go on at another node, and one that a search has found is measured anew
        with its search.
        """
        worker, now = event.worker, time.monotonic()
        is_found = isinstance(event, CaseVisited) and event.found is not None
        if worker is None or worker.machine is not None or is_found:
            return
        is_over = isinstance(event, SizeMeasured) and event.is_over
        if is_over and event.outcome.status not in (Status.OK, Status.OOM):
            return
        if not is_over and now - self._visits_kept.get(event.case, -math.inf) < _KEEP_EVERY_S:
            return
        if self._opened().keep_visits(event.result, worker):
            self._visits_kept[event.case] = now

    def _opened(self) -> RunHistory:
        """The history, opened once, when the machine is known."""
        if self._kept is None:
            warn = self._warn
            self._kept = RunHistory(
                self._file, self._recorder.machine, lambda text: warn([text]), self._extras
            )
        return self._kept

    def close(self) -> None:
        """Write what could not be written yet, and let go of the database."""
        if self._kept is not None:
            self._kept.close()


class OnResult:
    """Gives the user's function each result as its case ends, until it raises."""

    name = "on_result"

    def __init__(self, function: Callable[[Result], None]) -> None:
        self._function: Callable[[Result], None] | None = function

    def on_event(self, event: Event) -> None:
        """Call the function at the end of a case."""
        if isinstance(event, CaseEnded) and self._function is not None:
            function, self._function = self._function, None
            function(event.result)
            self._function = function
