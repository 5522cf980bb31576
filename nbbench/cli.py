"""The shell's front end: ``nbbench run``, ``nbbench models``."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .errors import NbbenchError

_USAGE = """\
usage: nbbench COMMAND …

  run      measure models: nbbench run bert-base-uncased -b 1 8 -s 32 128
  models   list the built-in catalogue
  env      list, create and remove the environments that frameworks run in

nbbench COMMAND --help tells more; nbbench --version the version."""

_RUN = "Measure speed and memory of models: one forward pass, on random weights."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, or 1 if a case failed, 2 for bad input, 130 if interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where the terminal has no ±
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": _run,
        "models": _models,
        "env": _env,
    }
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if words else 2
    if words[0] == "--version":
        from . import __version__

        print(f"nbbench {__version__}")
        return 0
    try:
        command = commands.get(words[0])
        if command is None:
            from .errors import ArgumentError, did_you_mean

            hint = did_you_mean(words[0], commands)
            raise ArgumentError(f"there is no command {words[0]!r}{hint}; try nbbench --help")
        code = command(words[1:])
        sys.stdout.flush()
        return code
    except NbbenchError as error:
        print(f"nbbench: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python tries again as it ends
        if not isinstance(error, BrokenPipeError):  # which is what head does to a list
            print(f"nbbench: error: the output cannot be written: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(words: list[str]) -> int:
    from .case import Status
    from .flags import benchmark_parser
    from .report import check_writable
    from .run import run

    parser = benchmark_parser("nbbench run", _RUN)
    parser.add_argument("--save", metavar="FILE", help="write the whole report here, as JSON")
    parser.add_argument("--csv", metavar="FOLDER", help="write the three tables here, as CSV")
    if "-h" in words or "--help" in words:
        parser.print_help()
        return 0
    values = parser.read(words)
    save, csv = values.pop("save", None), values.pop("csv", None)
    if save is not None:
        check_writable(save, folder=False)
    if csv is not None:
        check_writable(csv, folder=True)
    with _interrupted_once():
        report = run(**values)
        if save is not None:
            report.save(save)
        if csv is not None:
            report.to_csv(csv)
        print(report, flush=True)
    statuses = {result.outcome.status for result in report.results}
    if statuses & {Status.CANCELLED, Status.SKIPPED}:
        return 130
    return 0 if statuses == {Status.OK} else 1


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """Have the first Ctrl-C, SIGTERM or SIGHUP interrupt, and what follows it change nothing.

    A scheduler's time limit then keeps what was measured as Ctrl-C does, and a second Ctrl-C cannot
    come between a run that is ending and its file.
    """
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _models(words: list[str]) -> int:
    from .errors import ArgumentError
    from .models import catalogue

    if words in (["-h"], ["--help"]):
        print(
            "usage: nbbench models\n\nList the names of the built-in catalogue, with their types."
        )
        return 0
    if words:
        raise ArgumentError(f"nbbench models takes no arguments, and {words[0]!r} was given")
    for name, config in catalogue().items():
        print(f"{name:34}{config['model_type']}")
    return 0


_ENV = """\
usage: nbbench env list
       nbbench env create NAME [REQUIREMENT …] [--framework FRAMEWORK]
       nbbench env remove NAME …
       nbbench env path NAME

Environments are interpreters that are made for a framework once and kept. NAME is pytorch,
tensorflow or keras for what that framework needs; or a name of your own for requirements like
transformers==4.57.6, which come on top of what the framework needs. Run models in it with
nbbench run … --environment NAME."""


def _env(words: list[str]) -> int:
    from .errors import ArgumentError

    commands: dict[str, Callable[[list[str]], None]] = {
        "list": _env_list,
        "create": _env_create,
        "remove": _env_remove,
        "path": _env_path,
    }
    if not words or words[0] in ("-h", "--help") or {"-h", "--help"} & set(words):
        print(_ENV)
        return 0 if words else 2
    command = commands.get(words[0])
    if command is None:
        from .errors import ArgumentError, did_you_mean

        raise ArgumentError(
            f"there is no command env {words[0]}{did_you_mean(words[0], commands)}; "
            f"try nbbench env --help"
        )
    command(words[1:])
    return 0


def _env_list(words: list[str]) -> None:
    from .environments import list_environments

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


def _env_create(words: list[str]) -> None:
    from .backends import backend_names
    from .environments import create
    from .errors import ArgumentError
    from .flags import FlagParser

    parser = FlagParser("nbbench env create", "")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("requirements", nargs="*", metavar="REQUIREMENT")
    parser.add_argument("--framework", "-f")
    values = parser.read(words)
    name = values.get("name")
    if name is None:
        raise ArgumentError("env create needs a name: a framework's, or one for requirements")
    framework = values.get("framework", name if name in backend_names() else "pytorch")
    if framework not in backend_names():
        raise ArgumentError(
            f"--framework: {framework!r} is not one of {', '.join(backend_names())}"
        )
    environment = create(
        name,
        framework,
        values.get("requirements", []),
        lambda said: print(said, file=sys.stderr, flush=True),
    )
    print(environment.python)


def _env_remove(words: list[str]) -> None:
    from .environments import remove_environment
    from .errors import ArgumentError

    if not words:
        raise ArgumentError("env remove needs a name; nbbench env list tells them")
    for name in words:
        for record in remove_environment(name):
            print(f"removed {record.name} for {record.framework}, {record.size / 1e6:,.0f} MB")


def _env_path(words: list[str]) -> None:
    from .environments import environment_path
    from .errors import ArgumentError

    if len(words) != 1:
        raise ArgumentError("env path needs one name; nbbench env list tells them")
    print(environment_path(words[0]))
