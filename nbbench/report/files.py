"""A report's files: what is saved, how it is read again, and whether a path can be written."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from ..machine.gpus import GpuFacts
from ..machine.machine import MachineFacts
from ..plan.cases import Case, Outcome, Result, Status
from ..worker.checked import checked
from .environment import EnvironmentKey, WorkerFacts

if TYPE_CHECKING:
    import pandas as pd

_FORMAT, _VERSION = "nbbench report", 2

_ENTRIES = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Content:
    """All that a report keeps."""

    results: tuple[Result, ...]
    machine: MachineFacts
    workers: dict[EnvironmentKey, WorkerFacts]
    baseline: str | None = None


def as_values(content: Content) -> dict[str, Any]:
    """All of a report as JSON values, as it is saved."""
    values: dict[str, Any] = json.loads("".join(_lines(content)))
    return values


def write_content(file: str | Path, content: Content) -> Path:
    """Write a report as JSON, one result a line, at once or not at all."""
    return write_text(file, "".join(_lines(content)))


def _lines(content: Content) -> Iterator[str]:
    head = {
        "format": _FORMAT,
        "version": _VERSION,
        "machine": dataclasses.asdict(content.machine),
        "baseline": content.baseline,
        "environments": [
            {
                "framework": framework,
                "environment": label,
                "values": dict(worker.values),
                "gpu": dataclasses.asdict(worker.gpu),
            }
            for (framework, label), worker in content.workers.items()
        ],
    }
    yield json.dumps(head)[:-1] + ', "results": ['
    for number, result in enumerate(content.results):
        row = {
            "case": dataclasses.asdict(result.case),
            "outcome": {**dataclasses.asdict(result.outcome), "detail": ""},
        }
        yield ("," if number else "") + "\n" + json.dumps(row)
    yield "\n]}\n"


def read_content(file: str | Path) -> Content:
    """What `write_content` wrote, in this version's form; raises `OutputError`."""
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OutputError(f"there is no report {str(file)!r}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{str(file)!r} cannot be read as a report: {error}") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise OutputError(f"{str(file)!r} is no nbbench report; give a file that save wrote")
    readers = {1: _read_version_1, 2: _read_version_2}
    read = readers.get(content.get("version", 0))
    if read is None:
        raise OutputError(
            f"{str(file)!r} is a report of version {content.get('version')!r}, and this nbbench "
            f"reads versions up to {_VERSION}; upgrade nbbench"
        )
    try:
        return read(content)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"{str(file)!r} is a damaged report ({type(error).__name__}: {error}); give a file as "
            f"save wrote it"
        ) from None


def _read_version_2(content: Mapping[str, Any]) -> Content:
    return Content(
        tuple(
            Result(checked(Case, entry["case"], "case"), checked(Outcome, entry["outcome"]))
            for entry in checked(_ENTRIES, content["results"], "results")
        ),
        checked(MachineFacts, content["machine"], "machine"),
        {
            (str(entry["framework"]), str(entry["environment"])): checked(
                WorkerFacts, {"values": entry["values"], "gpu": entry["gpu"]}
            )
            for entry in checked(
                tuple[dict[str, Any], ...], content["environments"], "environments"
            )
        },
        checked(str | None, content.get("baseline"), "baseline"),
    )


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


def keep_content(file: str | Path, content: Content) -> None:
    """Save a report, but never over a file if nothing was measured before it was cancelled."""
    ended = {Status.CANCELLED, Status.SKIPPED}
    if any(r.outcome.status not in ended for r in content.results) or not Path(file).exists():
        write_content(file, content)


def write_text(file: str | Path, text: str) -> Path:
    """Write a file at once, so that no crash leaves half of one; raises `OutputError`."""
    file = Path(file)
    try:
        if file.exists() and not file.is_file():  # a device, a pipe
            file.write_text(text, encoding="utf-8")
        else:
            part = file.with_name(file.name + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(file)
    except OSError as error:
        raise _cannot_write(file, error) from None
    return file


def write_csv(folder: str | Path, frames: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write frames into a folder as CSV, each under its name; raises `OutputError`."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, frame in frames.items():
            paths.append(folder / f"{name}.csv")
            frame.to_csv(paths[-1], index=name == "environment")
    except OSError as error:
        raise _cannot_write(folder, error) from None
    return paths


def check_writable(path: str | Path, *, folder: bool) -> None:
    """Raise `OutputError` now if a report cannot be written there later.

    A folder is made; a file that does not exist is made for a moment and removed.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path) or "\0" in str(path):
        raise OutputError(f"{path!r} cannot be written to; give the path of a file or a folder")
    path = Path(path)
    try:
        if folder:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".nbbench-probe"
            probe.touch()
            probe.unlink()
        elif path.exists():
            with path.open("ab"):
                pass
        else:
            path.touch()
            path.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{str(path)!r} cannot be written: {error.strerror}; give another path")
