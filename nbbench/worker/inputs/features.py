"""Features that parts of larger models take from the parts before them, by parameters' names."""

from __future__ import annotations

from math import prod
from typing import Any, Optional, Union

from .asked import Asked
from .tensors import Input
from .text import vocabulary_size

_Size = Union[str, tuple[str, ...]]

_SHAPES: dict[str, tuple[_Size, ...]] = {
    "context": ("length", "hidden_size"),
    "context_hidden_states": ("length", ("hidden_size", "target_layer_ids")),
    "image_features": ("length", ("hidden_size", "vision_feature_layer")),
    "latents": ("hidden_size", "length"),
    "noise_embeds": ("block_size", "hidden_size"),
}
"""The axes behind the batch: the sequence length, or fields of the configuration, multiplied where
there are several; a list counts for as many as it has entries."""

_POOLED = 4
"""How many neighbours are pooled, where a model is told which: squares of two by two."""


def features(asked: Asked) -> list[Input]:
    """What the whole model would give to this part of it; nothing for models by themselves."""
    made = []
    for name, axes in _SHAPES.items():
        sizes = [_size(asked, axis) for axis in axes] if asked.needs(name) else []
        shape = tuple(size for size in sizes if size is not None)
        if sizes and len(shape) == len(sizes):
            made.append(Input(name, "noise", (asked.batch_size, *shape)))
    if asked.needs("context") and asked.needs("attention_mask"):
        made.append(Input("attention_mask", "ones", (asked.batch_size, asked.length)))
    if asked.needs("pooled_patches_idx"):
        patches = asked.batch_size * asked.length
        pooled = (max(1, patches // _POOLED), _POOLED)
        made.append(Input("pooled_patches_idx", "ids", pooled, patches))
    if asked.needs("num_patches") and asked.needs("inputs_embeds"):  # before learnt queries
        made.append(Input("num_patches", "flag", (), values=max(1, asked.length // 2)))
    hidden = _size(asked, "input_size")
    if asked.takes("last_hidden_state", "input_ids") and hidden is not None:
        read = (asked.batch_size, asked.length, hidden)
        made.append(Input("last_hidden_state", "noise", read))
    return made


def _size(asked: Asked, axis: _Size) -> Optional[int]:
    """The size of an axis; None where the configuration does not say it."""
    if axis == "length":
        return asked.length
    names = (axis,) if isinstance(axis, str) else axis
    sizes: list[Any] = [getattr(asked.config, name, None) for name in names]
    counts = [len(size) if isinstance(size, (list, tuple)) else size for size in sizes]
    return prod(counts) if all(isinstance(count, int) for count in counts) else None


_BYTES = 4
"""How many bytes each patch has; a whole model draws their ends by how surprising a byte is."""


def patches_of_bytes(asked: Asked) -> list[Input]:
    """Bytes and the patch that each is in, for their encoder; vectors of both for their decoder.

    The masks that these take are no rows of ones, and can be omitted.
    """
    if not asked.takes("input_ids", "patch_embeds"):
        return []
    shape, config = (asked.batch_size, asked.length), asked.config
    patches = -(-asked.length // _BYTES)
    if asked.takes("patch_ids"):
        row = tuple(at // _BYTES for at in range(asked.length))
        return [
            Input("input_ids", "ids", shape, vocabulary_size(config)),
            Input("patch_ids", "given", shape, values=asked.batch_size * (row,)),
            Input("num_patches", "flag", (), values=patches),
        ]
    return [
        Input("inputs_embeds", "noise", (*shape, config.hidden_size)),
        Input("patch_embeds", "noise", (asked.batch_size, patches, config.hidden_size_global)),
    ]
