"""How much memory may still be taken: of the machine, and of what a container leaves."""

from __future__ import annotations

import warnings
from contextlib import suppress

from ..worker.control_groups import memory_limits


def available_memory() -> int:
    """Bytes that can be taken before the system has to end something; free swap counts."""
    import psutil

    machine = int(psutil.virtual_memory().available)
    with warnings.catch_warnings(), suppress(OSError, RuntimeError, ValueError):
        warnings.simplefilter("ignore", RuntimeWarning)  # of counters that a container hides
        machine += int(psutil.swap_memory().free)
    return min([machine, *(limit.available for limit in memory_limits())])
