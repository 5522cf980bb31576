"""Graphics cards by name: their memory, and the most that they can do, as their makers say.

Figures are those of data sheets, without sparsity: the memory, the bytes that it moves in a second,
and floating point operations in a second with matrix units in 16 bits, and in float32 as PyTorch
computes it by default (without TF32).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GIB, TERA, GIGA = 1 << 30, 10**12, 10**9


@dataclass(frozen=True)
class GpuModel:
    """A card: bytes of memory, bytes and operations in a second, and where that is written."""

    name: str
    memory: int
    bytes_per_s: float
    flops_16: float
    flops_32: float
    source: str

    def flops_per_s(self, dtype: str) -> float:
        """The most operations in a second in a number format."""
        return self.flops_16 if dtype in ("float16", "bfloat16") else self.flops_32


def _gpu(
    name: str, gib: int, gb_per_s: float, tflops_16: float, tflops_32: float, source: str
) -> GpuModel:
    return GpuModel(name, gib * GIB, gb_per_s * GIGA, tflops_16 * TERA, tflops_32 * TERA, source)


_ADA = "NVIDIA Ada GPU Architecture, appendix A"
_AMPERE = "NVIDIA Ampere GA102 GPU Architecture, appendix A"

GPUS = (
    _gpu("T4", 16, 320, 65, 8.1, "NVIDIA T4 data sheet"),
    _gpu("P100", 16, 732, 18.7, 9.3, "NVIDIA Tesla P100 data sheet"),
    _gpu("V100-16GB", 16, 900, 125, 15.7, "NVIDIA V100 data sheet (SXM2)"),
    _gpu("V100-32GB", 32, 900, 125, 15.7, "NVIDIA V100 data sheet (SXM2)"),
    _gpu("L4", 24, 300, 121, 30.3, "NVIDIA L4 data sheet"),
    _gpu("A10", 24, 600, 125, 31.2, "NVIDIA A10 data sheet"),
    _gpu("A10G", 24, 600, 70, 31.5, "NVIDIA A10G data sheet"),
    _gpu("L40S", 48, 864, 362, 91.6, "NVIDIA L40S data sheet"),
    _gpu("RTX A6000", 48, 768, 154.8, 38.7, "NVIDIA RTX A6000 data sheet"),
    _gpu("A100-40GB", 40, 1555, 312, 19.5, "NVIDIA A100 data sheet (SXM)"),
    _gpu("A100-80GB", 80, 2039, 312, 19.5, "NVIDIA A100 data sheet (SXM)"),
    _gpu("H100", 80, 3350, 989, 67, "NVIDIA H100 data sheet (SXM)"),
    _gpu("H200", 141, 4800, 989, 67, "NVIDIA H200 data sheet (SXM)"),
    _gpu("RTX 3060", 12, 360, 51.2, 12.7, _AMPERE),
    _gpu("RTX 3090", 24, 936, 142, 35.6, _AMPERE),
    _gpu("RTX 4060", 8, 272, 60, 15.1, "NVIDIA GeForce RTX 4060 specifications"),
    _gpu("RTX 4090", 24, 1008, 330, 82.6, _ADA),
)


def gpu_named(name: str) -> GpuModel | None:
    """The card with this name, in whatever spelling; None where it is not known."""
    wanted = _plain(name)
    for gpu in GPUS:
        if _plain(gpu.name) == wanted:
            return gpu
    return None


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(nvidia|geforce|tesla)+", "", plain)
