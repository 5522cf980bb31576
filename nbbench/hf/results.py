"""The original's nested results, from a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..arguments.schema import BenchmarkArguments
from ..plan.result import Result
from ..report.report import Report
from ..worker.case import Case
from .line_memory import Memory, MemorySummary, memory_summary


class BenchmarkOutput(NamedTuple):
    """What ``run`` returns: by model, batch size and sequence length, seconds, `Memory` or "N/A".

    Each result is ``{model: {"bs": […], "ss": […], "result": {batch size: {length: value}}}}``.
    The summaries are those of the last case that was traced line by line, as in the original, or
    None; all of them are in the benchmark's ``report.lines``.
    """

    time_inference_result: dict[str, Any]
    memory_inference_result: dict[str, Any]
    time_train_result: dict[str, Any]
    memory_train_result: dict[str, Any]
    inference_summary: MemorySummary | None = None
    train_summary: MemorySummary | None = None


class Kind(NamedTuple):
    """One of the four results: a mode, what was asked of it, and what stands for a case.

    ``result`` is its field of `BenchmarkOutput`, ``csv_file`` the argument that names its file.
    """

    mode: str
    asked: str
    value: Callable[[Result], Any]
    result: str
    csv_file: str


def _seconds(result: Result) -> float | str:
    timing = result.outcome.timing
    return "N/A" if timing is None else timing.median_s


def _peak(result: Result) -> Memory | str:
    memory = result.outcome.memory
    return "N/A" if memory is None or memory.peak is None else Memory(memory.peak)


KINDS = (
    Kind("inference", "speed", _seconds, "time_inference_result", "inference_time_csv_file"),
    Kind("inference", "memory", _peak, "memory_inference_result", "inference_memory_csv_file"),
    Kind("training", "speed", _seconds, "time_train_result", "train_time_csv_file"),
    Kind("training", "memory", _peak, "memory_train_result", "train_memory_csv_file"),
)


def output_of(report: Report, args: BenchmarkArguments) -> BenchmarkOutput:
    """A report in the original's shape."""
    speed, memory, train_speed, train_memory = (_nested(report, args, kind) for kind in KINDS)
    return BenchmarkOutput(
        speed,
        memory,
        train_speed,
        train_memory,
        _last_summary(report, "inference"),
        _last_summary(report, "training"),
    )


def lengths_of(case: Case, asked: list[int]) -> list[int]:
    """The lengths that a case stands for: all, where the model takes none."""
    return asked if case.sequence_length is None else [case.sequence_length]


def rows_of(result: Mapping[str, Any]) -> Iterator[tuple[str, int, int, Any]]:
    """Model, batch size, length and value of one of the nested results, row by row."""
    for model, table in result.items():
        for batch_size in table["bs"]:
            for length in table["ss"]:
                if length in table["result"].get(batch_size, {}):
                    yield model, batch_size, length, table["result"][batch_size][length]


def _nested(report: Report, args: BenchmarkArguments, kind: Kind) -> dict[str, Any]:
    nested = {}
    for model in args.model_names():
        table: dict[int, dict[int, Any]] = {size: {} for size in args.batch_sizes}
        nested[model] = {
            "bs": list(args.batch_sizes),
            "ss": list(args.sequence_lengths),
            "result": table,
        }
        for result in report.results:
            case = result.case
            if (case.model, case.mode) == (model, kind.mode) and getattr(case, kind.asked):
                for length in lengths_of(case, args.sequence_lengths):
                    table[case.batch_size][length] = kind.value(result)
    return nested


def _last_summary(report: Report, mode: str) -> MemorySummary | None:
    traces = [r.outcome.lines for r in report.results if r.case.mode == mode and r.outcome.lines]
    return memory_summary(traces[-1]) if traces else None
