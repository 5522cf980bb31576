"""The processors that this process may use."""

from __future__ import annotations

import math
import os

from ..text import quoted
from ..worker.control_groups import cpu_quota


def usable_processors() -> int | None:
    """Logical processors that this process may run on; None where that is unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def too_many_threads(threads: int) -> str:
    """Why so many threads cannot run at a time in this process, and what to do; else empty."""
    usable, quota = usable_processors(), cpu_quota()
    if usable is not None and threads > usable and (quota is None or usable <= quota):
        return (
            f"{quoted(threads)} are more than the {usable} that can run at a time on the "
            f"processors that this process may use; give {usable} or fewer"
        )
    if quota is not None and threads > math.ceil(quota):
        return (
            f"{quoted(threads)} are more than the {quota:g} cores' worth of time that the "
            f"container leaves this process, and all would be halted whenever it is used up; give "
            f"{math.ceil(quota)} or fewer, or give the container more"
        )
    return ""
