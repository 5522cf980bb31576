"""``nbbench run``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from ..api import run_arguments
from ..arguments.flags import benchmark_parser
from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..hf.tables import original_tables
from ..plan.cases import Result, Status
from ..report.dataframes import memory_frame, speed_frame
from ..report.report import Report, check_writable, keep

_ABOUT = "Measure speed and memory of models: a forward pass or a training step, on random weights."


def command(words: list[str]) -> int:
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
    if "-h" in words or "--help" in words:
        parser.print_help()
        return 0
    values = parser.read(words)
    save, csv, log = (values.pop(name, None) for name in ("save", "csv", "log"))
    tables = values.pop("tables", False)
    for file in (save, log):
        if file is not None:
            check_writable(file, folder=False)
    if csv is not None:
        check_writable(csv, folder=True)  # last, since it makes the folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what it tells of is tried again below
        report = run_arguments(
            BenchmarkArguments(**values),
            on_result=None if csv is None else _CsvRows(csv).add,
            save=save,
        )
    text = original_tables(report) if tables else f"{report}\n"
    outputs: list[Callable[[], object]] = []
    if save is not None:
        outputs.append(lambda: keep(report, save))
    if csv is not None:
        outputs.append(lambda: report.to_csv(csv))
    if log is not None:
        outputs.append(lambda: _append(log, text))
    outputs.append(lambda: print(text, end="", flush=True))
    failed = _each_in_turn(outputs)
    if failed:
        raise failed[0]
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
        """Write a result's row to each."""
        for name, frame in (("speed", speed_frame([result])), ("memory", memory_frame([result]))):
            with (self._folder / f"{name}.csv").open(
                "a" if self._begun else "w", newline=""
            ) as file:
                frame.to_csv(file, header=not self._begun, index=False)
        self._begun = True
