"""GPUs under PyTorch: events for time, the allocator (and NVIDIA's driver) for memory.

CUDA and ROCm are both ``torch.cuda``; Intel's GPUs are ``torch.xpu``, which has the same functions.
Apple's (``torch.mps``) have no events that can be timed across, and no peak: the clock is read when
the work is done, and the allocator is asked every 5 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Optional

from .. import nvml
from ..measure import Call, WallMarks, wall_stopwatch
from ..memory_profile import MemoryProfile
from ..resident import Polling, quick_resident
from .gpu_peaks import PeakOfCalls
from .reference_kernels import torch_layers, torch_layers_name


class GpuDevice:
    """One GPU, as PyTorch numbers them (that is, within CUDA_VISIBLE_DEVICES).

    ``kind`` is "cuda" (ROCm's too) or "xpu".
    """

    def __init__(self, torch: Any, index: int, kind: str = "cuda") -> None:
        self.name = f"{kind}:{index}"
        self._torch, self._gpus, self._index = torch, getattr(torch, kind), index
        self._gpus.set_device(index)
        self._gpus.init()
        uuid = getattr(self._gpus.get_device_properties(index), "uuid", None)
        of_nvidia = kind == "cuda" and not getattr(torch.version, "hip", None)
        self.gpu_uuid = f"GPU-{uuid}" if of_nvidia and uuid is not None else None
        self.stopwatch = EventStopwatch(self._gpus)
        self.memory = AllocatorMemory(torch, index, kind, self.gpu_uuid)

    def limit_memory(self, size: int) -> None:
        """Have the allocator refuse what goes beyond so many bytes; the context is not counted."""
        limit = getattr(self._gpus, "set_per_process_memory_fraction", None)
        if limit is not None:
            total = self._gpus.get_device_properties(self._index).total_memory
            limit(min(size / total, 1.0), self._index)

    def marks(self) -> EventMarks:
        """What notes moments in the GPU's work."""
        return EventMarks(self._gpus)

    def reference(self) -> Optional[Call]:
        """Matrix products on the GPU."""
        return self.memory.peaks.kept_apart(lambda: torch_layers(self._torch, self.name))

    def reference_name(self) -> str:
        """What these products' time depends on."""
        return torch_layers_name(self._torch)

    def asking_s(self, call: Call) -> float:
        """Seconds after which the CPU has asked for all that a call does."""
        return asking_s(call, self._gpus.synchronize)


def asking_s(call: Call, wait: Callable[[], object]) -> float:
    """Seconds that a call takes to return, of a GPU that has nothing else to do."""
    wait()
    begin = time.perf_counter()
    call()
    seconds = time.perf_counter() - begin
    wait()
    return seconds


class EventStopwatch:
    """Seconds between two events on the current stream, around the calls."""

    def __init__(self, gpus: Any) -> None:
        self._gpus = gpus

    def __call__(self, call: Call, times: int) -> float:
        """Seconds for ``times`` calls, the device's work included."""
        begin = self._gpus.Event(enable_timing=True)
        end = self._gpus.Event(enable_timing=True)
        repeat = range(times)
        self._gpus.synchronize()
        begin.record()
        for _ in repeat:
            call()
        end.record()
        self._gpus.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


class EventMarks:
    """Moments in the work of a GPU: events on the current stream, which wait for nothing."""

    def __init__(self, gpus: Any) -> None:
        self._gpus = gpus
        self._events: list[Any] = []

    def mark(self) -> None:
        """Have the GPU note when it has come this far."""
        event = self._gpus.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def seconds(self) -> list[float]:
        """The times from each event to the next, once all are over."""
        self._gpus.synchronize()
        pairs = zip(self._events, self._events[1:])
        return [float(begin.elapsed_time(end)) / 1e3 for begin, end in pairs]


class AllocatorMemory:
    """The allocator's exact peaks on one device, and the driver's figure for this process."""

    peak_costs_nothing = True

    def __init__(self, torch: Any, index: int, kind: str, gpu_uuid: Optional[str]) -> None:
        self._torch, self._gpus, self._index, self._kind = torch, getattr(torch, kind), index, kind
        self._uuid = gpu_uuid
        self._baseline: Optional[int] = None
        self._weights = 0
        self.peaks = PeakOfCalls(
            lambda: int(self._gpus.memory_allocated(index)),
            lambda: int(self._gpus.max_memory_allocated(index)),
            lambda: self._gpus.reset_peak_memory_stats(index),
            lambda: int(self._gpus.memory_reserved(index)),
        )
        self.apart = self.peaks.apart

    def before_model(self) -> None:
        """Create the context and take what it costs."""
        self._torch.zeros(1, device=f"{self._kind}:{self._index}")
        self._gpus.synchronize(self._index)
        self._gpus.empty_cache()
        self._baseline = self._process_bytes()

    def after_model(self) -> None:
        """Take the weights: what the allocator has given out."""
        self._gpus.synchronize(self._index)
        self._gpus.empty_cache()
        self._weights = self._gpus.memory_allocated(self._index)

    def start(self) -> None:
        """Reset the allocator's peaks."""
        self._gpus.synchronize(self._index)
        self.peaks.start()

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the calls since `start`."""
        self._gpus.synchronize(self._index)
        peak = self.peaks.so_far()
        reserved = self._gpus.max_memory_reserved(self._index) - self.peaks.reserved_apart
        return MemoryProfile(
            method=f"{self._kind.upper()} allocator",
            baseline=self._baseline,
            parameters=parameters,
            weights=self._weights,
            activations=peak - self._weights,
            peak=peak,
            reserved=max(reserved, peak),  # calls may live in what was reserved for others
            process=self._process_bytes(),
        )

    def now(self) -> tuple[int, Optional[int]]:
        """What the process holds, and what the allocator has given out."""
        return quick_resident(), int(self._gpus.memory_allocated(self._index))

    def _process_bytes(self) -> Optional[int]:
        return None if self._uuid is None else nvml.process_bytes(self._uuid, os.getpid())


class MpsDevice:
    """Apple's GPU, which shares the machine's memory."""

    name = "mps"
    gpu_uuid: Optional[str] = None

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.stopwatch = wall_stopwatch(lambda _: torch.mps.synchronize())
        self.memory = MpsMemory(torch)

    def marks(self) -> MpsMarks:
        """What notes moments in the GPU's work."""
        return MpsMarks(self._torch)

    def reference(self) -> Optional[Call]:
        """Matrix products on the GPU."""
        return torch_layers(self._torch, self.name)

    def reference_name(self) -> str:
        """What these products' time depends on."""
        return torch_layers_name(self._torch)

    def asking_s(self, call: Call) -> float:
        """Seconds after which the CPU has asked for all that a call does."""
        return asking_s(call, self._torch.mps.synchronize)


class MpsMarks(WallMarks):
    """Moments at which the GPU was waited for, each of which costs it a moment."""

    def __init__(self, torch: Any) -> None:
        super().__init__()
        self._torch = torch

    def mark(self) -> None:
        """Wait for the GPU, and note the moment."""
        self._torch.mps.synchronize()
        super().mark()


class MpsMemory:
    """What the allocator has given out, asked for every 5 ms, in calls of their own."""

    peak_costs_nothing = False

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._weights, self._baseline = 0, 0
        self._polling = Polling(self._allocated)

    def before_model(self) -> None:
        """Free what is free, and take what else is given out."""
        self._torch.mps.synchronize()
        self._torch.mps.empty_cache()
        self._baseline = self._allocated()

    def after_model(self) -> None:
        """Take the weights: what the allocator has given out since."""
        self._torch.mps.synchronize()
        self._weights = self._allocated() - self._baseline

    def start(self) -> None:
        """Begin to ask."""
        self._polling.start()

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the calls since `start`."""
        self._torch.mps.synchronize()
        peak = self._polling.stop()
        return MemoryProfile(
            method="MPS allocator, polling at 5 ms",
            baseline=self._baseline,
            parameters=parameters,
            weights=self._weights,
            activations=max(peak - self._weights - self._baseline, 0),
            peak=peak,
            reserved=int(self._torch.mps.driver_allocated_memory()),
        )

    def now(self) -> tuple[int, Optional[int]]:
        """What the process holds, and what the allocator has given out."""
        return quick_resident(), self._allocated()

    def _allocated(self) -> int:
        return int(self._torch.mps.current_allocated_memory())
