"""The original's five CSV files; each row is written when its case has ended."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..plan.cases import Result
from ..report.atomic_write import check_writable
from .arguments import Arguments
from .results import KINDS, lengths_of

_HEAD = ("model", "batch_size", "sequence_length", "result")


class CsvFiles:
    """Files for what the arguments ask for; raises `OutputError` at once where one cannot be.

    What cannot be written later is no reason to lose the run: ``problem`` says what it was.
    """

    def __init__(self, args: Arguments, lengths: list[int]) -> None:
        names = (
            args.inference_time_csv_file,
            args.inference_memory_csv_file,
            args.train_time_csv_file,
            args.train_memory_csv_file,
        )
        self.problem = ""
        self._environment = args.env_info_csv_file
        self._files = {
            (kind.mode, kind.asked): (name, kind.value)
            for kind, name in zip(KINDS, names, strict=True)
            if getattr(args, kind.mode) and getattr(args, kind.asked)
        }
        self._lengths = lengths
        for path in (self._environment, *(file for file, _ in self._files.values())):
            check_writable(path, folder=False)
        for file, _ in self._files.values():
            self._write(file, "w", _HEAD)

    def add(self, result: Result) -> None:
        """Write a result's rows."""
        case = result.case
        for (mode, _), (file, value) in self._files.items():
            if case.mode == mode:
                got = value(result)
                text = f"{got:.4f}" if isinstance(got, float) else str(got)
                for length in lengths_of(case, self._lengths):
                    self._write(file, "a", [case.model, case.batch_size, length, text])

    def put_in_order(self, results: Iterable[Result]) -> None:
        """Write all rows anew in the cases' order; they came as their cases ended."""
        for file, _ in self._files.values():
            self._write(file, "w", _HEAD)
        for result in results:
            self.add(result)

    def write_environment(self, info: dict[str, Any]) -> None:
        """Write ``key,value`` rows without a header."""
        self._write(self._environment, "w", *info.items())

    def _write(self, file: str, mode: str, *rows: Iterable[Any]) -> None:
        try:
            with Path(file).open(mode, newline="", encoding="utf-8") as opened:
                csv.writer(opened).writerows(rows)
        except OSError as error:
            self.problem = f"{str(file)!r} could not be written: {error.strerror}; it lacks rows"
