"""Floating point operations of PyTorch's operations, by PyTorch's own formulas.

They are those of `torch.utils.flop_counter`, which knows matrix products, convolutions and fused
attention on GPUs; attention that is fused for the CPU or for others' GPUs is counted in the same
way, and so are the products of a mixture of experts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Optional

_GROUPED = ("_grouped_mm", "grouped_mm_fallback")
_ATTENTION, _COMPOSED = "_scaled_dot_product_", "_scaled_dot_product_attention_math"

_COMPUTES = re.compile(
    r"attention|attn|rnn|transformer_encoder_layer|(^|_)(add|badd)?b?mm(_|$)|gemm"
    r"|(^|_)conv(olution|\d|_|$)"
)
"""What operations are named that make products; some are of packages that bring their kernels."""


def flops_of(
    operation: Any, arguments: tuple[Any, ...], named: dict[str, Any], result: Any
) -> Optional[int]:
    """Floating point operations of one call; 0 for what moves or compares numbers alone.

    None of an operation that makes products and has no formula.
    """
    formula = formula_of(operation)
    if formula is None:
        return None if _COMPUTES.search(operation.overloadpacket.__name__) else 0
    return int(formula(*arguments, **named, out_val=result))


@cache
def formula_of(operation: Any) -> Optional[Callable[..., Any]]:
    """What counts an operation; None where nothing does."""
    from torch.utils import flop_counter

    packet = operation.overloadpacket
    name = packet.__name__
    if name in _GROUPED:
        return _grouped_product
    if name.startswith(_ATTENTION) and name != _COMPOSED:
        if name.endswith("_backward"):
            return _attention(flop_counter.sdpa_backward_flop_count, 1)
        return _attention(flop_counter.sdpa_flop_count, 0)
    found: Optional[Callable[..., Any]] = flop_counter.flop_registry.get(packet)
    return found


def _grouped_product(left: Any, right: Any, *_: Any, **__: Any) -> int:
    """Each row of the left is multiplied by one group's matrix, and so is each column of it."""
    return int(2 * left.numel() * right.shape[-1])


def _attention(count: Callable[..., int], before: int) -> Callable[..., int]:
    """A formula of attention's shapes, with ``before`` arguments before the query.

    Heads of keys and values that several queries share count for each of them; before 2.10 PyTorch
    did not count such attention.
    """

    def counted(*arguments: Any, out_val: Any = None, **_: Any) -> int:
        shapes = [tensor.shape for tensor in arguments[: before + 3]]
        heads = shapes[before][1]
        shapes[before + 1 :] = [(shape[0], heads, *shape[2:]) for shape in shapes[before + 1 :]]
        return count(*shapes)

    return counted
