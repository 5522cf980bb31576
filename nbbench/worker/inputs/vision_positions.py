"""Images as flat patches with the position of each, as Gemma 4 takes them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from math import isqrt
from typing import Any, Optional

from .placeholders import Media
from .tensors import Input
from .vision_sizes import first_named, image_token, tokens_named

_SOFT_TOKENS = 280
"""The most positions of an image by default in the processor; the configuration does not say."""


def positioned_image(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """A square image of as many patches as may be, the rest filled up; None for other models."""
    token, vision = image_token(config), getattr(config, "vision_config", None)
    pool = first_named(vision, "pooling_kernel_size")
    if (
        vision is None
        or token is None
        or not pool
        or not {"pixel_values", "image_position_ids"} <= set(parameters)
    ):
        return None
    patch = vision.patch_size
    most = _SOFT_TOKENS * pool**2
    side = isqrt(most) // pool * pool
    grid = [(x, y) for y in range(side) for x in range(side)]
    grid += (most - len(grid)) * [(-1, -1)]
    shape = (batch_size, most, 2)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", (batch_size, most, 3 * patch * patch)),
            Input("image_position_ids", "given", shape, values=batch_size * (tuple(grid),)),
        ),
        token,
        (side // pool) ** 2,
        before=tokens_named(config, "boi_token_id"),
        after=tokens_named(config, "eoi_token_id"),
    )
