"""How long this process's threads were runnable: working on a processor, or waiting for one.

A call that waits for something else (a disk, a network, a clock) is not runnable meanwhile, and
does not become slower where the machine does; one that other work keeps from its processor is.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Optional

_TASKS = "/proc/self/task"


def runnable_seconds() -> Optional[float]:
    """Over all threads that live, from the scheduler's statistics; None where there are none."""
    total = 0
    try:
        for task in os.listdir(_TASKS):
            with suppress(FileNotFoundError):  # the thread has ended
                with open(f"{_TASKS}/{task}/schedstat", "rb") as file:
                    running, waiting = file.read().split()[:2]
                total += int(running) + int(waiting)
    except (OSError, ValueError):
        return None
    return total / 1e9 if total else None


class ComputingShare:
    """The part of a stretch of time in which this process computes, from its beginning on."""

    def __init__(self) -> None:
        self._begin, self._runnable = time.perf_counter(), runnable_seconds()

    def so_far(self) -> Optional[float]:
        """From 0 to 1; None where it is unknown."""
        runnable, seconds = runnable_seconds(), time.perf_counter() - self._begin
        if runnable is None or self._runnable is None or seconds <= 0:
            return None
        return min(max((runnable - self._runnable) / seconds, 0.0), 1.0)
