"""Signals while a command runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def signals_end_runs() -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP end the benchmark that runs, and leave its report alone.

    A benchmark that is cancelled ends by itself, with a report of what was measured: a scheduler's
    time limit keeps it as Ctrl-C does, and neither can come between it and its table or file. Where
    none was begun, the first signal interrupts. What is ignored stays so: ``nohup`` has a run go on
    after its terminal, and a script one in the background. For a process that ends with what is
    done here: signals are ignored after it, since Python would die of one while it ends.
    """
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        _ignore_signals()


def _end(*_: object) -> None:
    # looked up, not imported: signals are handled before the rest of nbbench is loaded
    job = sys.modules.get("nbbench.execution.job")
    any_begun = getattr(job, "any_begun", None)
    if job is not None and any_begun is not None and any_begun():
        job.cancel()
    else:
        _ignore_signals()
        raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
