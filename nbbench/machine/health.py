"""What makes numbers unsteady on this machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..text import counted
from .drift import Drift
from .gpus import GpuCondition, GpuProcess
from .load import Load
from .machine import MachineFacts

BUSY_CORES = 0.3
"""Of others: more than a system does for itself."""

STEAL_CORES = 0.05
DRIFT_SEEN, DRIFT_BAD = 0.03, 0.10
SWAP_MB = 64
SCARCE_MEMORY = 0.1
"""The part of the memory that is available at least where swap does no harm."""

GPU_BUSY_PERCENT = 10

_MAX_NAMED = 3

_OWN_CLOCKS = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")
"""Drivers whose powersave chooses clocks by load; that of others stays at the lowest one.

These have governors of their own. In their other modes (passive, guided), in which they are called
intel_cpufreq and amd-pstate, they have the kernel's.
"""

_LOW_POWER = ("low-power", "quiet", "cool")


class Level(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    COULD = "could be steadier"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and what to do where that is not ok."""

    check: str
    level: Level
    found: str
    advice: str = ""

    @property
    def sentence(self) -> str:
        """What was found and what to do, in one line."""
        return f"{self.found}; {self.advice}" if self.advice else self.found


def quick_findings(machine: MachineFacts) -> list[Finding]:
    """What the machine's facts say: nothing is read anew, and nothing is waited for."""
    return [
        _governor(machine),
        _turbo(machine),
        _smt(machine),
        _quota(machine),
        _swap(machine),
        _power(machine),
    ]


def notices(machine: MachineFacts) -> list[str]:
    """What a user must know before a run: the bad findings, load apart, one line each."""
    findings = [_governor(machine), _quota(machine), _swap(machine)]
    if machine.gpu_processes:
        advice = "end what need not run, or choose another GPU with CUDA_VISIBLE_DEVICES"
        found = f"{machine.gpu_processes} of others on the visible GPUs"
        findings.append(Finding("GPU processes", Level.BAD, found, advice))
    return [f"{each.check}: {each.sentence}" for each in findings if each.level is Level.BAD]


def busy_sentence(cores: float | None, own: float | None = None) -> str:
    """That other work kept cores busy, and what to do; empty where that was little."""
    others, own = cores or 0.0, own or 0.0
    parts = []
    if others >= BUSY_CORES:
        parts.append(f"other processes keep {counted(f'{others:.2g}', 'core')} busy")
    if own >= BUSY_CORES:
        parts.append(f"this kernel or script keeps {counted(f'{own:.2g}', 'core')} busy itself")
    if not parts:
        return ""
    return (
        f"busy machine: {' and '.join(parts)}, so that times are longer and less sure; end what "
        "need not run, or leave it room with threads=1"
    )


def findings(
    machine: MachineFacts, load: Load, drift: Drift | None, gpus: Sequence[GpuCondition]
) -> list[Finding]:
    """All that is known to make numbers unsteady, the most common first."""
    found = [*_load(load), _drift(drift), *quick_findings(machine)]
    if load.swapped_mb is not None and load.swapped_mb >= 1:
        found = [_swapping(load.swapped_mb) if each.check == "swap" else each for each in found]
    return [*found, *(each for gpu in gpus for each in _gpu(gpu))]


def _load(load: Load) -> Iterator[Finding]:
    named = [f"{p.name or 'unnamed'} (pid {p.pid}) {p.cores:.2f}" for p in load.processes]
    listed = f": {', '.join(named[:_MAX_NAMED])}" if named else ""
    busy = load.cores >= BUSY_CORES
    yield Finding(
        "load",
        Level.BAD if busy else Level.OK,
        f"other processes keep {counted(f'{load.cores:.2g}', 'core')} busy{listed}",
        "end them, or measure when they are done" if busy else "",
    )
    if load.steal is None:
        yield _unknown("steal")
        return
    stolen = load.steal >= STEAL_CORES
    yield Finding(
        "steal",
        Level.BAD if stolen else Level.OK,
        f"a virtual machine's host gives {counted(f'{load.steal:.2g}', 'core')} to others",
        "measure at another time, or on a machine of your own" if stolen else "",
    )


def _drift(drift: Drift | None) -> Finding:
    if drift is None:
        return _unknown("drift")
    level = Level.OK if drift.spread < DRIFT_SEEN else Level.COULD
    level = Level.BAD if drift.spread >= DRIFT_BAD else level
    return Finding(
        "drift",
        level,
        f"a fixed call of one thread varies by {drift.spread:.1%} (standard deviation of its "
        f"medians), at most by {drift.range:.0%}",
        ""
        if level is Level.OK
        else "raise max_time, so that there are more visits, and compare within one run",
    )


def _governor(machine: MachineFacts) -> Finding:
    if machine.cpu_governor is None:
        return _unknown("governor")
    names = machine.cpu_governor.split(", ")
    driver = machine.cpu_scaling_driver
    found = f"{machine.cpu_governor} ({driver})" if driver else machine.cpu_governor
    if names == ["performance"]:
        return Finding("governor", Level.OK, found)
    lowest = "powersave" in names and driver not in (None, *_OWN_CLOCKS)
    if lowest:
        found += " keeps clocks at their lowest"
    advice = "sudo cpupower frequency-set -g performance"
    return Finding("governor", Level.BAD if lowest else Level.COULD, found, advice)


def _turbo(machine: MachineFacts) -> Finding:
    if machine.cpu_turbo is None:
        return _unknown("turbo")
    if not machine.cpu_turbo:
        return Finding("turbo", Level.OK, "off")
    switch = "0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"
    if machine.cpu_scaling_driver in ("intel_pstate", "intel_cpufreq"):
        switch = "1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    advice = f"without it times are longer, and steadier: echo {switch}"
    return Finding("turbo", Level.COULD, "on: clocks depend on heat and on other cores", advice)


def _smt(machine: MachineFacts) -> Finding:
    if machine.cpu_smt is None:
        return _unknown("SMT")
    if not machine.cpu_smt:
        return Finding("SMT", Level.OK, "each thread has a core of its own")
    cores = machine.cpu_cores_physical
    most = f" at most at {cores}" if cores else " at or below the number of cores"
    return Finding(
        "SMT", Level.COULD, "two threads may share a core", f"keep threads{most}, as by default"
    )


def _quota(machine: MachineFacts) -> Finding:
    quota = machine.cpu_quota_cores
    if quota is None:
        linux = machine.system == "Linux"
        return Finding("quota", Level.OK, "none") if linux else _unknown("quota")
    cores = [c for c in (machine.cpu_cores_usable, machine.cpu_cores_physical) if c]
    found = f"{quota:g} cores' worth of time"
    if not cores or quota >= min(cores):
        return Finding("quota", Level.OK, found)
    return Finding(
        "quota",
        Level.BAD,
        f"{found}, but {min(cores)} are seen: all threads are halted whenever it is used up",
        f"measure with threads={max(int(quota), 1)}, or give the container more",
    )


def _swap(machine: MachineFacts) -> Finding:
    used, total, available = machine.swap_used_mb, machine.cpu_ram_mb, machine.cpu_ram_available_mb
    if used is None:
        return _unknown("swap")
    if used < SWAP_MB:
        return Finding("swap", Level.OK, "not in use")
    scarce = total is not None and available is not None and available < SCARCE_MEMORY * total
    found = f"{used:,} MiB in use"
    if scarce:
        found += f", and {available:,} MiB of memory are available"
    return Finding(
        "swap",
        Level.BAD if scarce else Level.COULD,
        found,
        "close what holds memory and is not needed",
    )


def _swapping(swapped_mb: float) -> Finding:
    return Finding(
        "swap",
        Level.BAD,
        f"{swapped_mb:,.0f} MiB went to it or came back within a second",
        "close what holds memory and is not needed",
    )


def _power(machine: MachineFacts) -> Finding:
    if machine.on_battery:
        return Finding("power", Level.BAD, "from the battery", "connect the machine to the mains")
    if machine.power_profile in _LOW_POWER:
        advice = "powerprofilesctl set performance, or the like"
        return Finding("power", Level.BAD, f"profile {machine.power_profile}", advice)
    if machine.on_battery is None and machine.power_profile is None:
        return _unknown("power")
    known = ["not from the battery"] if machine.on_battery is False else []
    known += [f"profile {machine.power_profile}"] if machine.power_profile else []
    return Finding("power", Level.OK, ", ".join(known))


def _gpu(gpu: GpuCondition) -> Iterator[Finding]:
    yield _gpu_processes(gpu)
    yield _gpu_throttle(gpu)
    if gpu.persistence is None:
        yield _unknown(f"{gpu.gpu} persistence")
    elif gpu.persistence:
        yield Finding(f"{gpu.gpu} persistence", Level.OK, "on")
    else:
        found = "off: the driver goes to sleep between processes"
        yield Finding(f"{gpu.gpu} persistence", Level.COULD, found, "sudo nvidia-smi -pm 1")


def _gpu_processes(gpu: GpuCondition) -> Finding:
    check, advice = f"{gpu.gpu} processes", "end what need not run, or choose another GPU"
    others = [process for process in gpu.processes or () if not process.own]
    if others:
        named = ", ".join(map(_named, others[:_MAX_NAMED]))
        return Finding(check, Level.BAD, f"{len(others)} of others: {named}", advice)
    if gpu.busy_percent is not None and gpu.busy_percent >= GPU_BUSY_PERCENT:
        found = f"it is busy {gpu.busy_percent} % of the time, by what cannot be seen from here"
        return Finding(check, Level.BAD, found, advice)
    return _unknown(check) if gpu.processes is None else Finding(check, Level.OK, "none of others")


def _named(process: GpuProcess) -> str:
    size = "" if process.ram_mb is None else f" with {process.ram_mb:,} MiB"
    return f"{process.name or 'unnamed'} (pid {process.pid}){size}"


def _gpu_throttle(gpu: GpuCondition) -> Finding:
    check = f"{gpu.gpu} clock"
    if gpu.throttle is None:
        return _unknown(check)
    state = [] if gpu.clock_sm_mhz is None else [f"{gpu.clock_sm_mhz} MHz"]
    state += [] if gpu.temperature_c is None else [f"{gpu.temperature_c} °C"]
    if not gpu.throttle:
        return Finding(check, Level.OK, ", ".join(["not lowered", *state]))
    found = f"lowered ({', '.join(gpu.throttle)})"
    advice = "see that it is cooled, or fix a clock that it can hold with nvidia-smi -lgc"
    return Finding(check, Level.BAD, ", ".join([found, *state]), advice)


def _unknown(check: str) -> Finding:
    return Finding(check, Level.UNKNOWN, "the system does not say")
