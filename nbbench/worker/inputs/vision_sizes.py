"""Sizes that a configuration names, in whichever form: of images, of patches, of tokens."""

from __future__ import annotations

import re
from typing import Any, Optional

ANY_SIZE = 256
"""Pixels on each side of the image for a model that takes images of any size."""


def pair(size: Any) -> tuple[int, int]:
    """Height and width, from a number, a pair or a mapping."""
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return int(height), int(width)


def timm_size(vision: Any) -> Optional[tuple[int, int]]:
    """Height and width of the image that a model of timm takes; None where nothing says so."""
    for part, name in (("model_args", "img_size"), ("pretrained_cfg", "input_size")):
        size = (getattr(vision, part, None) or {}).get(name)
        if size:
            return pair(tuple(size[-2:]) if isinstance(size, (list, tuple)) else size)
    side = _OF_ARCHITECTURE.search(str(getattr(vision, "architecture", "")))
    return pair(int(side.group(2))) if side else None


def timm_patch(vision: Any) -> Optional[int]:
    """Pixels on each side of a patch of timm's transformers, as their names have it."""
    found = _OF_ARCHITECTURE.search(str(getattr(vision, "architecture", "")))
    return int(found.group(1)) if found else None


_OF_ARCHITECTURE = re.compile(r"patch(\d+)_(\d+)")


def image_size(vision: Any, multiple: int = 1) -> tuple[int, int]:
    """Height and width of the image, as many times ``multiple`` as comes nearest, but once."""
    named = getattr(vision, "image_size", None) or ANY_SIZE
    height, width = (max(1, round(side / multiple)) * multiple for side in pair(named))
    return height, width


def patch_grid(vision: Any) -> Optional[tuple[int, int]]:
    """Rows and columns of patches in the image; None where no patch size is named."""
    patch = getattr(vision, "patch_size", None)
    if not patch:
        return None
    (height, width), (down, across) = image_size(vision), pair(patch)
    return height // down, width // across


def image_token(config: Any) -> Optional[int]:
    """The id that stands for a part of an image; None where none is named."""
    return first_named(config, "image_token_id", "image_token_index")


def first_named(config: Any, *names: str) -> Optional[int]:
    """The first of these attributes that is a whole number."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def tokens_named(config: Any, *names: str) -> tuple[int, ...]:
    """The ids that the configuration names of these, each once: one id may have two names."""
    found = (first_named(config, name) for name in names)
    return tuple(dict.fromkeys(token for token in found if token is not None))


def class_tokens(vision: Any) -> int:
    """How many positions a tower has before those of its patches: SigLIP's have none."""
    return 0 if "siglip" in str(getattr(vision, "model_type", "")) else 1
