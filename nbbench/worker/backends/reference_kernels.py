"""Reference kernels: small fixed calls, whose times follow the machine's speed."""

from __future__ import annotations

from typing import Any

from ..measure import Call


def torch_products(torch: Any, device: str) -> Call:
    """The reference kernel: some small matrix products, with the framework's threads."""
    size, times = (128, 4) if device == "cpu" else (1024, 8)
    factor = torch.full((size, size), 0.5, device=device)
    product = torch.empty_like(factor)

    def reference() -> object:
        with torch.inference_mode():
            for _ in range(times):
                torch.mm(factor, factor, out=product)
        return product

    return reference


def tensorflow_products(tensorflow: Any) -> Call:
    """The reference kernel: some small matrix products, with the framework's threads."""
    factor = tensorflow.fill((128, 128), 0.5)

    def reference() -> object:
        for _ in range(4):
            product = tensorflow.linalg.matmul(factor, factor)
        return product

    return reference
