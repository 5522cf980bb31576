"""A CSV file that gets its rows while a run goes on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from ..paths import as_path
from .atomic_write import cannot_write, is_special, write_by
from .dataframes import harmless

Row = Sequence[Any]


class GrowingCsv:
    """A CSV file that is appended to; a file of an earlier run stays until the first row.

    The first rows are written beside and renamed. After a row that could not be written, the next
    one brings all those before it. No cell is one that a spreadsheet runs as a formula.
    """

    def __init__(self, file: str | Path, head: Row, end_of_line: str = "\n") -> None:
        self.file = as_path(file)
        self._rows: list[Row] = [head]
        self._end_of_line = end_of_line
        self._opened: TextIO | None = None

    def add(self, *rows: Row) -> None:
        """Write rows; raises `OutputError`."""
        self._rows.extend(rows)
        if self._opened is None:
            self.write()
            return
        try:
            self._fill(self._opened, rows)
        except OSError as error:
            self.close()
            raise cannot_write(self.file, error) from None

    def write(self) -> None:
        """Write all of it anew, at once or not at all; raises `OutputError`."""
        self.close()
        write_by(self.file, self._fill_path)
        if is_special(self.file):
            self._rows = self._rows[:1]  # a pipe has got them
        else:
            with suppress(OSError):  # a file for reading alone is written anew for each row
                self._opened = self._open(self.file, "a")

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            with suppress(OSError):
                self._opened.close()
            self._opened = None

    def _fill_path(self, path: Path) -> None:
        with self._open(path, "w") as opened:
            self._fill(opened, self._rows)

    def _fill(self, opened: TextIO, rows: Iterable[Row]) -> None:
        writer = csv.writer(opened, lineterminator=self._end_of_line)
        writer.writerows([harmless(cell) for cell in row] for row in rows)
        opened.flush()

    @staticmethod
    def _open(path: Path, mode: str) -> TextIO:
        return path.open(mode, newline="", encoding="utf-8", errors="backslashreplace")  # type: ignore[return-value]
