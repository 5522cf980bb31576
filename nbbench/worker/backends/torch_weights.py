"""Random weights for PyTorch models, at the speed of copying.

Drawing every weight of a model can take longer than measuring it: some 5 ns each, on one core,
and twice over, since layers draw on construction and Transformers draws again.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BLOCK = 262_139
"""How many numbers are drawn for large tensors, which repeat them.

A prime, so that a row of a matrix is like none of the next 262,138.
"""

_DRAWS = ("normal_", "uniform_")


@contextmanager
def repeating_draws(torch: Any) -> Iterator[None]:
    """Have large tensors on the CPU filled by drawing `BLOCK` numbers and repeating them.

    The numbers have the distribution that was asked for, and dense arithmetic takes no less time
    for repeated ones. Tensors of the same distribution share them, each from another offset on. It
    replaces methods of ``torch.Tensor`` meanwhile, so it is for the process of one case.
    """
    for name in _DRAWS:
        setattr(torch.Tensor, name, _repeating(torch, getattr(torch.Tensor, name)))
    try:
        yield
    finally:
        for name in _DRAWS:
            delattr(torch.Tensor, name)  # what it is derived from has them


def _repeating(torch: Any, draw: Callable[..., Any]) -> Callable[..., Any]:
    twice: dict[tuple[Any, ...], Any] = {}

    def block_of(dtype: Any, parameters: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A block from a random offset on: a view of two that follow each other."""
        key = (dtype, parameters, tuple(sorted(named.items())))
        if key not in twice:
            # Beside the allocator's memory: what lies between weights there leaves holes, and the
            # peaks of calls depend on them.
            memory = mmap.mmap(-1, 2 * BLOCK * dtype.itemsize)
            twice[key] = torch.frombuffer(memory, dtype=dtype)
            twice[key][BLOCK:] = draw(twice[key][:BLOCK], *parameters, **named)
        start = int(torch.randint(BLOCK, ()))
        return twice[key][start : start + BLOCK]

    def drawn(tensor: Any, *parameters: Any, **named: Any) -> Any:
        size = tensor.numel()
        if size <= BLOCK or tensor.device.type != "cpu" or not tensor.is_contiguous():
            return draw(tensor, *parameters, **named)
        with torch.no_grad():
            block = block_of(tensor.dtype, parameters, named)
            flat, whole = tensor.detach().view(-1), size // BLOCK * BLOCK
            flat[:whole].view(-1, BLOCK).copy_(block)
            flat[whole:].copy_(block[: size - whole])
        return tensor

    return drawn
