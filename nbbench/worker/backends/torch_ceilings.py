"""PyTorch's work by which a device's ceilings are measured."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from ..backend import Unsupported
from ..measure import Call

_TINY_LAYERS = 8
_TINY_WIDTH = 16
_COLUMNS = 1024


class TorchWorks:
    """The work in one dtype, on a device by its name; raises `Unsupported` for whole numbers."""

    def __init__(self, torch: Any, device: str, dtype: str) -> None:
        kind = getattr(torch, dtype, None)
        if not (isinstance(kind, torch.dtype) and kind.is_floating_point):
            raise Unsupported(f"there are no ceilings for weights of {dtype or 'no dtype'}")
        self._torch, self._device, self._dtype = torch, device, kind

    def product(self, size: int) -> Call:
        """A product of two square matrices of this size, of random numbers as models have them."""
        torch = self._torch
        left, right = (
            torch.rand(size, size, device=self._device).to(self._dtype) for _ in range(2)
        )
        result = torch.empty(size, size, device=self._device, dtype=self._dtype)
        return self._quick(lambda: torch.mm(left, right, out=result))

    def moves(self, buffer: int, part: int) -> list[tuple[Call, int]]:
        """Copying, which reads and writes, and matrix times vector, which reads as decoding does.

        A processor reads a line before it writes to it, so that copying moves more than it counts.
        """
        torch = self._torch
        source, target = (
            torch.ones(buffer // self._dtype.itemsize, device=self._device, dtype=self._dtype)
            for _ in range(2)
        )
        length = part // self._dtype.itemsize
        pairs = cycle(list(zip(source.split(length), target.split(length))))
        matrices = cycle([each.view(-1, _COLUMNS) for each in source.split(length)])
        vector = torch.ones(_COLUMNS, device=self._device, dtype=self._dtype)
        rows = torch.empty(length // _COLUMNS, device=self._device, dtype=self._dtype)

        def copy() -> None:
            read, written = next(pairs)
            written.copy_(read)

        def read() -> None:
            torch.mv(next(matrices), vector, out=rows)

        return [(self._quick(copy), 2 * part), (self._quick(read), part)]

    def tiny(self) -> tuple[Call, int]:
        """Layers so small that the time goes into asking for them."""
        nn = self._torch.nn
        layers = [
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
            for width in [_TINY_WIDTH] * _TINY_LAYERS
        ]
        model = nn.Sequential(*layers).to(device=self._device, dtype=self._dtype).eval()
        rows = self._torch.ones(1, _TINY_WIDTH, device=self._device, dtype=self._dtype)
        return self._quick(lambda: model(rows)), 3 * _TINY_LAYERS

    def _quick(self, call: Callable[[], object]) -> Call:
        """A call without what training keeps."""

        def quick() -> object:
            with self._torch.inference_mode():
                return call()

        return quick
