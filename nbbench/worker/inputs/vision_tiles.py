"""Images of which a model takes several tiles, or one in a row of tiles."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Optional

from .placeholders import Media
from .tensors import Input
from .vision_sizes import (
    class_tokens,
    first_named,
    image_size,
    image_token,
    pair,
    patch_grid,
    timm_patch,
    timm_size,
)


def tiled_image(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """An image in tiles, as LLaVA-NeXT, Llama 3.2 Vision and Idefics take it; None for others."""
    if "pixel_attention_mask" in parameters and hasattr(config, "dit_config"):
        return _camera(config.vlm_config, batch_size)
    vision, token = getattr(config, "vision_config", None), image_token(config)
    if vision is None or "pixel_values" not in parameters:
        return None
    if "aspect_ratio_ids" in parameters:
        return padded_tiles(config, vision, batch_size)
    if "perceiver_embeddings" in parameters:  # the first Idefics, which has cross attention
        shape = (batch_size, 1, 3, *image_size(vision))
        return Media("image", (Input("pixel_values", "noise", shape),))
    if token is None:
        return None
    if hasattr(config, "projector_pooling_ratio"):
        return _pooled_tile(config, vision, token, batch_size)
    if "pixel_attention_mask" in parameters:
        return _row_of_images(parameters, config, vision, token, batch_size)
    if getattr(config, "image_grid_pinpoints", None) and "image_sizes" in parameters:
        return _any_resolution(config, vision, token, batch_size)
    return None


def padded_tiles(config: Any, vision: Any, batch_size: int) -> Media:
    """One tile in a row that is filled up with empty ones; text sees it by cross attention.

    ``config`` is that of the whole model, or of its vision part by itself.

    The image has one id, which marks where it stands.
    """
    tiles = vision.max_num_tiles
    shape = (batch_size, 1, tiles, vision.num_channels, *image_size(vision))
    used = ((1, *((tiles - 1) * (0,))),)
    first = list(map(tuple, vision.supported_aspect_ratios)).index((1, 1)) + 1
    return Media(
        "image",
        (
            Input("pixel_values", "noise", shape),
            Input("aspect_ratio_ids", "given", (batch_size, 1), values=batch_size * ((first,),)),
            Input(
                "aspect_ratio_mask", "given", (batch_size, 1, tiles), values=batch_size * (used,)
            ),
        ),
        image_token(config),
        1,
        more_ids=8,
    )


def _camera(config: Any, batch_size: int) -> Optional[Media]:
    """The image of the one camera of a robot that is on, as PI0 takes it."""
    vision = config.vision_config
    grid = patch_grid(vision)
    if grid is None:
        return None
    shape = (batch_size, 1, getattr(vision, "num_channels", 3), *image_size(vision))
    is_on = batch_size * ((True,),)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", shape),
            Input("pixel_attention_mask", "given", (batch_size, 1), values=is_on),
        ),
        image_token(config),
        grid[0] * grid[1],
        more_ids=1,  # which is put out of the ids before they are embedded
    )


def _pooled_tile(config: Any, vision: Any, token: int, batch_size: int) -> Optional[Media]:
    """A row of one tile that a transformer of timm sees, as Perception LM takes it."""
    size, patch = timm_size(vision), timm_patch(vision)
    if size is None or patch is None:
        return None
    side = size[0] // patch // int(config.projector_pooling_ratio)
    pixels = Input("pixel_values", "noise", (batch_size, 1, 3, *size))
    return Media("image", (pixels,), token, side * side)


def _row_of_images(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    vision: Any,
    token: int,
    batch_size: int,
) -> Optional[Media]:
    """A row of one image and the mask of its pixels, as Idefics 2 and 3 take them."""
    grid = patch_grid(vision)
    if grid is None:
        return None
    perceiver = getattr(config, "perceiver_config", None)
    if perceiver is not None:
        count = perceiver.resampler_n_latents
    else:
        factor = first_named(config, "scale_factor", "pixel_shuffle_factor") or 1
        count = grid[0] * grid[1] // factor**2
    height, width = image_size(vision)
    channels = getattr(vision, "num_channels", 3)
    mask = Input("pixel_attention_mask", "ones", (batch_size, 1, height, width))
    if "tile_fine_mask" in parameters:  # a mask of tiles (Granite Docling)
        values = batch_size * ((True,),)
        mask = Input("pixel_attention_mask", "given", (batch_size, 1), values=values)
        count //= (first_named(vision, "scale_factor") or 1) ** 2
    pixels = Input("pixel_values", "noise", (batch_size, 1, channels, height, width))
    return Media("image", (pixels, mask), token, count)


def _any_resolution(config: Any, vision: Any, token: int, batch_size: int) -> Optional[Media]:
    """The whole image, and the tiles of the grid that fits it best, each of the tower's size."""
    grid = patch_grid(vision)
    if grid is None:
        return None
    (height, width), (rows, columns) = image_size(vision), grid
    best = _best_resolution((height, width), [pair(each) for each in config.image_grid_pinpoints])
    down, across = best[0] // height, best[1] // width
    rate = getattr(config, "downsample_rate", None)
    if rate is not None:
        rows, columns = int(rows * Fraction(rate)), int(columns * Fraction(rate))
    whole = rows * columns
    if getattr(config, "vision_feature_select_strategy", "full") == "full":
        whole += class_tokens(vision)
    tall, wide = _unpadded((height, width), (rows * down, columns * across))
    if "anyres_max_" in str(getattr(config, "vision_aspect_ratio", "")):
        most = int(config.vision_aspect_ratio.replace("anyres_max_", ""))
        ratio = (tall * wide / (most * rows**2)) ** 0.5
        if ratio > 1.1:  # what is more is scaled down
            tall, wide = int(tall // ratio), int(wide // ratio)
    newlines = tall
    tiles = 1 + down * across
    channels = getattr(vision, "num_channels", 3)
    sizes = batch_size * ((height, width),)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", (batch_size, tiles, channels, height, width)),
            Input("image_sizes", "given", (batch_size, 2), values=sizes),
        ),
        token,
        whole + tall * wide + newlines,
    )


def _unpadded(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid's patches without those that only pad the image to its shape."""
    (height, width), (tall, wide) = size, grid
    if width / height > wide / tall:
        return tall - 2 * ((tall - int(round(height * (wide / width), 7))) // 2), wide
    return tall, wide - 2 * ((wide - int(round(width * (tall / height), 7))) // 2)


def _best_resolution(size: tuple[int, int], grids: list[tuple[int, int]]) -> tuple[int, int]:
    """The grid in which most of the image is kept, and least of the grid is wasted."""

    def kept_and_wasted(grid: tuple[int, int]) -> tuple[int, int]:
        scale = min(grid[1] / size[1], grid[0] / size[0])
        pixels = int(size[1] * scale) * int(size[0] * scale)
        kept = min(pixels, size[0] * size[1])
        return kept, kept - grid[0] * grid[1]

    return max(grids, key=kept_and_wasted)
