"""How long this process's threads were runnable: working on a processor, or waiting for one.

A call that waits for something else (a disk, a network, a clock) is not runnable meanwhile, and
does not become slower where the machine does; one that other work keeps from its processor is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Optional

_TASKS = "/proc/self/task"

_LEADING = 0.8
"""A caller computes if it is runnable for this part of the time that any other thread is."""


def runnable_seconds() -> Optional[dict[int, float]]:
    """Of each thread that lives, from the scheduler's statistics; None where there are none."""
    seconds = {}
    try:
        for task in os.listdir(_TASKS):
            with suppress(FileNotFoundError):  # the thread has ended
                with open(f"{_TASKS}/{task}/schedstat", "rb") as file:
                    running, waiting = file.read().split()[:2]
                seconds[int(task)] = (int(running) + int(waiting)) / 1e9
    except (OSError, ValueError):
        return None
    return seconds if any(seconds.values()) else None


class ComputingShare:
    """The part of a stretch of time in which this process computes, from its beginning on.

    ``in_caller`` says that calls compute in the thread that makes them, which begins this, and in
    others beside it.
    """

    def __init__(self, in_caller: bool) -> None:
        self._begin, self._runnable = time.perf_counter(), runnable_seconds()
        self._caller = threading.get_native_id() if in_caller else None

    def so_far(self) -> Optional[float]:
        """From 0 to 1; None where it is unknown."""
        runnable, seconds = runnable_seconds(), time.perf_counter() - self._begin
        if runnable is None or self._runnable is None or seconds <= 0:
            return None
        before = self._runnable
        added = {thread: total - before.get(thread, 0.0) for thread, total in runnable.items()}
        return min(max(computing_seconds(added, self._caller) / seconds, 0.0), 1.0)


def computing_seconds(runnable: Mapping[int, float], caller: Optional[int]) -> float:
    """The time in which any thread was runnable, from how long each was.

    A caller that computes, with others beside it, is runnable all the while. Where there is none,
    or where it waits for others after all, they may take turns: then it is the sum, or less.
    """
    own = runnable.get(caller, 0.0) if caller is not None else 0.0
    leads = own > 0 and own >= _LEADING * max(runnable.values())
    return own if leads else sum(runnable.values())
