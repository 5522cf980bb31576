"""This process's memory on an NVIDIA GPU as the driver counts it, through NVML by ctypes.

The worker may run where no NVML binding is installed, and needs five calls of it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

_SUCCESS, _INSUFFICIENT_SIZE = 0, 7
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
    device = ctypes.c_void_p()
    if library.nvmlDeviceGetHandleByUUID(gpu_uuid.encode(), ctypes.byref(device)) != _SUCCESS:
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
