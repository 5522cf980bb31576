"""The shell's front end: ``nbbench run``, ``nbbench models``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from .errors import NbbenchError

_USAGE = """\
usage: nbbench COMMAND …

  run      measure models: nbbench run bert-base-uncased -b 1 8 -s 32 128
  models   list the built-in catalogue

nbbench COMMAND --help tells more; nbbench --version the version."""

_RUN = "Measure speed and memory of models: one forward pass, on random weights."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, or 1 if a case failed, 2 for bad input, 130 if interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str]], int]] = {"run": _run, "models": _models}
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
            from .arguments import did_you_mean
            from .errors import ArgumentError

            hint = did_you_mean(words[0], commands)
            raise ArgumentError(f"there is no command {words[0]!r}{hint}; try nbbench --help")
        return command(words[1:])
    except NbbenchError as error:
        print(f"nbbench: error: {error}", file=sys.stderr)
        return 2
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
    report = run(**values)
    print(report)
    if save is not None:
        report.save(save)
    if csv is not None:
        report.to_csv(csv)
    statuses = {result.outcome.status for result in report.results}
    if statuses & {Status.CANCELLED, Status.SKIPPED}:
        return 130
    return 0 if statuses == {Status.OK} else 1


def _models(words: list[str]) -> int:
    from .models import catalogue

    if words in (["-h"], ["--help"]):
        print(
            "usage: nbbench models\n\nList the names of the built-in catalogue, with their types."
        )
        return 0
    for name, config in catalogue().items():
        print(f"{name:34}{config['model_type']}")
    return 0
