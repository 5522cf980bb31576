"""Tensors that classes of Transformers keep for later calls, of any model with the same sizes.

What was first computed under inference mode cannot be trained through, so that it is forgotten
before a model is trained in a process that has run others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def forget_kept_tensors(model: Any) -> None:
    """Clear the caches of all methods of the model's modules."""
    for found in {type(module) for module in model.modules()}:
        if found.__module__.startswith("transformers."):
            for method in vars(found).values():
                for kept in _caches(getattr(method, "__func__", method)):
                    kept.cache_clear()


def _caches(method: Any) -> Iterator[Any]:
    """The method's cache, be it wrapped in a function that may do without."""
    if hasattr(method, "cache_clear"):
        yield method
    for cell in getattr(method, "__closure__", None) or ():
        try:
            inner = cell.cell_contents
        except ValueError:  # nothing in it yet
            continue
        if hasattr(inner, "cache_clear"):
            yield inner
