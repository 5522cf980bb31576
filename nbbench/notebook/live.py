"""A benchmark that runs beside the notebook: its results fill in below the cell, row by row."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from IPython.display import display

from ..display.cell_output import Shown
from ..execution.job import Job
from ..report.budget import Budget
from ..report.html_page import live_html

_REFRESH_S = 0.25
"""At most so often is anything shown anew."""

_PLOT_EVERY_S = 5.0
"""Plots are drawn anew when a case has ended, but not more often: drawing takes a core a moment."""

_PLOT_SHARE = 50
"""Of many cases they are drawn less often: for a fiftieth of the time."""


class LiveResults:
    """An output that shows a job's line, its rows so far, and its plots where Matplotlib is.

    It ends as the report itself, which a saved notebook keeps and shows without a kernel.
    """

    def __init__(self) -> None:
        self._handle = display(Shown("", ""), display_id=True)
        self._line = ""
        self._rows = -1
        self._plots: list[bytes] = []
        self._plot_again_at = 0.0

    def show(self, job: Job) -> None:
        """Show how it is now, if that is anything new."""
        progress = job.progress
        line, rows = progress.with_warnings(progress.line()), progress.row_count
        if (line, rows) == (self._line, self._rows):
            return
        begun = time.monotonic()
        if rows != self._rows and begun > self._plot_again_at:
            self._plots = job.report().plot.pngs() if rows else []
            ended = time.monotonic()
            self._plot_again_at = ended + max(_PLOT_EVERY_S, _PLOT_SHARE * (ended - begun))
        self._line, self._rows = line, rows
        html = live_html(line, progress.share, progress.latest_rows(), self._plots, rows)
        self._handle.update(Shown(line, html))

    def end(self, job: Job, budget: Budget | None = None) -> None:
        """Show the report, the best within a budget, and how it went."""
        report = job.report().with_best(budget)
        summary = job.progress.with_warnings(job.progress.summary())
        html = live_html(summary, None, []) + report.to_fragment(report.plot.pngs())
        self._handle.update(Shown(f"{summary}\n{report!r}", html))

    def fail(self, error: Exception) -> None:
        """Show why there is no report."""
        self._handle.update(Shown(str(error), live_html(str(error), None, [])))


def watch(job: Job, outputs: Sequence[LiveResults], budget: Budget | None = None) -> None:
    """Show a job until it ends, in those outputs too that are added meanwhile.

    Raises what broke the job.
    """
    while not job.wait(_REFRESH_S):
        for output in outputs:
            output.show(job)
    for output in outputs:
        output.end(job, budget)


def follow(job: Job, output: LiveResults, budget: Budget | None = None) -> None:
    """Show a job until it ends; does not wait."""

    def watching() -> None:
        try:
            watch(job, [output], budget)
        except Exception as error:
            output.fail(error)

    threading.Thread(target=watching, daemon=True, name="nbbench-live").start()
