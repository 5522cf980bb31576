"""Quantized weights in PyTorch, by torchao's `quantize_` on the random ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..exceptions import first_line
from .torch_errors import is_out_of_memory

_CONFIGS = {
    "int8": ("torchao.quantization", "Int8WeightOnlyConfig"),
    "int8-dynamic": ("torchao.quantization", "Int8DynamicActivationInt8WeightConfig"),
    "int4": ("torchao.quantization", "Int4WeightOnlyConfig"),
    "float8": ("torchao.quantization", "Float8WeightOnlyConfig"),
}
_INT4_ON_CPU = ("torchao.prototype.quantization.int4", "PrototypeInt4WeightOnlyConfig")
"""The packing that the CPU has a kernel for; the default one's kernels are for GPUs alone."""

_INT4_GROUPS, _INT4_ROWS = (128, 64, 32), 16
"""How many inputs of a layer may share a scale on the CPU, the usual number first; and what the
outputs are a multiple of there."""

_MAX_NAMED = 4


def quantize(torch: Any, model: Any, case: Case, device: str) -> str:
    """Quantize a model's linear layers in place; a sentence on what was quantized and what not.

    The output embeddings stay as they are, as Transformers' own quantizers leave them: they often
    share their weights with the embeddings. Raises `Unsupported` where torchao is missing or cannot
    quantize so on this device, and where the model has no such layer.
    """
    if case.mode == "training":
        raise Unsupported(
            f"quantization {case.quantization} is for inference and generation; train with none"
        )
    head = getattr(model, "get_output_embeddings", lambda: None)()
    in_groups = case.quantization == "int4" and device == "cpu"
    found: dict[Any, list[str]] = {}  # the layers by how many inputs share a scale
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            group = _group_of(module) if in_groups else 0
            if group is not None:
                found.setdefault(group, []).append(name)
    if not found:
        raise Unsupported(
            f"{type(model).__name__} has no linear layer that quantization {case.quantization} is "
            f"for{_why_not(torch, model, in_groups)}"
        )
    make = _config(case.quantization, in_groups)
    try:
        apply = importlib.import_module("torchao.quantization").quantize_
        for group, names in found.items():
            config = make(group_size=group) if in_groups else make()
            apply(model, config, lambda _, name, names=frozenset(names): name in names)
    except (ImportError, AssertionError, NotImplementedError, RuntimeError) as error:
        if is_out_of_memory(torch, error):
            raise
        raise Unsupported(
            f"torchao has no quantization {case.quantization} here ({first_line(error)}); give "
            f"another"
        ) from error
    return summary(model, case.quantization, [name for names in found.values() for name in names])


def _group_of(module: Any) -> Optional[int]:
    """How many inputs of a layer share a scale of 4 bits; None where its shape has no kernel."""
    outputs, inputs = module.weight.shape
    if outputs % _INT4_ROWS:
        return None
    return next((group for group in _INT4_GROUPS if inputs % group == 0), None)


def _config(kind: str, in_groups: bool) -> Callable[..., Any]:
    """What makes torchao's configuration; `Unsupported` where torchao is not there, or too old."""
    module, name = _INT4_ON_CPU if in_groups else _CONFIGS[kind]
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Unsupported(
            f"quantization {kind} needs a newer torchao than is installed, or one at all; install "
            f"torchao>=0.18"
        ) from error
    make: Callable[..., Any] = found
    return make


def _why_not(torch: Any, model: Any, in_groups: bool) -> str:
    """Why there is none, where the model has linear layers of another kind or shape."""
    modules = list(model.modules())
    if any(type(module).__name__ == "Conv1D" for module in modules):
        return ": its layers are of a class of their own (Conv1D)"
    if in_groups and any(isinstance(module, torch.nn.Linear) for module in modules):
        return f" on the CPU: inputs in groups of {_INT4_GROUPS[-1]}, outputs of {_INT4_ROWS}"
    return ""


def summary(model: Any, kind: str, quantized: list[str]) -> str:
    """How many layers were quantized, and whose weights stay as they are."""
    others = [
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if name not in quantized and any(p.dim() > 1 for p in module.parameters(recurse=False))
    ]
    kept = list(dict.fromkeys(others))
    named = ", ".join(kept[:_MAX_NAMED]) + (" and others" if kept[_MAX_NAMED:] else "")
    layers = f"{len(quantized)} linear layer{'s' if len(quantized) > 1 else ''} in {kind}"
    return f"{layers}; not quantized: {named}" if kept else layers
