"""Bytes that PyTorch's operations read and write.

An operation reads its inputs and writes its outputs, but for those that look up or replace some
rows of a tensor, as an embedding does: the others are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LOOK_UP = frozenset(
    ("embedding", "index_select", "index", "_unsafe_index", "gather", "take", "take_along_dim")
)
"""Each reads as much of its first input as it writes."""

_REPLACE = frozenset(
    ("index_copy_", "index_put_", "_index_put_impl_", "index_add_", "index_fill_", "scatter_",
     "scatter_add_", "masked_scatter_")
)  # fmt: skip
"""Each writes as much into its first input as the last one holds."""


def bytes_moved(operation: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Bytes that one call reads and writes, by its tensors in order."""
    name = operation.overloadpacket.__name__
    read, written = [size_of(each) for each in inputs], sum(map(size_of, outputs))
    if name in _LOOK_UP and read:
        return min(read[0], written) + sum(read[1:]) + written
    if name in _REPLACE and len(read) > 1:
        return sum(read[1:]) + min(read[0], read[-1])
    return sum(read) + written


def size_of(tensor: Any) -> int:
    """Bytes of a tensor's elements."""
    return int(tensor.numel() * tensor.element_size())
