"""``nbbench run``."""

from __future__ import annotations

import csv as csv_module
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from ..api import start, watched
from ..arguments.defaults import sentence_of, with_defaults
from ..arguments.flags import benchmark_parser
from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..hf.tables import former_tables
from ..plan.cases import Result, Status
from ..report.atomic_write import check_writable
from ..report.dataframes import harmless, memory_row, speed_row
from ..report.report import Report
from ..report.saved_json import has_measured

_ABOUT = "Measure speed and memory of models: a forward pass or a training step, on random weights."


def command(argv: list[str]) -> int:
    """Measure, print, and keep what is to be kept."""
    parser = benchmark_parser("nbbench run", _ABOUT)
    parser.add_argument("--save", metavar="FILE", help="write the whole report here, as JSON")
    parser.add_argument("--csv", metavar="FOLDER", help="write the three tables here, as CSV")
    parser.add_argument(
        "--tables",
        action="store_true",
        default=None,
        help="print the tables that Transformers' former benchmark printed",
    )
    parser.add_argument("--log", metavar="FILE", help="append what is printed to this file")
    if "-h" in argv or "--help" in argv:
        parser.print_help()
        return 0
    values = parser.read(argv)
    save, csv, log = (values.pop(name, None) for name in ("save", "csv", "log"))
    tables = values.pop("tables", False)
    for file in (save, log):
        if file is not None:
            check_writable(file, folder=False)
    if csv is not None:
        check_writable(csv, folder=True)  # last, since it makes the folder
    rows = None if csv is None else _CsvRows(csv)
    values, used = with_defaults(values)
    if used:
        print(sentence_of(used), file=sys.stderr)
    arguments = BenchmarkArguments(**values)
    job = start(arguments, on_result=None if rows is None else rows.add, save=save)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the problem is an error below
        report = watched(job)
    text = former_tables(report.results, report.facts) if tables else f"{report}\n"
    outputs: list[Callable[[], object]] = []
    if rows is not None:
        outputs.append(lambda: rows.finish(report))
    if log is not None:
        outputs.append(lambda: _append(log, text))
    outputs.append(lambda: print(text, end="", flush=True))
    failed = _each_in_turn(outputs)
    if failed:
        raise failed[0]
    if job.problem and not job.problem.startswith("on_result"):  # which wrote rows: done above
        raise OutputError(job.problem)
    return exit_code(report)


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
        with open(file, "a", encoding="utf-8") as log:
            log.write(text)
    except OSError as error:
        raise OutputError(f"{file!r} cannot be written: {error.strerror}") from None


def exit_code(report: Report) -> int:
    """130 if the run was interrupted, 1 if a case failed, else 0."""
    statuses = {result.outcome.status for result in report.results}
    if statuses & {Status.CANCELLED, Status.SKIPPED}:
        return 130
    return 0 if statuses == {Status.OK} else 1


class _CsvRows:
    """speed.csv and memory.csv, a row at a time, so that a crash loses none."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._begun = False

    def add(self, result: Result) -> None:
        """Write a result's row to each; nothing until something was measured."""
        if not self._begun and not has_measured([result]):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, row in (("speed", speed_row(result)), ("memory", memory_row(result))):
            mode = "a" if self._begun else "w"
            with (self._folder / f"{name}.csv").open(mode, newline="", encoding="utf-8") as file:
                writer = csv_module.writer(file, lineterminator="\n")
                if not self._begun:
                    writer.writerow(row)
                writer.writerow(["" if v is None else harmless(v) for v in row.values()])
        self._begun = True

    def finish(self, report: Report) -> None:
        """Write all tables, in the cases' order; none over earlier ones if nothing was measured."""
        if has_measured(report.results) or not (self._folder / "speed.csv").exists():
            report.to_csv(self._folder)
