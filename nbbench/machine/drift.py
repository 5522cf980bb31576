"""How the machine's speed changes within seconds: a small fixed call, timed again and again.

It runs in a process of its own, so that it has an interpreter's lock to itself.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

WINDOWS_PER_SECOND = 4

_PATIENCE_S = 60.0

_KERNEL = """
import hashlib, json, statistics, sys, time
windows, length = int(sys.argv[1]), float(sys.argv[2])
block = bytes(1 << 17)
medians = []
for window in range(-1, windows):
    end, times = time.perf_counter() + length, []
    while time.perf_counter() < end:
        begin = time.perf_counter()
        hashlib.sha256(block).digest()
        times.append(time.perf_counter() - begin)
    if window >= 0:
        medians.append(statistics.median(times))
print(json.dumps(medians))
"""
"""A hash of 128 KiB, as the reference kernel of a device without a framework; the first window is
for warming up."""


@dataclass(frozen=True)
class Drift:
    """The kernel's median time in each window, in seconds."""

    medians: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The standard deviation of the windows' medians, as a part of their mean."""
        return statistics.stdev(self.medians) / statistics.fmean(self.medians)

    @property
    def range(self) -> float:
        """How much slower the slowest window was than the fastest, as a part of it."""
        return max(self.medians) / min(self.medians) - 1


def watch_drift(seconds: float) -> Drift | None:
    """Time the kernel for so many seconds; None where no process can be started for it."""
    windows = max(round(seconds * WINDOWS_PER_SECOND), 2)
    argv = [sys.executable, "-I", "-c", _KERNEL, str(windows), str(seconds / windows)]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=True, timeout=seconds + _PATIENCE_S
        )
        return Drift(tuple(map(float, json.loads(done.stdout))))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
