"""What tensors of PyTorch are made of, quantized ones among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def plain_tensors(tensor: Any) -> Iterator[Any]:
    """The tensors that hold a tensor's numbers: itself, or what it wraps (codes, scales, …)."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        yield tensor
        return
    for name in flatten()[0]:
        yield from plain_tensors(getattr(tensor, name))


def part_here(tensor: Any) -> Any:
    """What this process holds of a tensor: all of it, unless several divide it (a DTensor)."""
    own = getattr(tensor, "to_local", None)
    return tensor if own is None else own()


def storage_bytes(tensors: Iterable[Any]) -> int:
    """Bytes of what these tensors are stored in; what is shared counts once."""
    plain = (part for tensor in tensors for part in plain_tensors(tensor))
    storages = (part.untyped_storage() for part in plain)
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())


def no_gradients(torch: Any, model: Any) -> Any:
    """PyTorch's inference mode; its older one for quanto's tensors, which do not run in that."""
    is_quanto = getattr(model, "quantization_method", None) == "quanto"
    return torch.no_grad() if is_quanto else torch.inference_mode()
