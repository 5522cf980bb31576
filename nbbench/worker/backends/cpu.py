"""The processor as a device, the same under every framework whose calls return when done."""

from __future__ import annotations

from typing import Optional

from ..measure import wall_stopwatch
from ..process_memory import ProcessMemory


class CpuDevice:
    """The wall clock times it, and the kernel knows the process's memory."""

    name = "cpu"
    gpu_uuid: Optional[str] = None

    def __init__(self) -> None:
        self.stopwatch = wall_stopwatch()
        self.memory = ProcessMemory()
