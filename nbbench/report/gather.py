"""Reports of many people as one: each file's results with their own machine and environment."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ArgumentError, OutputError
from ..machine.machine import MachineFacts
from ..paths import as_path
from ..plan.result import Result
from ..text import counted, one_line, quoted, shortened
from .environment import EnvironmentKey, WorkerFacts, environment_key
from .layout import short_labels
from .own_columns import Added, OwnColumn
from .report import Report
from .saved_json import Content, as_saved, begins_as_report, is_gathered, read_content

_MAX_NODE = 24
"""Letters of a file's name, which stands in every row of its results."""

_UNKNOWN = "unknown"
"""The name of a device of which a file says nothing."""

_LISTED = 5
"""Files that were passed over, and are named."""


def gather(*paths: str | Path | Iterable[str | Path]) -> Report:
    """One report of many saved ones: files, folders with those in them, and lists of both.

    Each file's results keep their environment and machine. They are known by ``node``, the file's
    name without its ending, and by ``device_name``, the processor or GPU that they ran on: compare
    machines by ``report.compare(by="device_name")``. In a folder, reports that were gathered
    themselves are passed over. The same case of several files has a row for
    each; a file that is a copy of another one counts once. A file that is damaged is named in a
    warning, and so are those of a folder that are no reports; the others stay. Raises
    `ArgumentError` and `OutputError` where there is none.
    """
    return gather_files(list(_each_path(paths)), ())


def gather_files(paths: Sequence[str | Path], outputs: Iterable[str | Path]) -> Report:
    """`gather`, before ``outputs`` are written: nothing that is gathered is lost by that.

    Raises `ArgumentError` for an output that is itself to be gathered; one that lies in a folder
    that is given, and is a gathered report, is passed over instead.
    """
    if not paths:
        raise ArgumentError("nothing was given to gather; give files that save wrote, or folders")
    written = {os.path.realpath(as_path(path)) for path in outputs}
    contents: dict[Path, Content] = {}
    passed: list[Path] = []
    for path, is_listed in _files(paths):
        if os.path.realpath(path) in written:
            _check_no_loss(path, is_listed=is_listed)
            continue
        try:
            content = None if is_listed and not _is_report(path) else read_content(path)
            if content is None or (is_listed and is_gathered(content)):
                passed.append(path)
            else:
                contents[path] = as_saved(content)  # an older one may have paths
        except OutputError as error:  # read_content's, which has the file's name
            warnings.warn(f"{error}; it is not gathered", stacklevel=3)
        except OSError as error:
            name = quoted(str(path), 300)
            warnings.warn(
                f"{name} cannot be read: {error.strerror}; it is not gathered", stacklevel=3
            )
    if passed:
        warnings.warn(_passed_over(passed), stacklevel=3)
    for copy, original in _copies(contents):
        del contents[copy]
        copied = f"{quoted(str(copy), 300)} is a copy of {quoted(str(original), 300)}"
        warnings.warn(f"{copied}, and they count once", stacklevel=3)
    if not contents:
        named = ", ".join(quoted(str(path)) for path in paths[:_LISTED])
        raise OutputError(f"there is no report in {named}; give files that save wrote")
    return Report.of(_merged(dict(zip(_node_names(contents), contents.values(), strict=True))))


def _each_path(paths: Iterable[Any]) -> Iterator[Any]:
    """The paths, those in lists included."""
    for path in paths:
        is_one = isinstance(path, str | bytes | os.PathLike) or not isinstance(path, Iterable)
        yield from [path] if is_one else path


def _check_no_loss(file: Path, *, is_listed: bool) -> None:
    """Raise `ArgumentError` for a file that is to be gathered, and would be written over."""
    if is_listed and not _is_report(file):
        return
    with suppress(OutputError):  # a damaged one may still be of worth to somebody
        if is_listed and is_gathered(read_content(file)):
            return
    raise ArgumentError(
        f"{quoted(str(file), 300)} is to be gathered, and would be written over; give another path "
        f"to write to"
    )


def _copies(contents: Mapping[Path, Content]) -> list[tuple[Path, Path]]:
    """The files that say the same as another one, each with the first of them."""
    originals: dict[tuple[float, ...], list[Path]] = defaultdict(list)
    copies = []
    for file, content in contents.items():
        times = tuple(result.outcome.wall_s for result in content.results)
        original = next((each for each in originals[times] if contents[each] == content), None)
        if original is None:
            originals[times].append(file)
        else:
            copies.append((file, original))
    return copies


def _files(paths: Sequence[str | Path]) -> Iterator[tuple[Path, bool]]:
    """Each file once, in an order that is the same anywhere, and whether a folder listed it."""
    seen: set[str] = set()
    for given in paths:
        path = as_path(given)
        problem = _problem_of(path)
        if problem:
            raise OutputError(f"{problem}; give files that save wrote, or folders")
        for file in _in_folder(path) if path.is_dir() else [path]:
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file, path.is_dir()


def _problem_of(path: Path) -> str:
    """Why there is nothing to be had: nothing is there, or cannot be looked at; empty if it can."""
    name = quoted(str(path), 300)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_symlink():
            return f"there is no file or folder {name}"
        return f"{name} is a link to {quoted(str(path.readlink()), 300)}, which is not there"
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    return ""


def _in_folder(folder: Path) -> Iterator[Path]:
    """What lies in a folder and those below it, but for hidden files, and links that lead nowhere.

    Links to folders are not followed: they may lead round in a circle.
    """
    for parent, folders, files in os.walk(folder, onerror=_warn_of_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in (Path(parent, name) for name in folders):
            if os.path.islink(link):  # which raises nothing
                name = quoted(str(link), 300)
                warnings.warn(f"{name} is a link to a folder; give that folder, too", stacklevel=5)
        for name in sorted(files):
            path = Path(parent, name)
            problem = "" if name.startswith(".") else _problem_of(path)
            if problem:
                warnings.warn(f"{problem}; it is not gathered", stacklevel=5)
            elif not name.startswith("."):
                yield path


def _warn_of_folder(error: OSError) -> None:
    name = quoted(str(error.filename), 300)
    warnings.warn(f"{name} cannot be read: {error.strerror}; it is not gathered", stacklevel=5)


def _is_report(file: Path) -> bool:
    """Whether it is a report, or was one before it was damaged; a pipe is none."""
    return file.is_file() and begins_as_report(file)


def _passed_over(files: Sequence[Path]) -> str:
    names = ", ".join(one_line(file.name) for file in files[:_LISTED])
    more = f" and {len(files) - _LISTED:,} more" if len(files) > _LISTED else ""
    return f"passed over {counted(len(files), 'file')} without a report of their own: {names}{more}"


def _node_names(files: Iterable[Path]) -> list[str]:
    """A name for each file: of its own, short, and without the folder that it lies in."""
    count: Counter[str] = Counter()
    names: list[str] = []
    for file in files:
        stem = one_line(file.name.removesuffix(".json").removesuffix(".nbbench")) or "report"
        count[stem] += 1
        names.append(stem if count[stem] == 1 else f"{stem} ({count[stem]})")
        while names[-1] in names[:-1]:
            count[stem] += 1
            names[-1] = f"{stem} ({count[stem]})"
    short = short_labels(names, _MAX_NODE)
    return [short[name] for name in names]


def _merged(contents: dict[str, Content]) -> Content:
    """All results, each with its file's machine."""
    results: list[Result] = []
    workers: dict[EnvironmentKey, WorkerFacts] = {}
    for name, content in contents.items():
        for result in content.results:
            former = result.outcome.node
            worker = content.workers.get(environment_key(result.case, former), WorkerFacts())
            worker = dataclasses.replace(worker, machine=worker.machine or content.machine)
            moved = _named(result, f"{name}: {former}" if former else name, worker)
            workers[environment_key(moved.case, moved.outcome.node)] = worker
            results.append(moved)
    baselines = {content.baseline for content in contents.values()}
    return Content(
        tuple(results),
        MachineFacts(nbbench_version=__version__),
        workers,
        baselines.pop() if len(baselines) == 1 else None,
        _agreed({name: content.added for name, content in contents.items()}),
    )


def _named(result: Result, node: str, worker: WorkerFacts) -> Result:
    """The result with its node, and with the device's name, which older files do not have.

    The case always has one: by it a saved report is known to be gathered.
    """
    case, outcome = result.case, result.outcome
    device = outcome.device_name or case.device_name or _device_name(result, worker) or _UNKNOWN
    return Result(
        dataclasses.replace(case, device_name=device),
        dataclasses.replace(outcome, device_name=device if outcome.device else "", node=node),
    )


def _device_name(result: Result, worker: WorkerFacts) -> str:
    """The processor or the GPU, by what is known of the machine; empty where that is nothing."""
    device = result.outcome.device or result.case.device
    processor = "" if worker.machine is None else worker.machine.cpu
    name = processor if device == "cpu" else worker.gpu.gpu or (device == "auto" and processor)
    return name or ""


def _agreed(added: dict[str, Added]) -> Added:
    """Columns of the users' own on which no two files disagree, and the price if it is one."""
    columns: dict[str, OwnColumn] = {}
    refused: dict[str, None] = {}
    for each in added.values():
        for column in each.columns:
            joined = _joined(columns.setdefault(column.name, column), column)
            if joined is None:
                refused[column.name] = None
            else:
                columns[column.name] = joined
    prices = {each.price_per_hour for each in added.values()}
    if refused:
        names = shortened(", ".join(map(quoted, refused)), 300)
        warnings.warn(f"files disagree on the column {names}: left out", stacklevel=5)
    if len(prices) > 1:
        warnings.warn("files differ in the price of an hour: left out", stacklevel=5)
    kept = tuple(column for name, column in columns.items() if name not in refused)
    return Added(kept, prices.pop() if len(prices) == 1 else None)


def _joined(one: OwnColumn, other: OwnColumn) -> OwnColumn | None:
    """The values of both; None where a model has two of them, or one kind is not the other's."""
    values: dict[str, Any] = {**other.values, **one.values}
    agree = (
        one.higher_is_better == other.higher_is_better
        and len({type(value) for value in values.values()}) <= 1
        and all(values[model] == value for model, value in other.values.items())
    )
    return dataclasses.replace(one, values=values) if agree else None
