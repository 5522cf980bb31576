"""Inputs of images: one per sample, in the size that the configuration names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from .tensors import Input


def sees_images(parameters: Mapping[str, inspect.Parameter], config: Any) -> bool:
    """Whether images are needed: not for a language model that merely may take them."""
    if "input_ids" not in parameters:
        return True
    optional = ("image_token_id", "image_token_index")
    return hasattr(config, "vision_config") and not any(hasattr(config, name) for name in optional)


def image(config: Any, batch_size: int) -> Input:
    """Pixels (batch, channels, height, width)."""
    vision = getattr(config, "vision_config", None) or config
    size = getattr(vision, "image_size", None) or 224
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    channels = getattr(vision, "num_channels", 3)
    return Input("pixel_values", "noise", (batch_size, channels, height, width))
