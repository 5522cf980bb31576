"""A CUDA device under PyTorch: events for time, the allocator and NVML for memory."""

from __future__ import annotations

import os
from typing import Any, Optional

from .. import nvml
from ..measure import Call
from ..memory_profile import MemoryProfile
from ..resident import quick_resident
from .reference_kernels import torch_layers


class CudaDevice:
    """One CUDA device, as PyTorch numbers them (that is, within CUDA_VISIBLE_DEVICES)."""

    def __init__(self, torch: Any, index: int) -> None:
        self.name = f"cuda:{index}"
        self._torch = torch
        torch.cuda.set_device(index)
        torch.cuda.init()
        uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
        self.gpu_uuid = None if uuid is None else f"GPU-{uuid}"
        self.stopwatch = EventStopwatch(torch)
        self.memory = CudaMemory(torch, index, self.gpu_uuid)

    def marks(self) -> EventMarks:
        """What notes moments in the GPU's work."""
        return EventMarks(self._torch)

    def reference(self) -> Optional[Call]:
        """Matrix products on the GPU."""
        return torch_layers(self._torch, self.name)


class EventStopwatch:
    """Seconds between two events on the current stream, around the calls."""

    def __init__(self, torch: Any) -> None:
        self._cuda = torch.cuda

    def __call__(self, call: Call, times: int) -> float:
        """Seconds for ``times`` calls, the device's work included."""
        begin = self._cuda.Event(enable_timing=True)
        end = self._cuda.Event(enable_timing=True)
        repeat = range(times)
        self._cuda.synchronize()
        begin.record()
        for _ in repeat:
            call()
        end.record()
        self._cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


class EventMarks:
    """Moments in the work of a GPU: events on the current stream, which wait for nothing."""

    def __init__(self, torch: Any) -> None:
        self._cuda = torch.cuda
        self._events: list[Any] = []

    def mark(self) -> None:
        """Have the GPU note when it has come this far."""
        event = self._cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def seconds(self) -> list[float]:
        """The times from each event to the next, once all are over."""
        self._cuda.synchronize()
        pairs = zip(self._events, self._events[1:])
        return [float(begin.elapsed_time(end)) / 1e3 for begin, end in pairs]


class CudaMemory:
    """The allocator's exact peaks on one device, and the driver's figure for this process."""

    peak_costs_nothing = True

    def __init__(self, torch: Any, index: int, gpu_uuid: Optional[str]) -> None:
        self._torch, self._cuda, self._index = torch, torch.cuda, index
        self._uuid = gpu_uuid
        self._baseline: Optional[int] = None
        self._weights = 0

    def before_model(self) -> None:
        """Create the context and take what it costs."""
        self._torch.zeros(1, device=f"cuda:{self._index}")
        self._cuda.synchronize(self._index)
        self._cuda.empty_cache()
        self._baseline = self._process_bytes()

    def after_model(self) -> None:
        """Take the weights: what the allocator has given out."""
        self._cuda.synchronize(self._index)
        self._cuda.empty_cache()
        self._weights = self._cuda.memory_allocated(self._index)

    def start(self) -> None:
        """Reset the allocator's peaks."""
        self._cuda.synchronize(self._index)
        self._cuda.reset_peak_memory_stats(self._index)

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the calls since `start`."""
        self._cuda.synchronize(self._index)
        peak = self._cuda.max_memory_allocated(self._index)
        return MemoryProfile(
            method="CUDA allocator",
            baseline=self._baseline,
            parameters=parameters,
            weights=self._weights,
            activations=peak - self._weights,
            peak=peak,
            reserved=self._cuda.max_memory_reserved(self._index),
            process=self._process_bytes(),
        )

    def now(self) -> tuple[int, Optional[int]]:
        """What the process holds, and what the allocator has given out."""
        return quick_resident(), int(self._cuda.memory_allocated(self._index))

    def _process_bytes(self) -> Optional[int]:
        return None if self._uuid is None else nvml.process_bytes(self._uuid, os.getpid())
