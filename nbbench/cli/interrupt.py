"""Signals while a command runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ..execution.job import any_begun, cancel

_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def signals_end_runs() -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP end the benchmark that runs, and leave its report alone.

    A benchmark that is cancelled ends by itself, with a report of what was measured: a scheduler's
    time limit keeps it as Ctrl-C does, and neither can come between it and its table or file. Where
    none was begun, the first signal interrupts. For a process that ends with what is done here:
    signals stay ignored after it, since Python would die of one while it ends.
    """

    def end(*_: object) -> None:
        if any_begun():
            cancel()
        else:
            _ignore_signals()
            raise KeyboardInterrupt

    for number in _NUMBERS:
        signal.signal(number, end)
    try:
        yield
    finally:
        _ignore_signals()


def _ignore_signals() -> None:
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
