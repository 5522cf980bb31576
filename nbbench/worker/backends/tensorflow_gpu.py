"""A CUDA device under TensorFlow: the wall clock for time, the allocator and NVML for memory."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Optional
from uuid import UUID

from .. import nvml
from ..measure import Call, wall_stopwatch
from ..memory_profile import MemoryProfile
from ..resident import quick_resident
from .gpu_peaks import PeakOfCalls
from .reference_kernels import tensorflow_layers, tensorflow_layers_name


class GpuDevice:
    """One CUDA device, which is the only one that TensorFlow sees in this process."""

    def __init__(self, tensorflow: Any, index: int) -> None:
        self.name = f"cuda:{index}"
        self._tensorflow = tensorflow
        self.stopwatch = wall_stopwatch(lambda _: tensorflow.test.experimental.sync_devices())
        self.gpu_uuid = uuid_of(index)
        self.memory = GpuMemory(tensorflow, self.gpu_uuid)

    def reference(self) -> Optional[Call]:
        """Matrix products on the GPU."""
        return self.memory.peaks.kept_apart(lambda: tensorflow_layers(self._tensorflow))

    def reference_name(self) -> str:
        """What these products' time depends on."""
        return tensorflow_layers_name(self._tensorflow)


class GpuMemory:
    """The allocator's exact peaks, and the driver's figure for this process."""

    peak_costs_nothing = True

    def __init__(self, tensorflow: Any, gpu_uuid: Optional[str]) -> None:
        self._tensorflow, self._experimental = tensorflow, tensorflow.config.experimental
        self._uuid = gpu_uuid
        self._baseline: Optional[int] = None
        self._weights = 0
        self.peaks = PeakOfCalls(
            lambda: self._given_out("current"),
            lambda: self._given_out("peak"),
            lambda: self._experimental.reset_memory_stats("GPU:0"),
        )
        self.apart = self.peaks.apart

    def before_model(self) -> None:
        """Create the context and take what it costs."""
        self._tensorflow.zeros(1).numpy()
        self._baseline = self._process_bytes()

    def after_model(self) -> None:
        """Take the weights: what the allocator has given out."""
        self._weights = self._given_out("current")

    def start(self) -> None:
        """Reset the allocator's peak."""
        self.peaks.start()

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the calls since `start`."""
        peak = self.peaks.so_far()
        return MemoryProfile(
            method="TensorFlow allocator",
            baseline=self._baseline,
            parameters=parameters,
            weights=self._weights,
            activations=peak - self._weights,
            peak=peak,
            process=self._process_bytes(),
        )

    def now(self) -> tuple[int, Optional[int]]:
        """What the process holds, and what the allocator has given out."""
        return quick_resident(), self._given_out("current")

    def _given_out(self, which: str) -> int:
        """Bytes that the allocator has given out: the ``current`` ones, or their ``peak``."""
        return int(self._experimental.get_memory_info("GPU:0")[which])

    def _process_bytes(self) -> Optional[int]:
        return None if self._uuid is None else nvml.process_bytes(self._uuid, os.getpid())


def uuid_of(index: int) -> Optional[str]:
    """The UUID ("GPU-…") of the GPU that CUDA has at this number; None where there is none.

    TensorFlow numbers GPUs as CUDA does and does not say more of them than their names, so CUDA's
    own library is asked, which this process has begun with already.
    """
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    device, uuid = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    ask = getattr(cuda, "cuDeviceGetUuid_v2", None) or getattr(cuda, "cuDeviceGetUuid", None)
    if ask is None or cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), index):
        return None
    return None if ask(uuid, device) else f"GPU-{UUID(bytes=bytes(uuid))}"
