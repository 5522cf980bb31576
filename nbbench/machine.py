"""What is known of the machine that measures: processor, memory, GPU, load. No names, no paths."""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

_SETTINGS = (
    "CUDA_VISIBLE_DEVICES",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TF_GPU_ALLOCATOR",
)
"""Environment variables that change time or memory."""


def describe_machine() -> dict[str, Any]:
    """The machine now, by the names that the environment frame gives; None where unknown."""
    import psutil

    now = datetime.now()
    memory = psutil.virtual_memory()
    load = psutil.getloadavg()[0]
    described = {
        "nbbench_version": _nbbench_version(),
        "system": platform.system(),
        "kernel_release": platform.release(),
        "architecture": platform.architecture()[0],
        "machine": platform.machine(),
        "date": now.date().isoformat(),
        "time": now.time().isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cpu_cores_physical": psutil.cpu_count(logical=False),
        "cpu_cores_logical": psutil.cpu_count(),
        "cpu_cores_usable": _usable_cores(),
        "cpu_quota_cores": _cpu_quota(),
        "cpu_load_1min": round(load, 2),
        "cpu_ram_mb": memory.total >> 20,
        "cpu_ram_available_mb": memory.available >> 20,
        "settings": ", ".join(
            f"{name}={os.environ[name]}" for name in _SETTINGS if os.environ.get(name)
        ),
        "preloaded": ", ".join(
            os.path.basename(part) for part in re.split("[ :]", os.environ.get("LD_PRELOAD", ""))
        ),
    }
    return {**described, **_describe_gpu()}


def _nbbench_version() -> str:
    from . import __version__

    return __version__


def _cpu_name() -> str:
    """The processor's own name: `platform.processor` gives x86_64, or nothing, on Linux."""
    if sys.platform == "linux":
        with suppress(OSError):
            found = re.search(
                r"^(?:model name|Model|cpu model)\s*:\s*(.+)$",
                Path("/proc/cpuinfo").read_text(errors="replace"),
                re.MULTILINE,
            )
            if found:
                return found[1].strip()
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


def _usable_cores() -> int | None:
    """Logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu_quota() -> float | None:
    """Cores' worth of time that a container may take, where it is limited."""
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else round(int(quota) / int(period), 2)
    return None


def _describe_gpu() -> dict[str, Any]:
    """The first NVIDIA GPU that this process may use, as its driver describes it."""
    import pynvml

    nothing = dict.fromkeys(
        (
            "num_gpus",
            "gpu",
            "gpu_ram_mb",
            "gpu_power_watts",
            "gpu_performance_state",
            "gpu_clock_sm_mhz",
            "gpu_clock_sm_max_mhz",
            "gpu_clock_memory_mhz",
            "gpu_driver",
            "gpu_driver_cuda",
        )
    )
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {**nothing, "num_gpus": 0}
    try:
        return {**nothing, **_read_gpu(pynvml)}
    except pynvml.NVMLError:
        return nothing
    finally:
        pynvml.nvmlShutdown()


def _read_gpu(nvml: Any) -> dict[str, Any]:
    count = nvml.nvmlDeviceGetCount()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(i) for i in range(count)] if visible is None else visible.split(",")
    names = [name.strip() for name in names if name.strip() not in ("", "-1")]
    if not names:
        return {"num_gpus": 0}
    if names[0].isdecimal():
        gpu = nvml.nvmlDeviceGetHandleByIndex(int(names[0]))
    else:
        gpu = nvml.nvmlDeviceGetHandleByUUID(names[0])

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
    return {
        "num_gpus": len(names),
        "gpu": ask(nvml.nvmlDeviceGetName, gpu),
        "gpu_ram_mb": None if memory is None else memory.total >> 20,
        "gpu_power_watts": None if power is None else power / 1000,
        "gpu_performance_state": None if state is None else f"P{state}",
        "gpu_clock_sm_mhz": ask(nvml.nvmlDeviceGetClockInfo, gpu, sm),
        "gpu_clock_sm_max_mhz": ask(nvml.nvmlDeviceGetMaxClockInfo, gpu, sm),
        "gpu_clock_memory_mhz": ask(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_MEM),
        "gpu_driver": ask(nvml.nvmlSystemGetDriverVersion),
        "gpu_driver_cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
    }
