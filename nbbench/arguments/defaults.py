"""Defaults of one's own, for the magic and for ``nbbench run``: from three sources.

Those of ``[tool.nbbench]`` in the nearest ``pyproject.toml``, over them those of the environment
variable NBBENCH_DEFAULTS, over them what `with_defaults` is given besides (``%config``), and over
all what is given explicitly. `nbbench.run` uses none: a script measures the same in every folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from ..errors import ArgumentError, did_you_mean
from ..text import one_line, quoted
from .conflicts import BELONGS_TO
from .flags import benchmark_parser
from .schema import BenchmarkArguments, singular_names
from .searched import AXES
from .words import split_words

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "NBBENCH_DEFAULTS"

_NEVER = ("models", "configs")
"""What is measured is always named; only how it is measured has defaults."""

_NOT_BY_A_FOLDER = (
    "environments", "isolation", "trust_remote_code", "executor", "address", "num_cpus", "num_gpus",
    "accelerator_type", "resources",
)  # fmt: skip
"""They choose which code runs, what is installed and where: no folder may, only its user."""

_PART_OF: dict[str, tuple[str, Any]] = {
    **BELONGS_TO,
    "latency_limit": ("batch_sizes", "best"),
    "eager_mode": ("frameworks", ("tensorflow", "tf")),
    "use_xla": ("frameworks", ("tensorflow", "tf")),
}
"""By a default what it is a part of, as in `BELONGS_TO`: without that it is left out."""

_FOR_RUNS = ("memory_limit", "latency_limit", "baseline")
"""What a prediction has no use for."""

_EITHER = {"paddings": "lengths", "lengths": "paddings"}
"""Of two that say the same of rows, the one that wins: it is given, or from the better source."""


@dataclass(frozen=True)
class Defaults:
    """Defaults from one source, by the arguments' own names; ``source`` names it to the user."""

    source: str
    values: dict[str, Any]

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {_shown(value)}" for name, value in self.values.items())
        return f"{shown} (from {self.source})"


def with_defaults(
    given: Mapping[str, Any], *others: Defaults, is_run: bool = True
) -> tuple[dict[str, Any], list[Defaults]]:
    """Arguments with the defaults that nothing ``given`` overrides, and which those are.

    ``others`` win over the variable and the file. Where nothing is run, defaults that are for runs
    alone are left out. Raises `ArgumentError`, with a sentence that
    names the source, for a default that is none.
    """
    values = dict(given)
    singular = singular_names()
    taken = {singular.get(name, name) for name in given}
    used = []
    for source in (*others, from_variable(), from_pyproject()):
        left = {
            name: value
            for name, value in source.values.items()
            if name not in taken and _EITHER.get(name) not in taken
        }
        taken |= set(left)
        values.update(left)
        if left:
            used.append(Defaults(source.source, left))
    waiting = {n for n in values if n not in given and not _is_asked_for(n, values)}
    if not is_run:
        waiting |= {name for name in values if name not in given and _is_for_runs(name, values)}
    used = [
        Defaults(each.source, {n: value for n, value in each.values.items() if n not in waiting})
        for each in used
    ]
    kept = {name: value for name, value in values.items() if name not in waiting}
    return kept, [each for each in used if each.values]


def _is_asked_for(name: str, values: Mapping[str, Any]) -> bool:
    """Whether what a default belongs to is asked for; true of all that stand by themselves."""
    whole, part = _PART_OF.get(name, ("", None))
    if not whole:
        return True
    singular = next((also for also, plural in singular_names().items() if plural == whole), whole)
    value = values.get(whole, values.get(singular))
    if isinstance(part, (str, tuple)):
        given = value if isinstance(value, (list, tuple)) else str(value).split()
        return any(each in given for each in ([part] if isinstance(part, str) else part))
    return bool(value)


def _is_for_runs(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a default says how to measure, or asks for a size that runs would find."""
    value = values[name]
    sizes = value if isinstance(value, (list, tuple)) else [value]
    return name in _FOR_RUNS or (name in AXES and any(size in ("max", "best") for size in sizes))


def arguments_of(values: Mapping[str, Any], used: Iterable[Defaults]) -> BenchmarkArguments:
    """The arguments, of which a baseline among the ``used`` defaults counts as set by nobody.

    It is for whatever has something to compare. Raises `ArgumentError`.
    """
    arguments = BenchmarkArguments(**values)
    if any("baseline" in each.values for each in used):
        arguments.model_fields_set.discard("baseline")
    return arguments


@contextmanager
def naming_sources(used: Iterable[Defaults]) -> Iterator[None]:
    """Have an `ArgumentError` that begins with the name of a used default say where that is from.

    It may be one that is right by itself, and does not suit what is measured.
    """
    try:
        yield
    except ArgumentError as error:
        sources = {name: each.source for each in used for name in each.values}
        first = str(error).partition(" ")[0].rstrip(":")
        source = sources.get(singular_names().get(first, first))
        if source is None:
            raise
        raise ArgumentError(f"{error} (a default from {source})") from None


def sentence_of(used: Iterable[Defaults]) -> str:
    """Which defaults are used and where they are from, in one line; empty if there are none."""
    listed = "; ".join(map(str, used))
    return one_line(f"defaults: {listed}") if listed else ""


def from_variable() -> Defaults:
    """The defaults that NBBENCH_DEFAULTS has, as flags: ``--batch-sizes 1 8 --max-time 2``."""
    try:
        argv = split_words(os.environ.get(VARIABLE, ""))
        if {"-h", "--help"} & set(argv):
            raise ArgumentError("--help is no default")
        values = benchmark_parser("nbbench", "").read(argv)
    except ValueError as error:  # ArgumentError is one
        raise ArgumentError(f"{VARIABLE}: {error}".replace("No closing", "no closing")) from None
    return checked(VARIABLE, values)


def from_pyproject() -> Defaults:
    """The defaults in the nearest ``pyproject.toml`` that has a table ``tool.nbbench``."""
    try:
        current = Path.cwd()
    except OSError:  # a folder that was removed meanwhile
        return Defaults("pyproject.toml", {})
    for folder in (current, *current.parents):
        file = folder / "pyproject.toml"
        table = _table(file)
        if table is None:
            continue
        source = f"[tool.nbbench] in {file}"
        if not isinstance(table, dict):
            raise ArgumentError(f"{source}: it is no table; give keys like batch_sizes = [1, 8]")
        found = checked(source, {key.replace("-", "_"): value for key, value in table.items()})
        for name in _NOT_BY_A_FOLDER:
            if name in found.values:
                raise ArgumentError(
                    f"{source}: {name} cannot be set by a folder's file, since it chooses which "
                    f"programs run, or where; give it as a flag, in {VARIABLE} or by %config"
                )
        return found
    return Defaults("pyproject.toml", {})


def _table(file: Path) -> Any:
    """What a pyproject.toml has for nbbench; None where it has nothing or cannot be read."""
    try:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return None
    if "nbbench" not in text:
        return None
    try:
        tool = tomllib.loads(text).get("tool")
    except (ValueError, RecursionError) as error:  # of a number too long, too
        raise ArgumentError(f"{file} cannot be read as TOML: {error}") from None
    return tool.get("nbbench") if isinstance(tool, dict) else None


def checked(source: str, values: Mapping[str, Any]) -> Defaults:
    """Defaults by the arguments' own names; raises `ArgumentError` for one that is none."""
    singular = singular_names()
    found: dict[str, Any] = {}
    for given, value in values.items():
        name = singular.get(given, given)
        if name in found:
            raise ArgumentError(f"{source}: {given} and {name} are the same; keep one")
        if name in _NEVER:
            raise ArgumentError(f"{source}: {given} can have no default; name it where you run it")
        if name not in BenchmarkArguments.model_fields:
            hint = did_you_mean(given, [*BenchmarkArguments.model_fields, *singular])
            raise ArgumentError(f"{source}: there is no argument {quoted(given)}{hint}")
        found[name] = value
    for name in found:
        _check(source, name, found)
    return Defaults(source, found)


def _check(source: str, name: str, found: dict[str, Any]) -> None:
    """Raise `ArgumentError` for a value that its argument does not take, whatever else is given.

    What it wants beside it may be given later, or be another default of the same source.
    """
    with suppress(ArgumentError):
        BenchmarkArguments(models=["any"], **{**_beside(name), name: found[name]})
        return
    try:
        BenchmarkArguments(models=["any"], **found)
    except ArgumentError as error:
        raise ArgumentError(f"{source}: {error}") from None


def _beside(name: str) -> dict[str, Any]:
    """What an argument cannot be without."""
    if name == "inference":
        return {"training": True}
    if name == "threads":
        return {"executor": "ray"}  # whose nodes may have more processors than this machine
    whole, part = _PART_OF.get(name, ("", None))
    if not whole:
        return {}
    one = part[0] if isinstance(part, tuple) else part
    is_list = get_origin(BenchmarkArguments.model_fields[whole].annotation) is list
    return {whole: [one] if is_list else one}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
