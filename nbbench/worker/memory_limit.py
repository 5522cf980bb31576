"""What a case may hold: enforced where the device can, and compared with its peak in any case."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Optional

from .memory_profile import MemoryProfile, size_text
from .resident import quick_resident, read_resident

_SPARE, _SPARE_PART = 256 << 20, 0.25
"""How far above its limit a process may come before the system refuses it more: what a limit means
is what is resident, and the system counts what is asked for."""

_POOLS = 2
"""Of threads, each with a stack: those that compute, and those of a backward pass or between them.
They begin with the first call, when the limit is set already."""

_USUAL_STACK = 8 << 20
"""Bytes of a thread's stack where the system sets no limit to it, at most."""


class OverLimit(Exception):
    """A case has held more than it may; the message says how much.

    ``memory`` is the profile of its calls, where they were run; ``hint`` what to do, where that is
    something else than to ask for less.
    """

    def __init__(
        self, message: str, memory: Optional[MemoryProfile] = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.memory, self.hint = memory, hint


def check_before_model(size: int) -> None:
    """Raise `OverLimit` where this process holds more than ``size`` bytes without any model."""
    held = read_resident().total
    if held > size:
        raise OverLimit(
            f"{size_text(held)} are held by the process with its framework alone, and memory_limit "
            f"is {size_text(size)}",
            hint="give a higher memory_limit",
        )


def limit_memory(device: Any, size: int, threads: Optional[int] = None) -> None:
    """Have a device, or for the CPU the system, refuse what goes beyond a size in bytes.

    ``threads`` is how many the case computes with, None for as many as the framework chooses.
    """
    limit = getattr(device, "limit_memory", None)
    if limit is not None:
        limit(size)
    elif device.name == "cpu":
        _limit_process(size, threads or 0)


def check_peak(
    size: Optional[int], memory: Optional[MemoryProfile], loading: Optional[int]
) -> None:
    """Raise `OverLimit` where more was held than ``size`` bytes, while loading or in calls."""
    peak = max(loading or 0, (memory.peak or 0) if memory is not None else 0)
    if size is not None and peak > size:
        raise OverLimit(
            f"{size_text(peak)} were held, and memory_limit is {size_text(size)}", memory
        )


def _limit_process(size: int, threads: int) -> None:
    """Have the system refuse this process memory of its own far above a size.

    Linux counts as data what is asked for and private, touched or not: the stacks of threads, too.
    """
    if sys.platform != "linux":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        room = max(size - quick_resident(), 0) + max(_SPARE, int(_SPARE_PART * size))
        stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
        stack = _USUAL_STACK if stack == resource.RLIM_INFINITY else stack
        room += _POOLS * max(threads, len(os.sched_getaffinity(0))) * stack
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _data_bytes() + room
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _data_bytes() -> int:
    """What this process has asked for by now."""
    with open("/proc/self/status", "rb") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmData:"))
