"""``nbbench run``."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..api import start, watched
from ..arguments.defaults import arguments_of, naming_sources, sentence_of, with_defaults
from ..arguments.flags import benchmark_parser
from ..errors import ArgumentError, OutputError
from ..hf.tables import former_tables
from ..paths import as_path
from ..plan.result import Result
from ..report.atomic_write import check_apart, check_writable
from ..report.budget import add_flags, check_against, take_budget
from ..report.dataframes import memory_row, speed_row
from ..report.growing_csv import GrowingCsv
from ..report.overwriting import check_over_report, check_over_tables
from ..report.report import FRAMES, Report
from ..report.saved_json import has_measured
from ..text import quoted
from ..worker.case import Status

_ABOUT = """\
Measure speed and memory of models with random weights: a pass, a step, or generation.

Exit code 0: every case is ok; 1: one failed, or was skipped; 2: bad usage; 130: interrupted."""


_EPILOG = """\
Defaults of your own: NBBENCH_DEFAULTS in the environment, and [tool.nbbench] in pyproject.toml."""


def command(argv: list[str]) -> int:
    """Measure, print, and keep what is to be kept."""
    parser = benchmark_parser("nbbench run", _ABOUT, _EPILOG)
    parser.add_argument("--save", metavar="FILE", help="write the whole report here, as JSON")
    parser.add_argument("--csv", metavar="FOLDER", help="write the tables here, as CSV")
    for flag, (help_text, _) in _FORMS.items():
        parser.add_argument(f"--{flag}", action="store_true", default=None, help=help_text)
    add_flags(parser)
    parser.add_argument("--log", metavar="FILE", help="append what is printed to this file")
    if "-h" in argv or "--help" in argv:
        parser.print_help()
        return 0
    values = parser.read(argv)
    save, csv, log = (values.pop(name, None) for name in ("save", "csv", "log"))
    write, budget = _form(values), take_budget(values)
    values, used = with_defaults(values)
    if used:
        print(sentence_of(used), file=sys.stderr)
    _check_apart(save, csv, log)
    for file in (save, log):
        if file is not None:
            check_writable(file, folder=False)
    if save is not None:
        check_over_report("--save", save)
    if csv is not None:
        check_writable(csv, folder=True)  # last, since it makes the folder
        check_over_tables("--csv", csv)
    with naming_sources(used):
        arguments = arguments_of(values, used)
        check_against(budget, arguments)
        rows = None if csv is None else _CsvRows(csv, arguments.price_per_hour)
        job = start(arguments, on_result=None if rows is None else rows.add, save=save)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the problem is an error below
        report = watched(job).with_best(budget)
    text = write(report)
    outputs: list[Callable[[], object]] = []
    if rows is not None:
        outputs.append(lambda: rows.finish(report))
    if log is not None:
        outputs.append(lambda: _append(log, text))
    outputs.append(lambda: print(text, end="", flush=True))
    failed: list[OSError] = [OutputError(job.problem)] if job.problem else []
    failed += _each_in_turn(outputs)
    for error in failed[:-1]:
        print(f"nbbench: error: {error}", file=sys.stderr)
    if failed:
        raise failed[-1]
    return exit_code(report, job.was_cancelled)


_FORMS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "tables": (
        "print the tables that Transformers' former benchmark printed",
        lambda report: former_tables(report.results, report.facts),
    ),
    "json": (
        "print the whole report as JSON, as --save writes it",
        lambda report: json.dumps(report.to_dict()) + "\n",
    ),
    "markdown": (
        "print the table as Markdown",
        lambda report: report.to_markdown() + "\n",
    ),
}
"""What is printed instead of the table for a terminal, each with its flag's help."""


def _form(values: dict[str, Any]) -> Callable[[Report], str]:
    """What writes the report in the form that the flags name; they are taken from the values."""
    named = [flag for flag in _FORMS if values.pop(flag, False)]
    if len(named) > 1:
        flags = " and ".join(f"--{flag}" for flag in named)
        raise ArgumentError(f"{flags} are forms of one table; keep one")
    return _FORMS[named[0]][1] if named else lambda report: f"{report}\n"


def _check_apart(save: str | None, csv: str | None, log: str | None) -> None:
    tables = [] if csv is None else [csv, *(str(Path(csv, f"{name}.csv")) for name in FRAMES)]
    named = [("--save", save), ("--log", log), *(("--csv", file) for file in tables)]
    check_apart((flag, file) for flag, file in named if file is not None)


def _each_in_turn(outputs: list[Callable[[], object]]) -> list[OSError]:
    """Do all, so that one that fails costs no other; what has failed."""
    failed = []
    for output in outputs:
        try:
            output()
        except OSError as error:
            failed.append(error)
    return failed


def _append(file: str, text: str) -> None:
    try:
        with as_path(file).open("a", encoding="utf-8") as log:
            log.write(text)
    except OSError as error:
        raise OutputError(f"{quoted(file)} cannot be written: {error.strerror}") from None


def exit_code(report: Report, was_cancelled: bool = False) -> int:
    """130 if the run was interrupted, 1 if a case failed or was skipped for one, else 0."""
    outcomes = [result.outcome for result in report.results]
    if was_cancelled or any(outcome.was_cancelled for outcome in outcomes):
        return 130
    return 0 if {outcome.status for outcome in outcomes} == {Status.OK} else 1


class _CsvRows:
    """speed.csv and memory.csv, a row at a time, so that a crash loses none."""

    def __init__(self, folder: str, price_per_hour: float | None) -> None:
        self._folder, self._price = as_path(folder), price_per_hour
        self._files: list[GrowingCsv] = []

    def add(self, result: Result) -> None:
        """Write a result's row to each, if it can be; nothing until something was measured."""
        if not self._files and not has_measured([result]):
            return
        result = result.as_saved()
        rows = {"speed": speed_row(result, None, self._price), "memory": memory_row(result)}
        if not self._files:
            self._files = [
                GrowingCsv(self._folder / f"{name}.csv", tuple(row)) for name, row in rows.items()
            ]
        for file, row in zip(self._files, rows.values(), strict=True):
            with suppress(OSError):  # the next row brings this one, and the end all of them
                self._folder.mkdir(parents=True, exist_ok=True)
                file.add(["" if value is None else value for value in row.values()])

    def finish(self, report: Report) -> None:
        """Write all tables, in the cases' order; none over earlier ones if nothing was measured."""
        for file in self._files:
            file.close()
        if has_measured(report.results) or not (self._folder / "speed.csv").exists():
            report.to_csv(self._folder)
