"""An NVIDIA GPU as its driver sees it, through NVML by ctypes: a process's memory, and the clock.

The worker may run where no NVML binding is installed, and needs few calls of it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from .case import GpuState, throttle_names

_SUCCESS, _INSUFFICIENT_SIZE = 0, 7
_CLOCK_SM, _TEMPERATURE_GPU = 1, 0
_NOT_AVAILABLE = 2**64 - 1


class _ProcessInfo(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def process_bytes(gpu_uuid: str, pid: int) -> Optional[int]:
    """Bytes that process ``pid`` holds on the GPU with this UUID ("GPU-…").

    None where there is no driver, or where it does not list the process (as in a container with
    process ids of its own) or its memory (as on Windows).
    """
    with _driver() as library:
        return None if library is None else _listed_bytes(library, gpu_uuid, pid)


def uuid_at(pci_bus_id: str) -> Optional[str]:
    """The UUID of the GPU at a PCI bus id ("0000:04:00.0"); None where there is none."""
    with _driver() as library:
        if library is None:
            return None
        device, uuid = ctypes.c_void_p(), ctypes.create_string_buffer(96)
        found = library.nvmlDeviceGetHandleByPciBusId_v2(pci_bus_id.encode(), ctypes.byref(device))
        if found != _SUCCESS or library.nvmlDeviceGetUUID(device, uuid, len(uuid)) != _SUCCESS:
            return None
        return uuid.value.decode()


@contextmanager
def watched(gpu_uuid: Optional[str]) -> Iterator[Callable[[], Optional[GpuState]]]:
    """A function that reads the state of the GPU with this UUID, while the context is open.

    It gives None where there is no such GPU, or no driver. Opening the driver takes some ms and
    reading less than one, so that a reading fits between two samples.
    """
    if gpu_uuid is None:
        yield lambda: None
        return
    with _driver() as library:
        device = None if library is None else _handle(library, gpu_uuid)
        yield lambda: None if device is None else _state(library, device)


def _handle(library: Any, gpu_uuid: str) -> Optional[ctypes.c_void_p]:
    device = ctypes.c_void_p()
    found = library.nvmlDeviceGetHandleByUUID(gpu_uuid.encode(), ctypes.byref(device))
    return device if found == _SUCCESS else None


def _state(library: Any, device: ctypes.c_void_p) -> Optional[GpuState]:
    def ask(kind: Any, name: str, *arguments: int) -> Optional[int]:
        question, answer = getattr(library, name, None), kind()
        if question is None or question(device, *arguments, ctypes.byref(answer)) != _SUCCESS:
            return None  # a driver that is too old for it, or a GPU that has none
        return int(answer.value)

    reasons = ask(ctypes.c_ulonglong, "nvmlDeviceGetCurrentClocksEventReasons")
    if reasons is None:  # its name in drivers before 535
        reasons = ask(ctypes.c_ulonglong, "nvmlDeviceGetCurrentClocksThrottleReasons")
    state = GpuState(
        clock_mhz=ask(ctypes.c_uint, "nvmlDeviceGetClockInfo", _CLOCK_SM),
        temperature_c=ask(ctypes.c_uint, "nvmlDeviceGetTemperature", _TEMPERATURE_GPU),
        throttle=None if reasons is None else throttle_names(reasons),
    )
    return None if state == GpuState() else state


@contextmanager
def _driver() -> Iterator[Any]:
    """The driver's library, initialised; None where there is no driver."""
    name = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
    try:
        library: Any = ctypes.CDLL(name)
    except OSError:
        yield None
        return
    if library.nvmlInit_v2() != _SUCCESS:
        yield None
        return
    try:
        yield library
    finally:
        library.nvmlShutdown()


def _listed_bytes(library: Any, gpu_uuid: str, pid: int) -> Optional[int]:
    device = _handle(library, gpu_uuid)
    if device is None:
        return None
    count = ctypes.c_uint(64)
    for _ in range(3):  # processes may start between asking for their number and their list
        infos = (_ProcessInfo * count.value)()
        listed = library.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(count), infos)
        if listed != _INSUFFICIENT_SIZE:
            break
        count.value *= 2
    if listed != _SUCCESS:
        return None
    for info in infos[: count.value]:
        if info.pid == pid and info.used_bytes != _NOT_AVAILABLE:
            return int(info.used_bytes)
    return None
