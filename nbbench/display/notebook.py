"""Live progress below a cell that runs: a line and the rows so far, which change in place."""

from __future__ import annotations

from IPython.display import display

from ..execution.progress import Progress
from ..report.html_page import live_html
from .cell_output import Shown


class NotebookDisplay:
    """Progress in the output of the cell that runs; the report is the cell's to show at the end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shown: tuple[str, int] = ("", 0)

    def __enter__(self) -> NotebookDisplay:
        self._handle = display(Shown("starting", live_html("starting", 0.0, [])), display_id=True)
        return self

    def update(self) -> None:
        """Show how it is now, if that is anything new."""
        progress = self._progress
        shown = progress.with_warnings(progress.line()), progress.row_count
        if shown != self._shown:
            self._shown = shown
            rows = progress.latest_rows()
            html = live_html(shown[0], progress.share, rows, row_count=progress.row_count)
            self._handle.update(Shown(shown[0], html))

    def __exit__(self, *_: object) -> None:
        line = self._progress.with_warnings(self._progress.summary())
        self._handle.update(Shown(line, live_html(line, None, [])))
