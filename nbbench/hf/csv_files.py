"""The original's five CSV files; each row is written when its case has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import OutputError
from ..plan.result import Result
from ..report.atomic_write import check_apart, check_writable
from ..report.growing_csv import GrowingCsv
from ..report.saved_json import has_measured
from .arguments import BenchmarkArguments
from .results import KINDS, Kind, lengths_of, rows_of

_HEAD = ("model", "batch_size", "sequence_length", "result")
_END_OF_LINE = "\r\n"  # as the original wrote them


def write_result(result: Mapping[str, Any], file: str) -> None:
    """Write one of the nested results; raises `OutputError` where that cannot be."""
    check_writable(file, folder=False)
    growing = GrowingCsv(file, _HEAD, _END_OF_LINE)
    growing.add(*([*sizes, _cell(value)] for *sizes, value in rows_of(result)))
    growing.close()


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


class CsvFiles:
    """Files for what the arguments ask for; raises `OutputError` at once where one cannot be.

    What cannot be written later is no reason to lose the run: ``problem`` says what it was.
    """

    def __init__(
        self, args: BenchmarkArguments, lengths: list[int], kinds: Iterable[Kind] = KINDS
    ) -> None:
        self.problem = ""
        self._begun = False
        self._environment = args.env_info_csv_file
        self._files = {
            (kind.mode, kind.asked): (getattr(args, kind.csv_file), kind.value)
            for kind in kinds
            if getattr(args, kind.mode) and getattr(args, kind.asked)
        }
        self._lengths = lengths
        files = {
            kind.csv_file: getattr(args, kind.csv_file)
            for kind in kinds
            if (kind.mode, kind.asked) in self._files
        }
        files["env_info_csv_file"] = self._environment
        check_apart(files.items())
        for path in files.values():
            check_writable(path, folder=False)
        self._growing = self._opened_anew()

    def add(self, result: Result) -> None:
        """Write a result's rows; nothing until something was measured."""
        if self._begun or has_measured([result]):
            self._begun = True
            for key, (file, _) in self._files.items():
                rows = self._rows(key, result)
                if rows:
                    self._attempt(file, self._growing[key], rows)

    def put_in_order(self, results: Sequence[Result]) -> None:
        """Write all rows anew in the cases' order; they came as their cases ended.

        Files of an earlier run stay where nothing was measured.
        """
        for growing in self._growing.values():
            growing.close()
        self._growing, self.problem = self._opened_anew(), ""
        for key, (file, _) in self._files.items():
            if has_measured(results) or not self._growing[key].file.exists():
                rows = [row for result in results for row in self._rows(key, result)]
                self._attempt(file, self._growing[key], rows)
            self._growing[key].close()

    def write_environment(self, info: dict[str, Any]) -> None:
        """Write ``key,value`` rows without a header."""
        first, *more = info.items()
        growing = GrowingCsv(self._environment, first, _END_OF_LINE)
        self._attempt(self._environment, growing, more)
        growing.close()

    def _opened_anew(self) -> dict[tuple[str, str], GrowingCsv]:
        return {
            key: GrowingCsv(file, _HEAD, _END_OF_LINE) for key, (file, _) in self._files.items()
        }

    def _rows(self, key: tuple[str, str], result: Result) -> list[list[Any]]:
        """A result's rows in the file of a mode and kind of value."""
        case, (_, value) = result.case, self._files[key]
        if case.mode != key[0]:
            return []
        text = _cell(value(result))
        lengths = lengths_of(case, self._lengths)
        return [[case.model, case.batch_size, length, text] for length in lengths]

    def _attempt(self, file: str, growing: GrowingCsv, rows: Sequence[Sequence[Any]]) -> None:
        try:
            growing.add(*rows)
        except OutputError as error:
            self.problem = f"{error}; it lacks rows"
