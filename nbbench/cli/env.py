"""``nbbench env``."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..arguments.flags import FlagParser
from ..environments import (
    create,
    environment_path,
    finish,
    list_environments,
    remove_environment,
)
from ..errors import ArgumentError, did_you_mean
from ..frameworks import backend_names
from ..text import quoted

_USAGE = """\
usage: nbbench env list
       nbbench env create NAME [REQUIREMENT …] [--framework FRAMEWORK]
       nbbench env remove NAME …
       nbbench env path NAME [--framework FRAMEWORK]

Environments are interpreters that are made for a framework once and kept. NAME is pytorch,
tensorflow or keras for what that framework needs; or a name of your own for requirements like
transformers==4.57.6, 'transformers @ https://…', ./folder or -e ./folder, which come on top of
what the framework needs. Run models in it with nbbench run … --environment NAME."""


def command(argv: list[str]) -> int:
    """List, create and remove environments."""
    commands: dict[str, Callable[[list[str]], None]] = {
        "list": _env_list,
        "create": _env_create,
        "remove": _env_remove,
        "path": _env_path,
    }
    if not argv or argv[0] in ("-h", "--help") or {"-h", "--help"} & set(argv):
        print(_USAGE)
        return 0 if argv else 2
    chosen = commands.get(argv[0])
    if chosen is None:
        raise ArgumentError(
            f"there is no command env {quoted(argv[0])}{did_you_mean(argv[0], commands)}; "
            f"try nbbench env --help"
        )
    chosen(argv[1:])
    return 0


def _env_list(argv: list[str]) -> None:
    if argv:
        raise ArgumentError(f"env list takes no words, and {quoted(argv[0])} was given")
    records = list_environments()
    if not records:
        print("no environment has been made yet; nbbench env create tensorflow makes one")
    for record in records:
        kind = "layer" if record.borrowed else "whole"
        kind = kind if record.is_whole() else "damaged"
        print(
            f"{record.name:24} {record.framework:12} {kind:7} {record.size / 1e6:8,.0f} MB  "
            f"{', '.join(record.requirements)}"
        )


def _env_create(argv: list[str]) -> None:
    parser = FlagParser("nbbench env create", "")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("requirements", nargs="*", metavar="REQUIREMENT")
    parser.add_argument("--framework", "-f")
    values = parser.read(_with_editables(argv))
    name = values.get("name")
    if name is None:
        raise ArgumentError("env create needs a name: a framework's, or one for requirements")
    framework = _framework(values) or (name if name in backend_names() else "pytorch")
    environment = finish(
        create(name, framework, values.get("requirements", [])),
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(environment.python)


def _framework(values: dict[str, str]) -> str | None:
    """The framework that was named, if any; raises `ArgumentError` for one that is none."""
    framework = values.get("framework")
    if framework is not None and framework not in backend_names():
        raise ArgumentError(
            f"--framework: {quoted(framework)} is not one of {', '.join(backend_names())}"
        )
    return framework


def _with_editables(argv: list[str]) -> list[str]:
    """The same with each ``-e`` and its folder as one: they are no option but a requirement."""
    rest = iter(argv)
    return [f"-e {next(rest, '')}" if part in ("-e", "--editable") else part for part in rest]


def _env_remove(argv: list[str]) -> None:
    if not argv:
        raise ArgumentError("env remove needs a name; nbbench env list shows them")
    for name in argv:
        for record in remove_environment(name):
            print(f"removed {record.name} for {record.framework}, {record.size / 1e6:,.0f} MB")


def _env_path(argv: list[str]) -> None:
    parser = FlagParser("nbbench env path", "")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--framework", "-f")
    values = parser.read(argv)
    names = values.get("names", [])
    if len(names) != 1:
        raise ArgumentError("env path needs one name; nbbench env list shows them")
    print(environment_path(names[0], _framework(values)))
