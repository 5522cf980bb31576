"""What makes numbers unsteady on this machine, and what to do about it."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .gpus import driver

_MIN_LOAD = 0.1
"""Cores; less than that is what a system does for itself."""

_STEADY = 0.03
"""A drift of the clock that rounds and the reference kernel take out without trouble."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its figure, and what to do where it is bad (else empty)."""

    name: str
    figure: str
    remedy: str = ""


def examine(seconds: float = 10.0, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at everything, for some ``seconds``; what is unknown here is omitted.

    ``root`` is where ``sys`` and ``proc`` lie.
    """
    yield from settings(root)
    yield from gpus()
    yield from load(min(seconds, 1.0))
    yield drift(seconds)


def settings(root: Path = Path("/")) -> Iterator[Finding]:
    """What the system is set to; takes no time."""
    import psutil

    cpu = root / "sys/devices/system/cpu"
    governor = _read(cpu / "cpu0/cpufreq/scaling_governor")
    if governor:
        slow = governor not in ("performance", "schedutil")
        remedy = "set it to performance: cpupower frequency-set -g performance" if slow else ""
        yield Finding("CPU governor", governor, remedy)
    turbo = {"0": "on", "1": "off"}.get(_read(cpu / "intel_pstate/no_turbo"), "")
    turbo = turbo or {"1": "on", "0": "off"}.get(_read(cpu / "cpufreq/boost"), "")
    if turbo:
        remedy = "clocks then depend on heat; switch it off for the steadiest numbers"
        yield Finding("turbo", turbo, remedy if turbo == "on" else "")
    smt = {"1": "on", "0": "off"}.get(_read(cpu / "smt/active"), "")
    if smt:
        remedy = "keep threads at the number of physical cores (nbbench's default)"
        yield Finding("SMT siblings", smt, remedy if smt == "on" else "")
    quota = _read(root / "sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdecimal():
        cores = int(quota[0]) / int(quota[1])
        remedy = f"give threads={max(int(cores), 1)}: more are stopped by the quota amid a call"
        yield Finding("container quota", f"{cores:g} cores", remedy)
    swap = psutil.swap_memory()
    if swap.total:
        remedy = "close what is not needed: memory that was swapped out comes back slowly"
        yield Finding("swap in use", f"{swap.percent:.0f} %", remedy if swap.percent > 10 else "")


def gpus() -> Iterator[Finding]:
    """Other processes on the GPUs, and what slows them down; nothing where there is no driver."""
    with driver() as nvml:
        if nvml is None:
            return
        for number in range(_asked(nvml.nvmlDeviceGetCount) or 0):
            gpu = _asked(nvml.nvmlDeviceGetHandleByIndex, number)
            running = _asked(nvml.nvmlDeviceGetComputeRunningProcesses, gpu)
            if running is not None:
                remedy = "end them, or choose another GPU by device" if running else ""
                yield Finding(f"processes on GPU {number}", str(len(running)), remedy)
            reasons = _asked(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, gpu)
            if reasons is not None:
                idle = getattr(nvml, "nvmlClocksThrottleReasonGpuIdle", 1)
                slowed = reasons & ~idle
                remedy = "let it cool down, or raise its power limit" if slowed else ""
                yield Finding(f"throttling of GPU {number}", hex(slowed), remedy)


def load(seconds: float) -> Iterator[Finding]:
    """What other processes do, over some ``seconds``."""
    import psutil

    own = psutil.Process().pid
    processes = [p for p in psutil.process_iter(["name"]) if p.pid != own]
    for process in processes:
        with suppress(psutil.Error):
            process.cpu_percent()
    time.sleep(seconds)
    busy = []
    for process in processes:
        with suppress(psutil.Error):
            cores = process.cpu_percent() / 100
            if cores >= _MIN_LOAD:
                busy.append((cores, process.info["name"] or "?"))
    busy.sort(reverse=True)
    listed = ", ".join(f"{name} ({cores:.1f})" for cores, name in busy[:5])
    remedy = f"end or pause {listed}; or give threads=1" if busy else ""
    yield Finding("cores kept busy by others", f"{sum(cores for cores, _ in busy):.1f}", remedy)


def drift(seconds: float) -> Finding:
    """How the speed of this processor changes over some ``seconds``, by a hash computed in it."""
    block = bytes(1 << 20)
    speeds: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(speeds) < 5:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            hashlib.sha256(block).digest()
            times.append(time.perf_counter() - begin)
        speeds.append(statistics.median(times))
        time.sleep(min(0.1, seconds / 10))
    spread = statistics.stdev(speeds) / statistics.fmean(speeds)
    remedy = "expect wider intervals; give a longer max_time" if spread > _STEADY else ""
    return Finding(f"drift of the clock over {seconds:g} s", f"{spread:.1%}", remedy)


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text().strip()
    return ""


def _asked(question: Any, *more: Any) -> Any:
    """The driver's answer; None where it has none, whatever the reason."""
    with suppress(Exception):
        return question(*more)
    return None
