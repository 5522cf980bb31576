"""What is known of the machine that measures: processor, memory, load. No names, no paths."""

from __future__ import annotations

import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .._version import __version__
from ..worker.control_groups import memory_limits
from ..worker.variables import describe_variables
from .gpus import other_processes, visible_conditions, visible_gpus
from .load import busy_seconds
from .processor_names import processor_in
from .processors import usable_processors
from .settings import read_settings, swap_used_mb


@dataclass(frozen=True)
class MachineFacts:
    """The machine when a benchmark began; None where something is unknown.

    ``cpu_ram_mb`` and ``cpu_ram_available_mb`` are the container's where that has less.

    ``gpu_processes`` are those of others that ran on the visible GPUs when it began, and
    ``other_load_cores`` the cores that other processes kept busy while it ran, on average (None on
    macOS and Windows);
    ``own_load_cores`` those that the process kept busy in which nbbench was called, beside what was
    measured. ``beside_another`` is whether another benchmark ran on the device.
    """

    nbbench_version: str | None = None
    system: str | None = None
    kernel_release: str | None = None
    architecture: str | None = None
    machine: str | None = None
    date: str | None = None
    time: str | None = None
    cpu: str | None = None
    cpu_cores_physical: int | None = None
    cpu_cores_logical: int | None = None
    cpu_cores_usable: int | None = None
    cpu_quota_cores: float | None = None
    cpu_load_1min: float | None = None
    cpu_ram_mb: int | None = None
    cpu_ram_available_mb: int | None = None
    cpu_governor: str | None = None
    cpu_scaling_driver: str | None = None
    cpu_turbo: bool | None = None
    cpu_smt: bool | None = None
    swap_used_mb: int | None = None
    on_battery: bool | None = None
    power_profile: str | None = None
    settings: str | None = None
    preloaded: str | None = None
    num_gpus: int | None = None
    gpu_processes: int | None = None
    other_load_cores: float | None = None
    own_load_cores: float | None = None
    beside_another: bool | None = None


def describe_machine() -> MachineFacts:
    """The machine now."""
    import psutil

    now = datetime.now()
    memory, limits = psutil.virtual_memory(), memory_limits()
    load = psutil.getloadavg()[0]
    settings, variables = read_settings(), describe_variables()
    return MachineFacts(
        nbbench_version=__version__,
        system=platform.system(),
        kernel_release=platform.release(),
        architecture=platform.architecture()[0],
        machine=platform.machine(),
        date=now.date().isoformat(),
        time=now.time().isoformat(timespec="seconds"),
        cpu=describe_processor(),
        cpu_cores_physical=psutil.cpu_count(logical=False),
        cpu_cores_logical=psutil.cpu_count(),
        cpu_cores_usable=usable_processors(),
        cpu_quota_cores=settings.quota_cores,
        cpu_load_1min=round(load, 2),
        cpu_ram_mb=min([memory.total, *(limit.total for limit in limits)]) >> 20,
        cpu_ram_available_mb=min([memory.available, *(limit.available for limit in limits)]) >> 20,
        cpu_governor=", ".join(settings.governors) or None,
        cpu_scaling_driver=settings.driver,
        cpu_turbo=settings.turbo,
        cpu_smt=settings.smt,
        swap_used_mb=swap_used_mb(),
        on_battery=settings.on_battery,
        power_profile=settings.profile,
        settings=variables["settings"],
        preloaded=variables["preloaded"],
        num_gpus=len(visible_gpus()),
        gpu_processes=other_processes(visible_conditions()),
    )


def describe_processor() -> str:
    """The processor's own name: `platform.processor` gives x86_64, or nothing, on Linux."""
    if sys.platform == "linux":
        with suppress(OSError):
            found = processor_in(Path("/proc/cpuinfo").read_text(errors="replace"))
            if found:
                return found
    if sys.platform == "darwin":
        import subprocess

        with suppress(OSError, subprocess.SubprocessError):
            query = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(query, capture_output=True, text=True, timeout=5).stdout.strip()
    if sys.platform == "win32":
        import winreg

        with suppress(OSError):
            path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    return platform.processor() or platform.machine()


_MIN_OWN_S = 1.0

_WITHOUT_ENDED_CHILDREN = ("darwin", "win32")
"""There psutil's ``children_user`` and ``children_system`` are always 0."""


class LoadWatch:
    """How much other processes worked while this one and its children did, from now on."""

    def __init__(self) -> None:
        self._begun, self._all, self._own = time.monotonic(), _busy_seconds(), _own_seconds()
        self._here = self._here_begun = 0.0

    @property
    def seconds(self) -> float:
        """Seconds that it has watched."""
        return max(time.monotonic() - self._begun, 1e-3)

    def cores(self) -> float | None:
        """Cores that other processes kept busy, on average; never below 0.

        None where the system does not say what children have worked that have ended, as those of
        visits have: it would be taken for the work of others.
        """
        if sys.platform in _WITHOUT_ENDED_CHILDREN:
            return None
        others = (_busy_seconds() - self._all) - (_own_seconds() - self._own)
        return round(max(others, 0.0) / self.seconds, 2)

    def watch_own(self) -> None:
        """Count this process's own work from now on: not what a run's beginning costs."""
        self._here, self._here_begun = time.process_time(), time.monotonic()

    def own_cores(self) -> float | None:
        """Cores that this process kept busy since `watch_own`, its children apart.

        None where that is no time over which an average means something.
        """
        seconds = time.monotonic() - self._here_begun
        if not self._here_begun or seconds < _MIN_OWN_S:
            return None
        return round((time.process_time() - self._here) / seconds, 2)


def _busy_seconds() -> float:
    """Processor seconds that this machine has worked since it was started."""
    import psutil

    return busy_seconds(psutil.cpu_times())


def _own_seconds() -> float:
    """Processor seconds of this process, its children, and those of them that have ended."""
    import psutil

    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total
