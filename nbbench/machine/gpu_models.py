"""Graphics cards by name: their memory, and the most that they can do, as their makers say.

The memory is what PyTorch finds on the card, as its messages name it when memory runs out: less
than is printed on it. The other figures are those of data sheets, without sparsity: bytes that it
moves in a second, and floating point operations in a second with matrix units in 16 bits, and in
float32 as PyTorch computes it by default (without TF32).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GIB, TERA, GIGA = 1 << 30, 10**12, 10**9


@dataclass(frozen=True)
class GpuModel:
    """A card: bytes of memory, bytes and operations in a second, and where that is written.

    ``has_bfloat16`` says whether it has units for bfloat16; one without computes it slowly.
    """

    name: str
    memory: int
    bytes_per_s: float
    flops_16: float
    flops_32: float
    source: str
    has_bfloat16: bool = True

    def flops_per_s(self, dtype: str) -> float:
        """The most operations in a second in a number format."""
        return self.flops_16 if dtype in ("float16", "bfloat16") else self.flops_32


def _gpu(
    name: str,
    gib: float,
    gb_per_s: float,
    tflops_16: float,
    tflops_32: float,
    source: str,
    has_bfloat16: bool = True,
) -> GpuModel:
    memory = round(gib * GIB)
    return GpuModel(
        name, memory, gb_per_s * GIGA, tflops_16 * TERA, tflops_32 * TERA, source, has_bfloat16
    )


_ADA = "NVIDIA Ada GPU Architecture, appendix A"
_AMPERE = "NVIDIA Ampere GA102 GPU Architecture, appendix A"

GPUS = (
    _gpu("T4", 14.56, 320, 65, 8.1, "NVIDIA T4 data sheet", has_bfloat16=False),
    _gpu("P100", 15.89, 732, 18.7, 9.3, "NVIDIA Tesla P100 data sheet", has_bfloat16=False),
    _gpu("V100-16GB", 15.77, 900, 125, 15.7, "NVIDIA V100 data sheet (SXM2)", has_bfloat16=False),
    _gpu("V100-32GB", 31.73, 900, 125, 15.7, "NVIDIA V100 data sheet (SXM2)", has_bfloat16=False),
    _gpu("L4", 22.03, 300, 121, 30.3, "NVIDIA L4 data sheet"),
    _gpu("A10", 22.06, 600, 125, 31.2, "NVIDIA A10 data sheet"),
    _gpu("A10G", 22.19, 600, 70, 31.5, "NVIDIA A10G data sheet"),
    _gpu("L40S", 44.39, 864, 362, 91.6, "NVIDIA L40S data sheet"),
    _gpu("RTX A6000", 47.53, 768, 154.8, 38.7, "NVIDIA RTX A6000 data sheet"),
    _gpu("A100-40GB", 39.39, 1555, 312, 19.5, "NVIDIA A100 data sheet (SXM)"),
    _gpu("A100-80GB", 79.15, 2039, 312, 19.5, "NVIDIA A100 data sheet (SXM)"),
    _gpu("H100", 79.1, 3350, 989, 67, "NVIDIA H100 data sheet (SXM)"),
    _gpu("H200", 139.7, 4800, 989, 67, "NVIDIA H200 data sheet (SXM)"),
    # GeForce cards in 16 bits with sums in float32, as PyTorch adds up by default: half of the
    # better known figure, which is with sums in float16. Others do both at one rate.
    _gpu("RTX 3060", 11.75, 360, 25.6, 12.7, _AMPERE),
    _gpu("RTX 3090", 23.68, 936, 71, 35.6, _AMPERE),
    _gpu("RTX 4060", 7.63, 272, 30, 15.1, "NVIDIA GeForce RTX 4060 specifications"),
    _gpu("RTX 4090", 23.52, 1008, 165.2, 82.6, _ADA),
)


def gpu_named(name: str) -> GpuModel | None:
    """The card with this name, in whatever spelling; None where it is not known."""
    wanted = _plain(name)
    for gpu in GPUS:
        if _plain(gpu.name) == wanted:
            return gpu
    return None


def gpus_like(name: str) -> list[str]:
    """The names of cards that begin, or end, with what was given."""
    wanted = _plain(name)
    plain = {gpu.name: _plain(gpu.name) for gpu in GPUS}
    return [n for n, p in plain.items() if wanted and (p.startswith(wanted) or p.endswith(wanted))]


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(nvidia|geforce|tesla)+", "", plain)
