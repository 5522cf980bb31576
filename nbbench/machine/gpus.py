"""NVIDIA GPUs as their driver describes them, through NVML.

CUDA numbers GPUs by its own guess of their speed and within CUDA_VISIBLE_DEVICES, NVML by their
order on the bus; so a GPU that a case ran on is found by its UUID, and never by a number.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


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
    gpu_driver: str | None = None
    gpu_driver_cuda: str | None = None


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES leaves of this machine's GPUs: numbers, or UUIDs, as it has them.

    As in CUDA, the first entry that is no GPU ends the list. Empty where there is no driver.
    """
    with driver() as nvml:
        if nvml is None:
            return []
        count = nvml.nvmlDeviceGetCount()
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


def describe_gpu(uuid: str) -> GpuFacts:
    """The GPU with this UUID ("GPU-…") now."""
    with driver() as nvml:
        if nvml is None:
            return GpuFacts()
        try:
            gpu = nvml.nvmlDeviceGetHandleByUUID(uuid)
        except nvml.NVMLError:
            return GpuFacts()

        def ask(question: Any, *more: Any) -> Any:
            with suppress(nvml.NVMLError):
                answer = question(*more)
                return answer.decode() if isinstance(answer, bytes) else answer
            return None

        memory = ask(nvml.nvmlDeviceGetMemoryInfo, gpu)
        power = ask(nvml.nvmlDeviceGetPowerManagementLimit, gpu)
        state = ask(nvml.nvmlDeviceGetPerformanceState, gpu)
        cuda = ask(nvml.nvmlSystemGetCudaDriverVersion)
        sm = nvml.NVML_CLOCK_SM
        return GpuFacts(
            gpu=ask(nvml.nvmlDeviceGetName, gpu),
            gpu_ram_mb=None if memory is None else memory.total >> 20,
            gpu_power_watts=None if power is None else power / 1000,
            gpu_performance_state=None if state is None else f"P{state}",
            gpu_clock_sm_mhz=ask(nvml.nvmlDeviceGetClockInfo, gpu, sm),
            gpu_clock_sm_max_mhz=ask(nvml.nvmlDeviceGetMaxClockInfo, gpu, sm),
            gpu_clock_memory_mhz=ask(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_MEM),
            gpu_driver=ask(nvml.nvmlSystemGetDriverVersion),
            gpu_driver_cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        )


@contextmanager
def driver() -> Iterator[Any]:
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
        pynvml.nvmlShutdown()
