"""What exceptions of PyTorch and Transformers say."""

from __future__ import annotations

from typing import Any

from ..exceptions import opening, text_of


def is_out_of_memory(torch: Any, error: BaseException) -> bool:
    """Whether memory ran out: of the host's, PyTorch says so in a RuntimeError's message alone."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    messages = (
        "can't allocate memory",
        "not enough memory",
        "CUDA out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "Storage size calculation overflowed",
        "Cannot allocate memory",
    )
    return isinstance(error, (RuntimeError, OSError)) and any(
        part in text_of(error) for part in messages
    )


def first_sentence(error: BaseException) -> str:
    """The beginning of what it says."""
    return opening(error).partition(". ")[0]
