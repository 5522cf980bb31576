"""The shell's front end: ``nbbench run`` and its other commands, a module each."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..errors import ArgumentError, NbbenchError, did_you_mean
from ..text import quoted

_USAGE = """\
usage: nbbench COMMAND …

  run      measure models: nbbench run bert-base-uncased -b 1 8 -s 32 128
  plan     predict what models need, and whether they fit, before anything runs
  best     which case of saved reports is best within limits
  compare  what differs between two saved reports, and a gate for CI
  gather   the saved reports of many people as one
  history  what was measured on this machine before: list, export, import, prune
  doctor   what makes numbers unsteady on this machine, and what to do
  selftest check on this machine that nbbench measures right
  hf       measure models with the arguments, tables and files of Transformers' former benchmark
  models   list the built-in catalogue
  env      list, create and remove the environments that frameworks run in

nbbench COMMAND --help shows more; nbbench --version the version."""

_COMMANDS = (
    "run", "plan", "best", "compare", "gather", "history", "doctor", "selftest", "hf", "models",
    "env",
)  # fmt: skip
"""Each is a module of this package, with a function ``command``."""

_WITH_REPORT = ("run", "hf")
"""Those that end with the report of their benchmark, even if that was interrupted."""

_OF_WRITING = (
    errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG, errno.EDQUOT, errno.EINVAL,
)  # fmt: skip


def script() -> int:
    """`main` as a process of its own, which signals end in good order."""
    try:
        from .interrupt import signals_end_runs

        with signals_end_runs(ends_with_report=bool({*sys.argv[1:2]} & {*_WITH_REPORT})):
            code = main()
    except KeyboardInterrupt:
        code = 130
    cluster = sys.modules.get("nbbench.execution.ray_cluster.connection")
    if cluster is not None and cluster.has_lost_head():
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)  # Ray would wait for that head, and no signal end it
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, or 1 if a case failed, 2 for bad input, 130 if interrupted."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where the terminal has no ±
    if not argv or argv[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if argv else 2
    if argv[0] == "--version":
        from .._version import __version__

        print(f"nbbench {__version__}")
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            code = _find(argv[0])(argv[1:])
        sys.stdout.flush()
        return code
    except NbbenchError as error:
        print(f"nbbench: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if not _is_of_output(error):
            named = "" if error.filename is None else f"{quoted(str(error.filename), 300)}: "
            print(f"nbbench: error: {named}{error.strerror or error}", file=sys.stderr)
            return 2
        _discard_output()  # else Python tries again as it ends
        if not isinstance(error, BrokenPipeError):  # which is what head does to a list
            print(f"nbbench: error: the output cannot be written: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _open_streams() -> None:
    """Open what was closed by ``>&-`` and the like, else files and pipes get its numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: that of the stream
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115


def _is_of_output(error: OSError) -> bool:
    """Whether stdout could not be written: what is wrong with a file has the file's name."""
    return error.filename is None and error.errno in _OF_WRITING


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning without the line of code that it came from, which is not the user's."""
    print(f"nbbench: warning: {message}", file=sys.stderr)


def _find(name: str) -> Callable[[list[str]], int]:
    if name not in _COMMANDS:
        hint = did_you_mean(name, _COMMANDS)
        raise ArgumentError(f"there is no command {quoted(name)}{hint}; try nbbench --help")
    command: Callable[[list[str]], int] = importlib.import_module(f".{name}", __name__).command
    return command
