"""Whether what is predicted fits in a memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ..errors import ArgumentError, did_you_mean
from ..machine.gpu_models import GIB, GPUS, GpuModel, gpu_named, gpus_like
from ..text import quoted
from ..units import bytes_of
from ..worker.prediction import Prediction

MARGIN = 0.1
"""What an allocator may hold beside the tensors, as a part of them: holes, rounding."""

AROUND = 600 << 20
"""Bytes that a process holds beside tensors: CUDA's context and libraries, or PyTorch's own."""


class Fit(str, Enum):
    """Whether a case fits: with a margin for what is no tensor, only without it, or not at all."""

    FITS = "fits"
    MARGIN = "within the margin"
    NOT = "does not fit"


@dataclass(frozen=True)
class DeviceMemory:
    """A memory that cases shall fit in, and the card that has it, where one was named."""

    size: int
    gpu: GpuModel | None = None

    @classmethod
    def of(cls, given: object) -> DeviceMemory:
        """The memory of a size like ``"16 GB"``, or of a card like ``"T4"``.

        Raises `ArgumentError` for what is neither.
        """
        gpu = gpu_named(given) if isinstance(given, str) else None
        if gpu is not None:
            return cls(gpu.memory, gpu)
        try:
            return cls(bytes_of(given))
        except ArgumentError:
            names = [gpu.name for gpu in GPUS]
            like = gpus_like(given) if isinstance(given, str) else []
            hint = f"; did you mean {' or '.join(like)}?" if like else ""
            if isinstance(given, str) and not like:
                hint = did_you_mean(given, names)
            raise ArgumentError(
                f"device_memory: {quoted(given)} is neither a size like '16 GB' nor one of "
                f"{', '.join(names)}{hint}"
            ) from None

    @property
    def sentence(self) -> str:
        """What the memory is, and what fitting in it means."""
        name = "" if self.gpu is None else f"{self.gpu.name}, "
        return (
            f"fits in {name}{self.size / GIB:,.4g} GiB: {MARGIN:.0%} and {AROUND >> 20} MiB are "
            f"left for what is no tensor; within the margin: the tensors fit, and perhaps not what "
            f"is around them"
        )

    def warning(self, dtypes: Iterable[str]) -> str:
        """What has to be known of these number formats on the card; empty for nothing."""
        if self.gpu is None or self.gpu.has_bfloat16 or "bfloat16" not in dtypes:
            return ""
        return f"{self.gpu.name} has no units for bfloat16, and computes it slowly: take float16"

    def at_least_s(self, prediction: Prediction) -> float | None:
        """The roofline's bound of a call: by its operations, or by the weights that it reads.

        None where no card was named. (Williams, Waterman and Patterson, *Roofline: an insightful
        visual performance model*, CACM 52/4, 2009.)
        """
        if self.gpu is None:
            return None
        call = prediction.call
        computing_s = (call.flops or 0) / self.gpu.flops_per_s(prediction.dtype)
        return max(computing_s, call.read / self.gpu.bytes_per_s)

    def fit(self, tensors: int) -> Fit:
        """Whether so many bytes of tensors fit."""
        if tensors > self.size:
            return Fit.NOT
        return Fit.FITS if needed(tensors) <= self.size else Fit.MARGIN


def needed(tensors: int) -> int:
    """The bytes that surely hold so many bytes of tensors, and what is around them."""
    return round(tensors * (1 + MARGIN)) + AROUND
