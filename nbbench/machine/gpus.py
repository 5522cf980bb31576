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


def visible_gpus() -> list[str | None]:
    """The UUIDs of the GPUs that CUDA sees, in the order of its numbers; None for an unknown one.

    As in CUDA, the first entry of CUDA_VISIBLE_DEVICES that is no GPU ends the list, and a UUID may
    be shortened. Which GPUs numbers mean is known where CUDA goes by the bus, or all are alike.
    Empty where there is no driver, or one that cannot count them.
    """
    with _driver() as nvml:
        return [] if nvml is None else _visible(nvml)


def _visible(nvml: Any) -> list[str | None]:
    """The same, of a driver that is initialised."""
    every = _uuids(nvml)
    is_known = _numbers_follow_the_bus(nvml, len(every))
    by_number = [uuid if is_known else None for uuid in every]
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return by_number
    found: list[str | None] = []
    for name in map(str.strip, named.split(",")):
        if name.isdecimal() and int(name) < len(every):
            found.append(by_number[int(name)])
        elif name.startswith(("GPU-", "MIG-")) and _whole(name, every) is not None:
            found.append(_whole(name, every))
        else:
            break
    return found


def _uuids(nvml: Any) -> list[str | None]:
    """The UUIDs of all GPUs in NVML's order, which is that of the bus."""
    gpus = (_gpu_at(nvml, number) for number in range(_ask(nvml, "nvmlDeviceGetCount") or 0))
    return [None if gpu is None else _ask(nvml, "nvmlDeviceGetUUID", gpu) for gpu in gpus]


def _gpu_at(nvml: Any, number: int) -> Any:
    return _ask(nvml, "nvmlDeviceGetHandleByIndex", number)


def _numbers_follow_the_bus(nvml: Any, count: int) -> bool:
    """Whether CUDA's numbers are NVML's; else it puts those first that it takes to be faster."""
    if os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return True
    gpus = (_gpu_at(nvml, number) for number in range(count))
    return len({gpu and _ask(nvml, "nvmlDeviceGetName", gpu) for gpu in gpus}) <= 1


def _whole(name: str, every: Sequence[str | None]) -> str | None:
    """The UUID that begins so; None where none does, or several. Instances (MIG) are not listed."""
    if name.startswith("MIG-"):
        return name
    found = [uuid for uuid in every if uuid is not None and uuid.startswith(name)]
    return found[0] if len(found) == 1 else None


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
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, as far as they are known; empty without a driver.

    Without that variable all are left, in whichever order.
    """
    with _driver() as nvml:
        if nvml is None:
            return []
        unset = os.environ.get("CUDA_VISIBLE_DEVICES") is None
        uuids = _uuids(nvml) if unset else _visible(nvml)
        gpus = [_ask(nvml, "nvmlDeviceGetHandleByUUID", uuid) for uuid in uuids if uuid is not None]
        return [_condition(nvml, gpu) for gpu in gpus if gpu is not None]


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
