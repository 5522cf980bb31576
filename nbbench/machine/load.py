"""Which processes keep the cores busy: measured over a moment, by what they have worked."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

MIN_CORES = 0.05
"""A process that works less than this is not named."""


@dataclass(frozen=True)
class BusyProcess:
    """A process, and how many cores it kept busy."""

    pid: int
    name: str
    cores: float


@dataclass(frozen=True)
class Load:
    """What others did over a moment; None where the system does not say.

    ``cores`` are those that other processes kept busy, seen from here or not; ``steal`` the cores
    that a virtual machine's host gave to others; ``swapped_mb`` what was written to and read from
    the swap.
    """

    cores: float
    processes: tuple[BusyProcess, ...]
    steal: float | None
    swapped_mb: float | None


def watch_load(seconds: float = 1.0) -> Load:
    """What other processes do, over so many seconds in which this one sleeps."""
    before, begin = _Reading(), time.monotonic()
    time.sleep(seconds)
    after = _Reading()
    elapsed = max(time.monotonic() - begin, 1e-3)
    processes = [  # one that was not there before has done all of its work since
        BusyProcess(key[0], name, round((worked - before.worked(key)) / elapsed, 2))
        for key, (name, worked) in after.processes.items()
        if key[0] != os.getpid()
    ]
    busy = [process for process in processes if process.cores >= MIN_CORES]
    own = after.own - before.own
    return Load(
        cores=round(max(after.busy - before.busy - own, 0.0) / elapsed, 2),
        processes=tuple(sorted(busy, key=lambda process: -process.cores)),
        steal=_difference(before.steal, after.steal, elapsed),
        swapped_mb=_difference(before.swapped_mb, after.swapped_mb, 1.0),
    )


def _difference(before: float | None, after: float | None, by: float) -> float | None:
    return None if before is None or after is None else round((after - before) / by, 2)


class _Reading:
    """Processor seconds and swapped bytes since the machine was started."""

    def __init__(self) -> None:
        import psutil

        times = psutil.cpu_times()
        self.steal: float | None = getattr(times, "steal", None)
        self.busy = busy_seconds(times)
        self.own = _worked(psutil.Process().cpu_times())
        self.swapped_mb = _swapped_mb()
        self.processes = {
            (process.pid, process.info["create_time"]): (
                process.info["name"] or "",
                _worked(process.info["cpu_times"]),
            )
            for process in psutil.process_iter(["name", "create_time", "cpu_times"])
            if process.info["cpu_times"] is not None
        }

    def worked(self, key: tuple[int, float]) -> float:
        """What a process had worked; 0 where it had not begun."""
        return self.processes[key][1] if key in self.processes else 0.0


def busy_seconds(times: Any) -> float:
    """The seconds of ``psutil.cpu_times()`` in which cores worked for this machine."""
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
    return float(sum(times) - idle - guests)


def _worked(times: Any) -> float:
    return float(times.user + times.system)


def _swapped_mb() -> float | None:
    import psutil

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # counters that are made up are no counters
        with suppress(OSError, RuntimeError, RuntimeWarning, ValueError):
            swap = psutil.swap_memory()
            return float(swap.sin + swap.sout) / 2**20
    return None
