"""Has models be built and called with fake tensors as they are with real ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from logging import CRITICAL, getLogger
from typing import Any
from unittest.mock import patch


@contextmanager
def as_if_real(torch: Any) -> Iterator[None]:
    """Have Transformers and PyTorch take fake tensors for real ones, and log no failures.

    Transformers makes masks for fake tensors that it omits for real ones, since it takes the fake
    ones for those of a compiler. PyTorch exchanges a module's fake parameters, which it cannot once
    they were used, where it would set real ones, and formats a number without its value.
    """
    from torch._subclasses.fake_tensor import FakeTensor

    checks = importlib.import_module("transformers.utils.import_utils")
    log = getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(CRITICAL)
    try:
        with ExitStack() as patches:
            if hasattr(checks, "is_fake_tensor"):
                patches.enter_context(patch.object(checks, "is_fake_tensor", lambda _: False))
            patches.enter_context(patch.object(torch.nn.Module, "_apply", _replacing(torch)))
            patches.enter_context(patch.object(FakeTensor, "__format__", _formatted, create=True))
            yield
    finally:
        log.setLevel(level)


def _formatted(tensor: Any, form: str) -> str:
    return format(tensor.item() if tensor.dim() == 0 else object.__repr__(tensor), form)


def _replacing(torch: Any) -> Callable[..., Any]:
    """A module's method that applies a function to its tensors; those that change are replaced."""

    def apply(module: Any, change: Callable[[Any], Any], recurse: bool = True) -> Any:
        changed: dict[int, Any] = {}

        def new(tensor: Any) -> Any:
            if id(tensor) not in changed:
                with torch.no_grad():
                    found = change(tensor)
                if isinstance(tensor, torch.nn.Parameter) and found is not tensor:
                    found = torch.nn.Parameter(found, tensor.requires_grad)
                changed[id(tensor)] = found
            return changed[id(tensor)]

        for each in module.modules() if recurse else [module]:
            for tensors in (each._parameters, each._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None:
                        tensors[name] = new(tensor)
        return module

    return apply


@contextmanager
def without_drawing(torch: Any, device: str) -> Iterator[None]:
    """Have weights be made on a device; what looks at the numbers that it draws draws none."""
    draws = patch.object(torch.nn.init, "_no_grad_trunc_normal_", lambda tensor, *_, **__: tensor)
    with draws, torch.device(device):
        yield
