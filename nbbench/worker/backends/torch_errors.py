"""What exceptions of PyTorch and Transformers say."""

from __future__ import annotations

from typing import Any

from ..exceptions import opening, text_of

_MESSAGES = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",  # of CUDA, HIP, XPU and MPS, by the allocator or by the driver
    "_STATUS_ALLOC_FAILED",  # of cuBLAS, cuDNN and their like
    "Storage size calculation overflowed",
    "Cannot allocate memory",
    "Failed to allocate memory",
    "std::bad_alloc",
)
"""What errors say that have no class of their own."""


def is_out_of_memory(torch: Any, error: BaseException) -> bool:
    """Whether memory ran out: of the host's, PyTorch says so in a RuntimeError's message alone.

    So do drivers of GPUs, where it is not the allocator that finds none, and ONNX Runtime.
    """
    own = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError  # before 2.5
    if isinstance(error, (MemoryError, own)):
        return True
    of_a_runtime = type(error).__module__.startswith("onnxruntime")
    return (of_a_runtime or isinstance(error, (RuntimeError, OSError))) and any(
        part in text_of(error) for part in _MESSAGES
    )


def first_sentence(error: BaseException) -> str:
    """The beginning of what it says."""
    return opening(error).partition(". ")[0]
