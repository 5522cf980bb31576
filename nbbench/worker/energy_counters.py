"""What counts energy: NVIDIA's driver for a GPU of theirs, or the processor for itself (RAPL).

Both count joules since some moment. RAPL counts whole processor packages, with whatever else runs
on them; its counters are read from ``/sys/class/powercap``, which most systems keep to root, and
virtual machines have none.
"""

from __future__ import annotations

import glob
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Optional

from . import nvml
from .backend import Device
from .energy import Energy
from .measure import Call

POWERCAP = "/sys/class/powercap"

MIN_WINDOW_S = 2.0
"""Counters are brought up to date some ten times a second: calls are repeated for so long."""

_IDLE_S = 1.0


Counter = Callable[[], Optional[float]]
"""Joules since some moment; None where it cannot be read."""


def energy_of_calls(device: Device, call: Call, call_s: float) -> Optional[Energy]:
    """The energy of calls on a device that take ``call_s``, repeated for two seconds at least.

    None where nothing counts it, as for GPUs of other makers than NVIDIA.
    """
    source, counter = _counter(device)
    if counter is None or counter() is None:
        return None
    idle_w = _power(counter, lambda: time.sleep(_IDLE_S))
    calls = max(1, math.ceil(MIN_WINDOW_S / max(call_s, 1e-9)))
    before, begin = counter(), time.perf_counter()
    device.stopwatch(call, calls)
    after, window_s = counter(), time.perf_counter() - begin
    if before is None or after is None or after <= before:
        return None
    return Energy(source, after - before, calls, window_s, idle_w)


def _counter(device: Device) -> tuple[str, Optional[Counter]]:
    """What counts the energy of a device, and its name; another device's would be no answer."""
    if device.gpu_uuid is not None:
        return "NVML", _nvml(device.gpu_uuid)
    return "RAPL", _rapl() if device.name == "cpu" else None


def _power(counter: Counter, wait: Callable[[], None]) -> Optional[float]:
    """Watts over a stretch of time."""
    before, begin = counter(), time.perf_counter()
    wait()
    after, took_s = counter(), time.perf_counter() - begin
    return None if before is None or after is None else max(after - before, 0.0) / took_s


def _nvml(gpu_uuid: str) -> Counter:
    return lambda: nvml.energy_joules(gpu_uuid)


def _rapl() -> Optional[Counter]:
    """The sum over processor packages; None where the kernel has no such counters."""
    zones = [Zone(folder) for folder in sorted(glob.glob(os.path.join(POWERCAP, "intel-rapl:*")))]
    packages = [zone for zone in zones if zone.is_package]
    if not packages:
        return None

    def read() -> Optional[float]:
        read_now = [zone.joules() for zone in packages]
        known = [joules for joules in read_now if joules is not None]
        return sum(known) if len(known) == len(packages) else None

    return read


class Zone:
    """A counter of RAPL's, which begins anew when it has come to its end."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._range = self._number("max_energy_range_uj") or 0
        self._last: Optional[int] = None
        self._wrapped = 0

    @property
    def is_package(self) -> bool:
        """Whether it counts a whole package, and not a part of one."""
        return self._text("name").startswith("package")

    def joules(self) -> Optional[float]:
        """Its reading, ends that were passed since the first one counted in."""
        now = self._number("energy_uj")
        if now is None:
            return None
        if self._last is not None and now < self._last:
            self._wrapped += self._range
        self._last = now
        return (now + self._wrapped) / 1e6

    def _number(self, name: str) -> Optional[int]:
        text = self._text(name)
        return int(text) if text.isdecimal() else None

    def _text(self, name: str) -> str:
        with suppress(OSError), open(os.path.join(self._folder, name), encoding="ascii") as file:
            return file.read().strip()
        return ""
