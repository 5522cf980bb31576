"""Images of any size, as a row of flat patches and a grid of their rows and columns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Optional

from .placeholders import Media
from .tensors import Input
from .vision_sizes import first_named, image_size, image_token, pair, tokens_named


def grid_image(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """Patches and ``image_grid_thw``, as Qwen2-VL takes them; None for other models."""
    token = image_token(config)
    vision = getattr(config, "vision_config", None)
    if vision is None or token is None or "pixel_values" not in parameters:
        return None
    if "image_grid_thw" in parameters:
        return _merged_grid(parameters, config, vision, token, batch_size)
    if "image_grid_hw" in parameters:
        return _shuffled_grid(config, vision, token, batch_size)
    if "spatial_shapes" in parameters:
        return padded_patches(config, vision, token, batch_size)
    return None


def _shuffled_grid(config: Any, vision: Any, token: int, batch_size: int) -> Media:
    """Flat patches and a grid without times, squares of which are one position each."""
    patch, square = pair(vision.patch_size)[0], round(1 / getattr(config, "downsample_ratio", 1))
    height, width = image_size(vision, patch * square)
    rows, columns = height // patch, width // patch
    flat = patch * patch * (first_named(vision, "num_channels") or 3)
    grid = batch_size * ((rows, columns),)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", (batch_size * rows * columns, flat)),
            Input("image_grid_hw", "given", (batch_size, 2), values=grid),
        ),
        token,
        rows * columns // square**2,
    )


def flat_patches(config: Any, vision: Any, batch_size: int) -> tuple[Input, ...]:
    """Patches of one image for each sample, with their grids, for a vision tower by itself."""
    every = {"image_merge_sizes": inspect.Parameter("_", inspect.Parameter.KEYWORD_ONLY)}
    return _merged_grid(every, config, vision, 0, batch_size).tensors


def _merged_grid(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    vision: Any,
    token: int,
    batch_size: int,
) -> Media:
    """One position for each square of merged patches, and for newlines where a model has them.

    Where a model makes an image, the grid of that one comes behind the grid of the image given.
    """
    patch = pair(vision.patch_size)[0]
    merge = first_named(vision, "spatial_merge_size", "merge_size") or first_named(
        config, "spatial_merge_size", "merge_size", "projector_merge_size"
    )
    merge = merge or pair(getattr(vision, "merge_kernel_size", None) or 1)[0]
    height, width = image_size(vision, patch * merge)
    rows, columns = height // patch, width // patch
    channels = first_named(vision, "in_channels", "in_chans", "num_channels") or 3
    depth = first_named(vision, "temporal_patch_size", "patch_temporal") or 1
    patches = batch_size * rows * columns
    shape: tuple[int, ...] = (patches, channels * depth * patch * patch)
    if getattr(vision, "model_type", "") in _PATCHES_AS_IMAGES:
        shape = (patches, channels, patch, patch)
    grid = (1, rows, columns)
    if getattr(vision, "model_type", "") in _MERGED_AS_IMAGES:
        shape = (patches // merge**2, merge * patch, merge * patch, channels)
        grid = (1, rows // merge, columns // merge)
    images = 2 if "images_per_sample" in parameters else 1
    tensors = [
        Input("pixel_values", "noise", shape),
        Input(
            "image_grid_thw",
            "given",
            (images * batch_size, 3),
            values=images * batch_size * (grid,),
        ),
    ]
    if images > 1:
        counts = batch_size * (images,)
        tensors.append(Input("images_per_sample", "given", (batch_size,), values=counts))
    if "image_merge_sizes" in parameters:
        sizes = batch_size * (merge,)
        tensors.append(Input("image_merge_sizes", "given", (batch_size,), values=sizes))
    count = rows * columns // merge**2
    if hasattr(config, "im_newline_id"):  # one behind each row, and one at each end
        count += rows // merge + 2
    return Media(
        "image",
        tuple(tensors),
        token,
        count,
        before=tokens_named(config, "vision_start_token_id", "image_start_token_id", "im_start_id"),
        after=tokens_named(config, "vision_end_token_id", "image_end_token_id", "im_end_id"),
    )


_MERGED_AS_IMAGES = ("inkling2_vision",)
"""Vision parts that take each square of merged patches as a small image, channels last, and count
grids in these."""

_PATCHES_AS_IMAGES = ("paddleocr_vl_vision", "kimi_k25_vision")
"""Vision parts that take each patch as a small image, which nothing in their configuration says."""


def padded_patches(config: Any, vision: Any, token: int, batch_size: int) -> Media:
    """Flat patches, as many as the most that the model takes; the image fills some of them."""
    patch, factor = pair(vision.patch_size)[0], int(getattr(config, "downsample_factor", 1))
    height, width = image_size(vision, patch * factor)
    rows, columns = height // patch, width // patch
    longest = max(int(getattr(vision, "num_patches", 0)), rows * columns)
    flat = patch * patch * (first_named(vision, "num_channels") or 3)
    mask = batch_size * ((*(rows * columns * (1,)), *((longest - rows * columns) * (0,))),)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", (batch_size, longest, flat)),
            Input(
                "spatial_shapes", "given", (batch_size, 2), values=batch_size * ((rows, columns),)
            ),
            Input("pixel_attention_mask", "given", (batch_size, longest), values=mask),
        ),
        token,
        rows * columns // factor**2,
    )
