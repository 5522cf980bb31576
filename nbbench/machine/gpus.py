"""NVIDIA GPUs as their driver describes them, through NVML.

CUDA numbers GPUs by its own guess of their speed and within CUDA_VISIBLE_DEVICES, NVML by their
order on the bus; so a GPU that a case ran on is found by its UUID, and never by a number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..worker.timing import throttle_names

_FIRST_PIDS = "pid:[4026531836]"
"""Linux's name for the process ids of the machine itself (``PROC_PID_INIT_INO``)."""


@dataclass(frozen=True)
class GpuFacts:
    """A GPU as its driver describes it; None where that is unknown."""

    gpu: str | None = None
    gpu_ram_mb: int | None = None
    gpu_power_watts: float | None = None
    gpu_performance_state: str | None = None
    gpu_clock_sm_mhz: int | None = None
    gpu_clock_sm_max_mhz: int | None = None
    gpu_clock_memory_mhz: int | None = None
    gpu_temperature_c: int | None = None
    gpu_throttle_reasons: str | None = None
    gpu_persistence: bool | None = None
    gpu_driver: str | None = None
    gpu_driver_cuda: str | None = None


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES leaves of this machine's GPUs: numbers, or UUIDs, as it has them.

    As in CUDA, the first entry that is no GPU ends the list. Empty where there is no driver, or
    one that cannot count them.
    """
    with _driver() as nvml:
        if nvml is None:
            return []
        count = _ask(nvml, "nvmlDeviceGetCount")
        if count is None:
            return []
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        if named is None:
            return [str(number) for number in range(count)]
        found: list[str] = []
        for name in map(str.strip, named.split(",")):
            known = int(name) < count if name.isdecimal() else name.startswith(("GPU-", "MIG-"))
            if not known:
                break
            found.append(name)
        return found


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU; ``name`` is empty where it cannot be seen from this one."""

    pid: int
    name: str
    ram_mb: int | None
    own: bool


@dataclass(frozen=True)
class GpuCondition:
    """What makes a GPU's times unsteady, as its driver has it now; None where that is unknown.

    ``busy_percent`` is the part of the last second or less in which anything ran on it.
    """

    gpu: str
    processes: tuple[GpuProcess, ...] | None
    throttle: tuple[str, ...] | None
    persistence: bool | None
    temperature_c: int | None
    clock_sm_mhz: int | None
    clock_sm_max_mhz: int | None
    busy_percent: int | None


def visible_conditions() -> list[GpuCondition]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves; empty where there is no driver."""
    names = visible_gpus()
    if not names:
        return []
    with _driver() as nvml:
        if nvml is None:
            return []
        conditions = []
        for name in names:
            with suppress(nvml.NVMLError, AttributeError):
                find = nvml.nvmlDeviceGetHandleByUUID
                find = nvml.nvmlDeviceGetHandleByIndex if name.isdecimal() else find
                conditions.append(_condition(nvml, find(int(name) if name.isdecimal() else name)))
        return conditions


def other_processes(conditions: Sequence[GpuCondition]) -> int | None:
    """How many processes of others compute on these GPUs; None where that is unknown."""
    lists = [condition.processes for condition in conditions]
    known = [processes for processes in lists if processes is not None]
    if len(known) < len(lists) or not lists:
        return None
    return len({process.pid for each in known for process in each if not process.own})


def _condition(nvml: Any, gpu: Any) -> GpuCondition:
    ask = partial(_ask, nvml)
    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons", gpu)
    if reasons is None:  # its name in drivers before 535
        reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons", gpu)
    processes = ask("nvmlDeviceGetComputeRunningProcesses", gpu) if _sees_all_pids() else None
    busy = ask("nvmlDeviceGetUtilizationRates", gpu)
    persistence = ask("nvmlDeviceGetPersistenceMode", gpu)
    return GpuCondition(
        gpu=ask("nvmlDeviceGetName", gpu) or "GPU",
        processes=None if processes is None else tuple(map(_process, processes)),
        throttle=None if reasons is None else throttle_names(reasons),
        persistence=None if persistence is None else bool(persistence),
        temperature_c=ask("nvmlDeviceGetTemperature", gpu, nvml.NVML_TEMPERATURE_GPU),
        clock_sm_mhz=ask("nvmlDeviceGetClockInfo", gpu, nvml.NVML_CLOCK_SM),
        clock_sm_max_mhz=ask("nvmlDeviceGetMaxClockInfo", gpu, nvml.NVML_CLOCK_SM),
        busy_percent=None if busy is None else int(busy.gpu),
    )


def _sees_all_pids() -> bool:
    """Whether the driver's process ids mean here what they mean to it: not so in a container."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST_PIDS
    except OSError:
        return sys.platform == "win32"


def _process(info: Any) -> GpuProcess:
    import psutil

    name = ""
    with suppress(psutil.Error):  # that of another container, or of another user
        name = psutil.Process(info.pid).name()
    used = info.usedGpuMemory
    return GpuProcess(info.pid, name, None if used is None else used >> 20, info.pid == os.getpid())


def _ask(nvml: Any, name: str, *arguments: Any) -> Any:
    """What the driver answers; None where it, or the binding, does not know the question.

    Of a driver older than itself the binding says so by an error that is no NVMLError.
    """
    mismatch = getattr(nvml, "NVMLLibraryMismatchError", nvml.NVMLError)
    with suppress(nvml.NVMLError, mismatch, AttributeError):
        answer = getattr(nvml, name)(*arguments)
        return answer.decode() if isinstance(answer, bytes) else answer
    return None


def describe_gpu(uuid: str) -> GpuFacts:
    """The GPU with this UUID ("GPU-…") now."""
    with _driver() as nvml:
        if nvml is None:
            return GpuFacts()
        try:
            gpu = nvml.nvmlDeviceGetHandleByUUID(uuid)
        except (nvml.NVMLError, AttributeError):
            return GpuFacts()

        ask = partial(_ask, nvml)
        memory = ask("nvmlDeviceGetMemoryInfo", gpu)
        power = ask("nvmlDeviceGetPowerManagementLimit", gpu)
        state = ask("nvmlDeviceGetPerformanceState", gpu)
        cuda = ask("nvmlSystemGetCudaDriverVersion")
        condition = _condition(nvml, gpu)
        return GpuFacts(
            gpu=ask("nvmlDeviceGetName", gpu),
            gpu_ram_mb=None if memory is None else memory.total >> 20,
            gpu_power_watts=None if power is None else power / 1000,
            gpu_performance_state=None if state is None else f"P{state}",
            gpu_clock_sm_mhz=condition.clock_sm_mhz,
            gpu_clock_sm_max_mhz=condition.clock_sm_max_mhz,
            gpu_clock_memory_mhz=ask("nvmlDeviceGetClockInfo", gpu, nvml.NVML_CLOCK_MEM),
            gpu_driver=ask("nvmlSystemGetDriverVersion"),
            gpu_temperature_c=condition.temperature_c,
            gpu_throttle_reasons=_listed(condition.throttle),
            gpu_persistence=condition.persistence,
            gpu_driver_cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        )


def _listed(throttle: tuple[str, ...] | None) -> str | None:
    return None if throttle is None else ", ".join(throttle) or "none"


@contextmanager
def _driver() -> Iterator[Any]:
    """NVML, initialised; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
