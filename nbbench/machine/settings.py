"""What the system has set that makes times unsteady: clocks, shared cores, quotas, swap, power.

Each reader gives None where the system does not say. ``root`` is the folder of the system's own
files, ``/`` but in tests.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..worker.control_groups import ROOT, cpu_quota, read_number, read_text

_CPUS = "sys/devices/system/cpu"
_POWER = "sys/class/power_supply"


@dataclass(frozen=True)
class Settings:
    """What is set; None where that is unknown.

    ``governors`` are those of the processors, each once, and ``driver`` is what carries them out.
    ``smt`` says whether two threads may share a core. ``quota_cores`` is the cores' worth of time
    that a container may take, None where there is no limit. ``on_battery`` is None too where there
    is no battery; ``profile`` is the platform's ("low-power", "balanced", "performance").
    """

    governors: tuple[str, ...] = ()
    driver: str | None = None
    turbo: bool | None = None
    smt: bool | None = None
    quota_cores: float | None = None
    on_battery: bool | None = None
    profile: str | None = None


def read_settings(root: Path = ROOT) -> Settings:
    """The settings now; a few dozen small files on Linux, and little elsewhere."""
    if sys.platform != "linux":
        return Settings(smt=_smt_by_counts(), on_battery=_on_battery_by_psutil())
    cpus = root / _CPUS
    return Settings(
        governors=_governors(cpus),
        driver=read_text(cpus / "cpu0/cpufreq/scaling_driver"),
        turbo=_turbo(cpus),
        smt=_smt(cpus),
        quota_cores=cpu_quota(root),
        on_battery=_on_battery(root / _POWER),
        profile=read_text(root / "sys/firmware/acpi/platform_profile"),
    )


def swap_used_mb() -> int | None:
    """How much of the swap is in use; None where the system does not say."""
    import psutil

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of counters that a container hides
        with suppress(OSError, RuntimeError, ValueError):
            return int(psutil.swap_memory().used >> 20)
    return None


def _governors(cpus: Path) -> tuple[str, ...]:
    files = sorted(cpus.glob("cpufreq/policy*/scaling_governor"))
    files = files or sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return tuple(dict.fromkeys(governor for file in files if (governor := read_text(file))))


def _turbo(cpus: Path) -> bool | None:
    """Whether clocks may go above the nominal one: Intel's driver says no, others say yes."""
    off = read_number(cpus / "intel_pstate/no_turbo")
    if off in (0, 1):
        return off == 0
    boost = read_number(cpus / "cpufreq/boost")
    return boost == 1 if boost in (0, 1) else None


def _smt(cpus: Path) -> bool | None:
    active = read_number(cpus / "smt/active")
    if active in (0, 1):
        return active == 1
    siblings = [read_text(file) for file in cpus.glob("cpu[0-9]*/topology/thread_siblings_list")]
    known = [text for text in siblings if text]
    return any("," in text or "-" in text for text in known) if known else None


def _smt_by_counts() -> bool | None:
    import psutil

    logical, physical = psutil.cpu_count(), psutil.cpu_count(logical=False)
    return logical > physical if logical and physical else None


def _on_battery(supplies: Path) -> bool | None:
    """Whether the machine's own battery is being emptied; a mouse's battery says nothing."""
    states = []
    for supply in sorted(supplies.glob("*")):
        own = read_text(supply / "type") == "Battery" and read_text(supply / "scope") != "Device"
        state = read_text(supply / "status") if own else None
        if state not in (None, "Unknown"):
            states.append(state)
    return "Discharging" in states if states else None


def _on_battery_by_psutil() -> bool | None:
    import psutil

    with suppress(AttributeError, OSError, RuntimeError):
        battery = psutil.sensors_battery()
        if battery is not None and battery.power_plugged is not None:
            return not battery.power_plugged
    return None
