"""An NVIDIA GPU as its driver sees it, through NVML by ctypes: a process's memory, and the clock.

The worker may run where no NVML binding is installed, and needs few calls of it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from .timing import GpuState, throttle_names

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


class _FirstProcessInfo(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("used_bytes", ctypes.c_ulonglong)]


_PROCESS_LISTS: tuple[tuple[str, Any], ...] = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", _ProcessInfo),
    ("nvmlDeviceGetComputeRunningProcesses_v2", _ProcessInfo),
    ("nvmlDeviceGetComputeRunningProcesses", _FirstProcessInfo),
)
"""The function that lists processes, as newer and older drivers have it, and what it fills."""


def process_bytes(gpu_uuid: str, pid: int) -> Optional[int]:
    """Bytes that process ``pid`` holds on the GPU with this UUID ("GPU-…").

    None where there is no driver, or where it does not list the process (as in a container with
    process ids of its own) or its memory (as on Windows).
    """
    with _driver() as library:
        return None if library is None else _listed_bytes(library, gpu_uuid, pid)


def energy_joules(gpu_uuid: str) -> Optional[float]:
    """What the GPU with this UUID has taken since its driver was loaded; None where unknown.

    Counted by the driver since Volta; an instance of a GPU (MIG) has no counter of its own.
    """
    with _driver() as library:
        device = None if library is None else _handle(library, gpu_uuid)
        if device is None:
            return None
        millijoules = ctypes.c_ulonglong()
        name = "nvmlDeviceGetTotalEnergyConsumption"
        answer = _called(library, name, device, ctypes.byref(millijoules))
        return millijoules.value / 1e3 if answer == _SUCCESS else None


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
    name = "nvmlDeviceGetHandleByUUID"
    found = _called(library, name, gpu_uuid.encode(), ctypes.byref(device))
    return device if found == _SUCCESS else None


def _state(library: Any, device: ctypes.c_void_p) -> Optional[GpuState]:
    def ask(kind: Any, name: str, *arguments: int) -> Optional[int]:
        answer = kind()
        if _called(library, name, device, *arguments, ctypes.byref(answer)) != _SUCCESS:
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
    began = _called(library, "nvmlInit_v2")
    if (_called(library, "nvmlInit") if began is None else began) != _SUCCESS:
        yield None
        return
    try:
        yield library
    finally:
        _called(library, "nvmlShutdown")


def _called(library: Any, name: str, *arguments: Any) -> Optional[int]:
    """The code that a function of the driver's returns; None where the driver has no such one."""
    function = getattr(library, name, None)
    return None if function is None else int(function(*arguments))


def _listed_bytes(library: Any, gpu_uuid: str, pid: int) -> Optional[int]:
    device = _handle(library, gpu_uuid)
    if device is None:
        return None
    for name, kind in _PROCESS_LISTS:
        found = _listed(library, name, kind, device)
        if found is not None:
            return next((used for each, used in found if each == pid), None)
    return None


def _listed(
    library: Any, name: str, kind: Any, device: ctypes.c_void_p
) -> Optional[list[tuple[int, int]]]:
    """The processes on a GPU whose memory is known, with it; None without such a list."""
    count = ctypes.c_uint(64)
    for _ in range(3):  # processes may start between asking for their number and their list
        infos = (kind * count.value)()
        answer = _called(library, name, device, ctypes.byref(count), infos)
        if answer != _INSUFFICIENT_SIZE:
            break
        count.value *= 2
    if answer != _SUCCESS:
        return None
    every = infos[: count.value]
    return [(i.pid, int(i.used_bytes)) for i in every if i.used_bytes != _NOT_AVAILABLE]
