"""Results without numbers of operations that PyTorch has none for, or not for every device.

Each has the shapes that PyTorch's own source gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

Known = Callable[[Any], Any]
"""The numbers of a tensor, as lists, where they are known; raises `KeyError` otherwise."""

Form = Callable[[Any, Known, tuple[Any, ...], dict[str, Any]], Any]
"""Is given torch, what is known, and an operation's arguments."""


def form_of(operation: Any) -> Optional[Form]:
    """What makes an operation's result without numbers; None where PyTorch does it well."""
    return _FORMS.get(operation.overloadpacket.__name__)


def _grouped_product(
    torch: Any, known: Known, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    """Products of groups of rows, of any numbers; PyTorch's own form is for bfloat16 alone.

    Rows of the result begin at multiples of 16 bytes.
    """
    left, right = arguments[:2]
    ends: Any = arguments[2] if len(arguments) > 2 else named.get("offs")
    rows, columns = left.shape[-2], right.shape[-1]
    shape = [rows, columns]
    if left.dim() == right.dim():
        groups = left.shape[0] if left.dim() == 3 else ends.shape[0]
        shape = [groups, *shape]
    dtype = named.get("out_dtype") or left.dtype
    step = 16 // left.element_size()
    width = -(-columns // step) * step
    strides = [rows * width, width, 1][-len(shape) :]
    return torch.empty_strided(shape, strides, dtype=dtype, device=left.device)


def _ctc_loss(torch: Any, known: Known, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """The loss of each row, and what its gradient needs: as long as the longest target is."""
    scores, lengths = arguments[0], known(arguments[3])
    longest = max(lengths, default=0)
    rows = scores.shape[1] if scores.dim() == 3 else 1
    table = (rows, scores.shape[0], 2 * longest + 1)
    return scores.new_empty((rows,)), scores.new_empty(table)


def _like_second(
    torch: Any, known: Known, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    return torch.empty_like(arguments[1])


_FORMS: dict[str, Form] = {
    "_grouped_mm": _grouped_product,
    "_ctc_loss": _ctc_loss,
    "_ctc_loss_backward": _like_second,
}
