"""A report's files: what is saved, how it is read again, and whether a path can be written."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import OutputError
from ..machine.gpus import GpuFacts
from ..machine.machine import MachineFacts
from ..paths import as_path, read_head, read_text
from ..plan.result import Result, with_saved_names
from ..plan.saved_names import looks_like_path, own_name
from ..text import counted, error_text, quoted
from ..worker.case import MODES, Case, Outcome, Status
from ..worker.checked import checked
from .atomic_write import cannot_write, is_special, write_text
from .environment import EnvironmentKey, WorkerFacts
from .own_columns import NOTHING, Added

_FORMAT, _VERSION = "nbbench report", 2

_END = "\n]}\n"
"""What stands behind the last result."""

_ENTRIES = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Content:
    """All that a report keeps."""

    results: tuple[Result, ...]
    machine: MachineFacts
    workers: dict[EnvironmentKey, WorkerFacts]
    baseline: str | None = None
    added: Added = NOTHING


def as_values(content: Content) -> dict[str, Any]:
    """All of a report as JSON values, as it is saved."""
    values: dict[str, Any] = json.loads("".join(_lines(content)))
    return values


def write_content(file: str | Path, content: Content) -> Path:
    """Write a report as JSON, one result a line, at once or not at all."""
    return write_text(file, "".join(_lines(content)))


def as_saved(content: Content, *, keeps_relative: bool = False) -> Content:
    """What files have of a report: models that are named by a path go by their own names."""
    # an older file has no names for its paths
    named = with_saved_names(content.results, keeps_relative=keeps_relative)
    names = {result.case.model: result.case.saved_as for result in named if result.case.saved_as}
    results, baseline = tuple(result.as_saved() for result in named), content.baseline
    if baseline is not None and baseline not in names and looks_like_path(baseline):
        baseline = own_name(baseline)  # of a model that has no result yet
    columns = tuple(
        dataclasses.replace(
            column, values={names.get(name, name): value for name, value in column.values.items()}
        )
        for column in content.added.columns
    )
    return dataclasses.replace(
        content,
        results=results,
        baseline=None if baseline is None else names.get(baseline, baseline),
        added=dataclasses.replace(content.added, columns=columns),
    )


def _lines(content: Content) -> Iterator[str]:
    content = as_saved(content)
    head = {
        "format": _FORMAT,
        "version": _VERSION,
        "machine": dataclasses.asdict(content.machine),
        "baseline": content.baseline,
        "price_per_hour": content.added.price_per_hour,
        "columns": [dataclasses.asdict(column) for column in content.added.columns],
        "environments": [
            {
                "framework": framework,
                "environment": label,
                "values": dict(worker.values),
                "gpu": dataclasses.asdict(worker.gpu),
                "machine": None if worker.machine is None else dataclasses.asdict(worker.machine),
            }
            for (framework, label), worker in content.workers.items()
        ],
    }
    yield json.dumps(head)[:-1] + ', "results": ['
    for number, result in enumerate(content.results):
        yield ("," if number else "") + "\n" + result_line(result)
    yield _END


def result_line(result: Result) -> str:
    """A result as one line of JSON, without what is for the person at the keyboard alone."""
    return json.dumps(_fields(result.as_saved()), default=_fields)


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, uncopied: `dataclasses.asdict` would copy every sample."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


class GrowingFile:
    """A report's file while its run goes on: a row more costs the same however many there are.

    The whole is written anew only when an environment is new, or after a row that could not be
    written; what changes by the minute, such as a GPU's clocks, is as it was then. A crash amid a
    row costs that row. Of a case with several rows the last one counts.
    """

    def __init__(self, file: str | Path) -> None:
        self._file = as_path(file)
        self._lasting: tuple[Any, ...] = ()
        self._opened: BinaryIO | None = None

    def add(self, result: Result, head: Content, whole: Callable[[], Content]) -> None:
        """Add a result; ``head`` is what else is known, ``whole`` gives all of it."""
        if is_special(self._file):
            return  # a pipe or a terminal gets the whole, once
        if self._opened is None or _lasting(head) != self._lasting:
            self.write(whole())
            return
        try:
            self._opened.seek(-len(_END), 2)
            self._opened.write(f",\n{result_line(result)}{_END}".encode())
            self._opened.flush()
        except OSError as error:
            self.close()
            raise cannot_write(self._file, error) from None

    def write(self, content: Content) -> None:
        """Write all of it, at once; raises `OutputError`."""
        self.close()
        write_content(self._file, content)
        self._lasting = _lasting(content)
        if content.results and self._file.is_file():
            with suppress(OSError):  # a file for reading alone is written anew for each row
                self._opened = self._file.open("r+b")

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            with suppress(OSError):
                self._opened.close()
            self._opened = None


def _lasting(head: Content) -> tuple[Any, ...]:
    """What of a report's head stays from case to case, unlike a GPU's clocks or the time of day."""
    workers = {
        key: (dict(worker.values), worker.gpu.gpu, worker.machine is None)
        for key, worker in head.workers.items()
    }
    return head.machine, head.baseline, head.added, workers


def read_content(file: str | Path) -> Content:
    """What `write_content` wrote, in this version's form; raises `OutputError`."""
    path = as_path(file)
    name = quoted(str(path), 300)
    try:
        content, broken_off = _parse(read_text(path))
    except FileNotFoundError:
        raise OutputError(f"there is no report {name}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{name} cannot be read as a report: {reason}; give a file that save wrote"
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise OutputError(f"{name} is no nbbench report; give a file that save wrote")
    version = content.get("version")
    readers = {1: _read_version_1, 2: _read_version_2}
    if type(version) is not int or version < 1:
        raise OutputError(
            f"{name} is a damaged report ({quoted(version, 40)} is no version); give a file as "
            f"save wrote it"
        )
    read = readers.get(version)
    if read is None:
        raise OutputError(
            f"{name} is a report of version {quoted(version, 40)}, and this nbbench reads "
            f"versions 1 to {_VERSION}; upgrade nbbench, or give a file as save wrote it"
        )
    try:
        found = read(content)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = error_text(error)
        raise OutputError(
            f"{name} is a damaged report ({reason}); give a file as save wrote it"
        ) from None
    if broken_off:
        measured = counted(len(found.results), "case")
        warnings.warn(
            f"{name} breaks off, since its run did not end: {measured} had been measured by then",
            stacklevel=3,
        )
    return found


def begins_as_report(file: Path) -> bool:
    """Whether a file is a report, or was one before it was damaged; raises ``OSError``."""
    return file.name.endswith(".nbbench.json") or f'"{_FORMAT}"' in read_head(file)


def is_gathered(content: Content) -> bool:
    """Whether a report was gathered from others: its cases all name a device."""
    results = content.results
    return bool(results) and all(result.case.device_name for result in results)


def _parse(text: str) -> tuple[Any, bool]:
    """The JSON of a report; of one that a crash has torn, all lines that are whole, and True."""
    try:
        return json.loads(text), False
    except ValueError:
        head, *lines = text.split("\n")
        if not head.endswith('"results": ['):
            raise
    last = max((number for number, line in enumerate(lines) if line), default=0)
    rows = []
    for number, line in enumerate(lines[: last + 1]):
        try:
            rows.append(json.loads(line.removesuffix(",")))
        except ValueError:
            if number < last:  # a crash tears the last line alone
                raise
    return {**json.loads(f"{head}]}}"), "results": rows}, True


def _read_version_2(content: Mapping[str, Any]) -> Content:
    read = map(result_of, checked(_ENTRIES, content["results"], "results"))
    results = {_row_key(result): result for result in read}
    return Content(
        tuple(results.values()),
        checked(MachineFacts, content["machine"], "machine"),
        {
            (str(entry["framework"]), str(entry["environment"])): checked(
                WorkerFacts,
                {
                    "values": entry["values"],
                    "gpu": entry["gpu"],
                    "machine": entry.get("machine"),
                },
            )
            for entry in checked(_ENTRIES, content["environments"], "environments")
        },
        checked(str | None, content.get("baseline"), "baseline"),
        checked(
            Added,
            {
                "columns": content.get("columns", []),
                "price_per_hour": content.get("price_per_hour"),
            },
        ),
    )


def _row_key(result: Result) -> tuple[Case, str]:
    """What is one row: a case, and in gathered reports, whose cases name a device, each node's.

    A run's case may have begun on one node and ended on another; its last row counts.
    """
    return result.case, result.outcome.node if result.case.device_name else ""


def result_of(values: Mapping[str, Any]) -> Result:
    """A result from the JSON values that `result_line` wrote; raises ``ValueError`` for others."""
    case = checked(Case, values["case"], "case")
    _check_possible(case)
    return Result(case, checked(Outcome, values["outcome"], "outcome"))


_COUNTS = (
    "batch_size", "sequence_length", "new_tokens", "ranks", "threads", "rounds", "min_samples",
    "memory_limit",
)  # fmt: skip


def _check_possible(case: Case) -> None:
    """Raise ``ValueError`` for a case that no arguments make."""
    for name in _COUNTS:
        count = getattr(case, name)
        if count is not None and count < 1:
            raise ValueError(f"case.{name} is not at least 1 ({count})")
    if case.mode not in MODES:
        raise ValueError(f"case.mode is not one of {', '.join(MODES)} ({quoted(case.mode, 40)})")
    if not 0 <= case.padding < 1:
        raise ValueError(f"case.padding is no part below 1 ({case.padding:g})")
    for name in ("precision", "max_time"):
        if getattr(case, name) <= 0:
            raise ValueError(f"case.{name} is not above 0 ({getattr(case, name):g})")


def _read_version_1(content: Mapping[str, Any]) -> Content:
    """Version 1 kept configurations as text, and a worker's and its GPU's facts in one mapping."""
    results = [
        {
            "case": {**entry["case"], "config": json.loads(entry["case"]["config"])},
            "outcome": {
                **entry["outcome"],
                "timing": _timing_of_version_1(entry["outcome"]),
                "phase": entry["outcome"]["phase"] or None,
            },
        }
        for entry in content["results"]
    ]
    gpu_names = [item.name for item in dataclasses.fields(GpuFacts)]
    environments = []
    for entry in content["environments"]:
        values = dict(entry["facts"])
        gpu = {name: values.pop(name, None) for name in gpu_names}
        values["own_process"] = values.pop("use_multiprocessing", True)
        environments.append({**entry, "values": values, "gpu": gpu})
    return _read_version_2({**content, "results": results, "environments": environments})


def _timing_of_version_1(outcome: Mapping[str, Any]) -> dict[str, Any] | None:
    """Version 1 knew one visit, and estimated p90 and p99 where it now bounds them."""
    timing = outcome["timing"]
    if timing is None:
        return None
    values = dict(timing)
    visit = {name: values.pop(name) for name in ("samples", "calls_per_sample", "first_call_s")}
    calls_s = sum(visit["samples"]) * visit["calls_per_sample"]
    visits = [{**visit, "references": [], "calls_s": calls_s, "alone": True}]
    return {**values, "visits": visits, "within_s": values["std_s"]}


def has_measured(results: Sequence[Result]) -> bool:
    """Whether a case came to its end, rather than being cancelled or skipped."""
    ended = {Status.CANCELLED, Status.SKIPPED}
    return any(result.outcome.status not in ended for result in results)
