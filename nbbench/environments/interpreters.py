"""From what the argument ``environments`` says to an interpreter that is ready."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import Timeout
from packaging.requirements import Requirement

from ..errors import ArgumentError, did_you_mean
from ..frameworks import backend_names, find_backend
from ..masked_urls import has_mask
from ..text import quoted
from .build import BuildCancelled, BuildPlan, EnvironmentNotReady, build
from .requirements import (
    HEAVY,
    installed,
    missing_requirements,
    names_of,
    needs_of,
    parse_requirements,
)
from .sources import identity, is_source, kept_requirement, shown
from .store import Record, build_lock, discard, find_record, list_environments, python_in
from .uv_environ import sources_set
from .uv_output import explained

T = TypeVar("T")
Made = TypeVar("Made")


@dataclass(frozen=True)
class EnvironmentProgress:
    """Event: how the making of an environment goes."""

    label: str
    text: str


@dataclass(frozen=True)
class Environment:
    """An interpreter that a backend runs in, ready to be started.

    ``kind`` says what it is: "kernel" (this one), "path" (one that was given), "made" (whole, from
    requirements) or "layer" (made, over packages of this one). ``sources`` are the packages that
    were asked for and do not come from PyPI, a sentence each.
    """

    python: str
    kind: str
    borrowed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """What a report shows of it; no path."""
        text = {
            "kernel": "the kernel's own",
            "path": "given by its path",
            "made": "made from requirements",
            "layer": "a layer over the kernel's " + " and ".join(self.borrowed),
        }
        facts = {"interpreter": text[self.kind]}
        return {**facts, "sources": "; ".join(self.sources)} if self.sources else facts


def choose(named: str, framework: str) -> str:
    """What ``auto`` stands for: this interpreter where it can serve, else the ready-made one.

    A framework whose backend names no needs is taken to be served by this one. Raises
    `ArgumentError` for text that is neither a path, nor a name, nor requirements.
    """
    if named == "auto":
        needs = needs_of(find_backend(framework))
        return framework if missing_requirements(needs, installed()) else "kernel"
    if named != "kernel" and not is_path(named):
        _own_requirements(named, framework)
    return named


def prepare(
    named: str,
    framework: str,
    label: str = "",
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[EnvironmentProgress, None, Environment]:
    """Find or make the interpreter that one of ``environments`` names for a framework.

    Yields how the making goes, under the environment's ``label``, and returns the interpreter.
    Raises `EnvironmentNotReady`, `BuildCancelled`, or `ArgumentError` for text that is neither a
    path, nor a name, nor requirements.
    """
    if named == "kernel":
        return Environment(sys.executable, "kernel")
    if is_path(named):
        try:
            python = interpreter(named)
            usable = os.access(python, os.X_OK) and not Path(python).is_dir()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL, nobody's home
            usable = False
        if not usable:
            raise EnvironmentNotReady(
                f"there is no python at {quoted(named, 200)}; give the path of a python or of a "
                f"virtual environment"
            )
        return Environment(python, "path")
    own, kept = _own_requirements(named, framework)
    needs = needs_of(find_backend(framework)).with_own(own)
    masked = _made_with_secrets(named, framework) if kept else None
    if masked is not None:
        return _made(masked)
    plan = BuildPlan.of(named if kept else shown(named), framework, needs, own if kept else ())
    making = _ready(plan, cancelled)
    while True:
        try:
            yield EnvironmentProgress(label or plan.name, next(making))
        except StopIteration as end:
            return _made(end.value)


def create(
    name: str, framework: str, requirements: Sequence[str]
) -> Generator[str, None, Environment]:
    """Make an environment under a name of the user's, or find it made; yields how it goes.

    Without ``requirements`` it holds what the framework needs; raises as `prepare` does.
    """
    if is_path(name) or name in ("auto", "kernel"):
        raise ArgumentError(
            f"env create: {quoted(name)} cannot be a name, since environments takes it for "
            f"something else; give another"
        )
    if name in backend_names() and (requirements or framework != name):
        raise ArgumentError(
            f"env create: {name} is the environment that the framework of that name needs; "
            f"for other requirements give another name"
        )
    if name not in backend_names() and not requirements:
        raise ArgumentError(
            f"env create: {quoted(name)} is no framework{did_you_mean(name, backend_names())}; for "
            f"an environment of your own give requirements, like transformers==4.57.6"
        )
    own = parse_requirements(" ".join(requirements))
    needs = needs_of(find_backend(framework)).with_own(own)
    if not needs.requirements:
        raise ArgumentError(
            f"env create: {framework} names nothing that it needs; give requirements"
        )
    made = yield from _ready(BuildPlan.of(name, framework, needs, own), lambda: False)
    for record in list_environments():  # a name stands for the last that was made under it
        if (record.name, record.framework) == (name, framework) and record.key != made.key:
            discard(record.key)
    return _made(made)


def finish(making: Generator[T, None, Made], show: Callable[[T], object] = lambda _: None) -> Made:
    """Run `prepare` or `create` to its end, each step given to ``show``; what it returns."""
    while True:
        try:
            show(next(making))
        except StopIteration as end:
            made: Made = end.value
            return made


def _made(record: Record) -> Environment:
    """A finished environment, with what it borrows of the heavy packages."""
    heavy = {name for group in HEAVY for name in names_of(group)}
    borrowed = tuple(f"{n} {version}" for n, version in record.borrowed.items() if n in heavy)
    sources = tuple(f"{name} {source}" for name, source in record.sources.items())
    return Environment(record.python, "layer" if record.borrowed else "made", borrowed, sources)


def _made_with_secrets(name: str, framework: str) -> Record | None:
    """The environment of this name that was made from a URL whose secret was not kept.

    None where there is no such secret; raises `EnvironmentNotReady` where it would have to be
    made anew.
    """
    every = [record for record in list_environments() if record.name == name and record.own]
    records = [record for record in every if record.framework == framework] or every
    if not any(has_mask(text) for record in records for text in record.own):
        return None
    for record in records:
        if record.framework == framework and record.is_whole():
            return record
    raise EnvironmentNotReady(
        f"environment {name} has to be made anew, and the password or token in its URL is not "
        f"kept; make it again with nbbench env create {name}, best with a variable in the URL, "
        f"like https://${{TOKEN}}@…"
    )


def _own_requirements(named: str, framework: str) -> tuple[tuple[Requirement, ...], bool]:
    """The user's own requirements, and whether they were kept under a name of the user's."""
    if named == framework:
        return (), False
    if named in backend_names():
        raise ArgumentError(
            f"environment {named} is for the framework of that name, not for {framework}; give "
            f"environments auto"
        )
    own_ones = (record for record in list_environments() if record.own)
    ordered = sorted(own_ones, key=lambda record: record.framework == framework)
    kept = {record.name: record for record in ordered}  # that of this framework, if there is one
    if named in kept:
        return tuple(map(kept_requirement, kept[named].own)), True
    own = parse_requirements(named)
    if any(not (r.specifier or r.url) for r in own):
        known = ["auto", "kernel", *backend_names(), *kept]
        raise ArgumentError(
            f"environments: {quoted(shown(named), 200)} is neither auto, kernel, a framework, a "
            f"path (./{shown(named)[:80]}), "
            f"nor a name of nbbench env list{did_you_mean(named, known)}; requirements name "
            f"versions, like transformers==4.57.6"
        )
    return own, False


def _ready(plan: BuildPlan, cancelled: Callable[[], bool]) -> Generator[str, None, Record]:
    """The plan's environment; raises `EnvironmentNotReady` for what the system refuses, too."""
    try:
        return (yield from _found_or_made(plan, cancelled))
    except OSError as error:  # no uv, a store that cannot be written, a full disk
        raise EnvironmentNotReady(
            f"environment {plan.name} cannot be made: {explained(str(error))}"
        ) from None


def _found_or_made(plan: BuildPlan, cancelled: Callable[[], bool]) -> Generator[str, None, Record]:
    """The plan's environment, made now unless it has been; one process makes it at a time."""
    key = _key(plan)
    record = find_record(key)
    if record is not None:
        return record
    lock = build_lock(key)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield "waiting for another build of it"
        while True:
            if cancelled():
                raise BuildCancelled from None
            try:
                lock.acquire(timeout=0.2)
                break
            except Timeout:
                continue
    try:
        record = find_record(key)
        if record is None:
            discard(key)
            record = yield from build(plan, key, cancelled)
            _save(record)
        return record
    finally:
        lock.release()


def _save(record: Record) -> None:
    """Write the record; without it the folder is of no use."""
    try:
        record.save()
    except OSError:
        shutil.rmtree(record.path, ignore_errors=True)
        raise


def _key(plan: BuildPlan) -> str:
    """A hash of all that decides what is made."""
    content = {
        "name": plan.name if plan.own else None,
        "requirements": sorted(str(identity(r)) if r.url else str(r) for r in plan.requirements),
        "python": platform.python_version() if plan.python == sys.executable else plan.python,
        "implementation": sys.implementation.cache_tag,
        "platform": [sys.platform, platform.machine()],
        "over": [sys.prefix, plan.heavy_versions()] if plan.is_layer else None,
    }
    if not plan.own:  # under a name of the user's stands what was made last, however uv was set
        names = {requirement.name.lower() for requirement in plan.requirements}
        content |= sources_set(of_torch=any(name.startswith("torch") for name in names))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def labels(named: Sequence[str]) -> list[str]:
    """What environments are called in a report, which names no path of the machine and no secret.

    Two that differ in no more than that have a number.
    """
    found: list[str] = []
    for number, text in enumerate(named, 1):
        own = f"path {number}" if is_path(text) else shown(text)
        found.append(f"{own} ({number})" if own in found else own)
    return found


def is_path(named: str) -> bool:
    """Whether text means a file or a folder rather than requirements or a name."""
    if is_source(named) or "://" in named:
        return False
    separated = os.sep in named or "/" in named or named.startswith(("~", "."))
    try:
        path = Path(named).expanduser()
        if path.is_file() or (separated and path.exists()):
            return True
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, nobody's home
        pass
    if " " in named:
        return _is_rooted(named) and not any(map(is_source, named.split()))
    return separated and "==" not in named


def _is_rooted(named: str) -> bool:
    """Whether text with blanks begins as a path does, and has nothing of a requirement."""
    starts = named.startswith(("~", ".")) or Path(named).is_absolute()
    return starts and not re.search(r"[=<>@]", named)


def interpreter(path: str) -> str:
    """The python that a path names: a file, or that of a virtual environment's folder."""
    found = Path(path).expanduser()
    return str(python_in(found) if found.is_dir() else found)
