"""Inputs of the parts of models that put bytes together to patches."""

from __future__ import annotations

from .asked import Asked
from .tensors import Input
from .text import vocabulary_size

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
