"""Moves cases between histories."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import OutputError
from ..machine.machine import MachineFacts
from ..plan.saved_names import has_folders, is_path_of, saved_names, without_folders
from ..report.atomic_write import is_special, write_by
from ..report.environment import WorkerFacts
from ..report.saved_json import result_line, result_of
from ..text import counted, error_text, one_line, quoted
from ..worker.checked import checked
from .columns import KINDS, UNSHOWN, values_of
from .connection import PARTS
from .database import use_history
from .kept_case import LAST_MOMENT, WHEN, chunks, read_case, warn_of_unreadable
from .store import insert_environment, insert_run, read_result
from .tables import transaction

_FORMAT, _VERSION = "nbbench history", 1

_BATCH = 200
"""Cases that are added in one transaction: others wait for a moment, and not for all."""

_MAX_SHOWN = 10
"""Bad lines that are named one by one."""

_UNREADABLE = (
    EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip

_Moment = Annotated[float, Field(ge=0, lt=LAST_MOMENT, allow_inf_nan=False)]


class _Head(BaseModel):
    """The first line of an exported file."""

    format: Literal["nbbench history"]
    version: int


class _Entry(BaseModel):
    """A line of an exported file: a case, of whose own facts more is asked later."""

    model_config = ConfigDict(strict=True, extra="forbid")

    run: str = Field(min_length=1, max_length=1000)
    begun: _Moment
    machine: dict[str, Any]
    machine_hash: str = Field(max_length=1000)
    environment: dict[str, Any] | None
    ended: _Moment
    result: dict[str, Any]
    key: str | None = Field(None, min_length=1, max_length=1000)
    """`Case.key` as it was when it ran, with the texts that are not kept; older files have none."""
    planned: str | None = Field(None, max_length=1000)
    position: int | None = Field(None, ge=0, lt=2**62)
    extras: str | None = Field(None, max_length=1000)
    alike: str | None = Field(None, max_length=1000)

    @property
    def unshown(self) -> tuple[Any, ...]:
        """The values of the columns that are part of no frame."""
        return tuple(getattr(self, name) for name in UNSHOWN)


@dataclass(frozen=True)
class _Case:
    """A case that can be added: what is checked of a line, as the database has it."""

    run: str
    begun: float
    machine: str
    machine_hash: str
    worker: WorkerFacts | None
    values: tuple[Any, ...]


EXPORTED = (
    f"cases.id, {WHEN}, runs.uuid, begun, machine, machine_hash, environments.content, ended,"
    f" cases.content, cases.key, {', '.join(UNSHOWN)}"
)
"""The columns of a case, its number first, that `entry_of` makes a line of."""


def export_history(database: Path, file: Path) -> int:
    """Write all cases to a file, JSON a line (compressed where it ends in .gz); how many.

    What cannot be read is passed over with a warning. An export that exists is replaced, and
    another file is not: it raises `OutputError`.
    """
    _check_target(database, file)
    written, damaged = 0, 0

    def act(connection: sqlite3.Connection) -> None:
        write_by(file, lambda path: write(connection, path))

    def write(connection: sqlite3.Connection, path: Path) -> None:
        nonlocal written, damaged
        written, damaged = 0, 0  # it may be the second time
        names = _names_of_paths(connection)
        with closing(_opened_to_write(path, file.suffix == ".gz")) as lines:
            lines.write(_line({"format": _FORMAT, "version": _VERSION}))
            for row in chunks(connection, EXPORTED):
                try:
                    entry = entry_of(*row[1:])
                    entry["result"] = _without_paths(entry["result"], names.get(entry["run"], {}))
                    lines.write(_line(entry))
                    written += 1
                except ValueError:
                    damaged += 1

    use_history(database, act, is_reading=True)
    warn_of_unreadable(damaged)
    return written


def _names_of_paths(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """What files call the models that older versions kept by a path, by run; and some more."""
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    runs: dict[str, list[str]] = {}
    statement = "SELECT DISTINCT uuid, model FROM cases JOIN runs ON runs.id = cases.run"
    for run, model in connection.execute(statement):
        if isinstance(model, str):
            runs.setdefault(run, []).append(model)
    return {
        run: saved_names([(model, has_folders(model)) for model in models], at_hand=False)
        for run, models in runs.items()
        if any(map(has_folders, models))
    }


def _without_paths(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A result's values as one of today has them: no path is in it, and no code."""
    case = values["case"]
    is_path = is_path_of(case["model"], case["config_source"])
    name, config = names.get(case["model"]) if is_path else None, without_folders(case["config"])
    if name is None and config == case["config"] and not values["outcome"]["reason"]:
        return values
    result = result_of({**values, "case": {**case, "config": config, "saved_as": name or ""}})
    found: dict[str, Any] = json.loads(result_line(result))
    return found


def entry_of(
    is_timely: int,
    run: str,
    begun: float,
    machine: str,
    hashed: str,
    environment: str | None,
    ended: float,
    content: bytes,
    key: str,
    *unshown: Any,
) -> dict[str, Any]:
    """The values of a case's line; raises ``ValueError`` for one that is damaged."""
    if not is_timely:
        raise ValueError("it has ended at no time")
    read_case(machine, environment, content)
    entry = {
        "run": run, "begun": begun, "machine": json.loads(machine), "machine_hash": hashed,
        "environment": None if environment is None else json.loads(environment),
        "ended": ended, "result": json.loads(zlib.decompress(content)), "key": key,
        **dict(zip(UNSHOWN, unshown, strict=True)),
    }  # fmt: skip
    _Entry.model_validate(entry)
    return entry


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def import_history(database: Path, file: Path) -> int:
    """Add the cases of an exported file that are not known yet; how many.

    Lines that are damaged are named in warnings, and the others added. Raises `OutputError` for a
    file that is no export, or of which nothing can be read; imported again, it adds what is
    missing.
    """
    use_history(database, lambda connection: None)  # before anything of the file is read
    added = good = 0
    bad: list[str] = []
    try:
        with _opened_to_read(file) as lines:
            _check_head(lines)
            cases = _cases(lines, bad)
            while batch := list(islice(cases, _BATCH)):
                good += len(batch)
                added += _add_all(database, batch, bad)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{quoted(str(file))} cannot be read: {reason}") from None
    except _UNREADABLE as error:
        raise _no_export(file, error_text(error)) from None
    if bad and not good:
        raise _no_export(file, bad[0])
    for text in bad[:_MAX_SHOWN]:
        warnings.warn(f"{quoted(str(file))}, {text}; it is passed over", stacklevel=2)
    if len(bad) > _MAX_SHOWN:
        more = counted(len(bad) - _MAX_SHOWN, "more line")
        warnings.warn(f"{quoted(str(file))}: {more} passed over", stacklevel=2)
    return added


def _add_all(database: Path, batch: list[tuple[int, _Case]], bad: list[str]) -> int:
    """Add cases in one transaction; how many were new. Names what cannot be added."""

    def act(connection: sqlite3.Connection) -> tuple[int, list[str]]:
        added, wrong = 0, []
        with transaction(connection):
            for number, case in batch:
                try:
                    added += _add(connection, case)
                except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError) as error:
                    wrong.append(f"line {number}: {error}")
        return added, wrong

    added, wrong = use_history(database, act)
    bad += wrong
    return added


def _add(connection: sqlite3.Connection, case: _Case) -> int:
    """Add a case, unless it is known; how many were added."""
    run = insert_run(connection, case.run, case.begun, case.machine, case.machine_hash)
    environment = None if case.worker is None else insert_environment(connection, case.worker)
    return connection.execute(_INSERT, (run, environment, *case.values)).rowcount


_INSERT = (
    f"INSERT INTO cases (run, environment_id, ended, key, {', '.join(KINDS)}, content)"
    f" VALUES ({', '.join('?' * (len(KINDS) + 5))}) ON CONFLICT (run, key, model) DO NOTHING"
)


def _cases(lines: IO[bytes], bad: list[str]) -> Iterator[tuple[int, _Case]]:
    """The cases of the lines behind the first, with their numbers; names those that are damaged."""
    number = 1
    while True:
        number += 1
        try:
            line = lines.readline()
        except (OSError, EOFError, zlib.error) as error:
            bad.append(f"line {number}: the file is damaged from here on ({error_text(error)})")
            return
        if not line:
            return
        if line.isspace():
            continue
        try:
            yield number, _case(line)
        except ValidationError as error:
            bad.append(f"line {number}: {_first_of(error)}")
        except _UNREADABLE as error:
            bad.append(f"line {number}: {one_line(str(error))}")


def _case(line: bytes) -> _Case:
    """The case of a line, every value checked."""
    entry = _Entry.model_validate(json.loads(line))
    content = zlib.compress(json.dumps(entry.result).encode(), 1)
    result = read_result(content)
    checked(MachineFacts, entry.machine, "machine")
    worker = None
    if entry.environment is not None:
        worker = checked(WorkerFacts, entry.environment, "environment")
    key = entry.key or result.case.key
    values = (entry.ended, key, *values_of(result), *entry.unshown, content)
    machine = json.dumps(entry.machine)
    return _Case(entry.run, entry.begun, machine, entry.machine_hash, worker, values)


def _first_of(error: ValidationError) -> str:
    """What is wrong first, and with what."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])) or "it"
    return one_line(f"{name}: {first['msg']} ({quoted(first['input'], 40)})")


def _no_export(file: Path, reason: str) -> OutputError:
    return OutputError(
        f"{quoted(str(file))} is no exported history, or damaged ({reason}); give a file that "
        f"nbbench history export wrote"
    )


def _check_head(lines: IO[bytes]) -> None:
    """Raise ``ValueError`` where the first line is not that of an export of this version."""
    line = lines.readline(1 << 16)
    try:
        head = _Head.model_validate(json.loads(line or b"null"))
    except ValueError:
        raise ValueError("its first line says no such thing") from None
    if head.version != _VERSION:
        raise ValueError(f"it is of version {head.version}; upgrade nbbench")


def _check_target(database: Path, file: Path) -> None:
    """Raise `OutputError` for a file that an export must not replace."""
    target, own = os.path.realpath(file), os.path.realpath(database)
    is_own = os.path.exists(target) and os.path.exists(own) and os.path.samefile(target, own)
    if is_own or target in (own, *(f"{own}{part}" for part in PARTS)):
        raise OutputError(f"{quoted(str(file))} is the history itself; give another file")
    if is_special(file) or not os.path.exists(target) or not os.path.getsize(target):
        return
    try:
        with _opened_to_read(file) as lines:
            _check_head(lines)
    except (OSError, *_UNREADABLE):
        raise OutputError(
            f"{quoted(str(file))} is there and is no exported history; give another file, or "
            f"remove it"
        ) from None


@contextmanager
def _opened_to_read(file: Path) -> Iterator[IO[bytes]]:
    """The lines of a file, which is compressed or not, whatever its name."""
    with file.open("rb") as opened:
        if opened.peek(2)[:2] != b"\x1f\x8b":
            yield opened
            return
        with gzip.open(opened, "rb") as lines:
            yield cast(BinaryIO, lines)


def _opened_to_write(path: Path, is_compressed: bool) -> IO[bytes]:
    return cast(BinaryIO, gzip.open(path, "wb")) if is_compressed else path.open("wb")
