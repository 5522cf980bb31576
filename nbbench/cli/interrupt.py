"""Signals while a command runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def signals_end_runs(ends_with_report: bool = True) -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP end the benchmark that runs, and leave its report alone.

    A benchmark that is cancelled ends by itself, with a report of what was measured: a scheduler's
    time limit keeps it as Ctrl-C does, and neither can come between it and its table or file. Where
    none was begun, the first signal interrupts, and where none runs, any that comes to a command
    that does not end with a report. What is ignored stays so: ``nohup`` has a run go on after its
    terminal, and a script one in the background. For a process that ends with what is done here:
    signals are ignored after it, since Python would die of one while it ends.
    """
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, partial(_end, ends_with_report))
    try:
        yield
    finally:
        _ignore_signals()


def _end(ends_with_report: bool, *_: object) -> None:
    # looked up, not imported: signals are handled before the rest of nbbench is loaded
    job = sys.modules.get("nbbench.execution.job")
    any_begun = getattr(job, "any_begun", None)
    if job is None or any_begun is None or not any_begun():
        _ignore_signals()
        raise KeyboardInterrupt
    if not (ends_with_report or job.any_unfinished()):
        raise KeyboardInterrupt  # others are heeded: one that comes as a benchmark ends is lost
    job.cancel()


def _ignore_signals() -> None:
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
