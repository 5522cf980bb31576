"""Inputs of images: one per sample, in the size that the configuration names, or its parts do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from .asked import Asked, parts
from .tensors import Input
from .vision_grids import flat_patches, padded_patches
from .vision_sizes import first_named, pair, timm_size
from .vision_tiles import padded_tiles

_VISION_PARTS = ("vision_config", "image_config", "vision_encoder_config")
_SIZES = ("image_size", "input_size", "img_size", "crop_size", "image_resolution")
_CHANNELS = ("num_channels", "in_channels", "in_chans", "image_num_channels", "num_input_channels")
_PATCHES = ("patch_size", "backbone_config", "embed_dims", "hidden_sizes")
_IMAGE_TOKENS = ("image_token_id", "image_token_index")
_PAIRED = ("efficientloftr",)
"""Types that compare two images, though they have no part that finds points in one."""

DEFAULT_SIZE = 224
"""Pixels on each side for a model that takes any size."""


def images(asked: Asked) -> list[Input]:
    """What a model of images takes; nothing for a language model that merely may take them."""
    if asked.takes("grid_thw") or (asked.takes("image_grid_thw") and not asked.takes("input_ids")):
        return _patches_of_a_grid(asked)
    if asked.takes("flattened_patches"):
        return _numbered_patches(asked)
    for name in _IMAGES:
        if asked.needs(name) and not asked.takes("pixel_values") and _is_seen(asked.config):
            shape = (asked.batch_size, channels_of(asked.config), *size_of(asked.config))
            return [Input(name, "noise", shape)]
    if not asked.takes("pixel_values") or not _sees(asked):
        return []
    if asked.needs("aspect_ratio_ids"):
        return list(padded_tiles(asked.config, asked.config, asked.batch_size).tensors)
    if getattr(asked.config, "model_type", "") in _PATCHES_IN_TIME:
        return _patches_in_time(asked)
    if asked.needs("pixel_position_ids"):
        return _patches_with_positions(asked)
    if asked.takes("target_sizes"):
        return _rows_of_patches(asked)
    if asked.takes("spatial_shapes"):
        found = padded_patches(asked.config, vision_part(asked.config), 0, asked.batch_size)
        return [tensor for tensor in found.tensors if tensor.name in asked.parameters]
    height, width = size_of(asked.config)
    if getattr(asked.config, "model_type", "") in _LINEAR_PATCHES:
        patch, _ = pair(asked.config.patch_size)
        flat = channels_of(asked.config) * patch * patch
        patches = (height // patch) * (width // patch)
        return [Input("pixel_values", "noise", (asked.batch_size, patches, flat))]
    if asked.needs("prompt_pixel_values"):  # above each other they make the image
        height //= 2
    image = (channels_of(asked.config), height, width)
    shape = (asked.batch_size, *((2,) if _compares(asked.config) else ()), *image)
    made = [Input("pixel_values", "noise", shape)]
    for name in ("prompt_pixel_values", "prompt_masks"):
        if asked.needs(name):
            made.append(Input(name, "noise", shape))
    if asked.takes("pixel_mask") and not asked.takes("audio_values"):
        made.append(Input("pixel_mask", "ones", (asked.batch_size, height, width)))
    if asked.needs("task_inputs"):
        length = int(asked.named("task_seq_len") or 1)
        made.append(Input("task_inputs", "noise", (asked.batch_size, length)))
    if asked.takes("text_inputs") and getattr(asked.config, "is_training", False):
        made.append(_texts_of_objects(asked))
    return made


def _texts_of_objects(asked: Asked) -> Input:
    """A text for each query that learns from one, as OneFormer is trained with."""
    config = asked.config
    queries = int(config.num_queries) - int(config.text_encoder_n_ctx)
    shape = (asked.batch_size, queries, int(config.text_encoder_context_length))
    return Input("text_inputs", "ids", shape, int(config.text_encoder_vocab_size))


_IMAGES = ("image", "hidden_states")
"""What parts of models call the image that they take, as BridgeTower's and Florence's do."""


def _is_seen(config: Any) -> bool:
    """Whether a configuration is of an encoder of images."""
    return hasattr(config, "patch_stride") or hasattr(config, "patch_size")


def _sees(asked: Asked) -> bool:
    """Whether images are needed."""
    if asked.needs("pixel_values") or not asked.takes("input_ids"):
        return True
    if any(asked.named(name) is not None for name in _IMAGE_TOKENS):
        return False
    return any(getattr(asked.config, name, None) for name in (*_VISION_PARTS, *_SIZES, *_PATCHES))


def _compares(config: Any) -> bool:
    return hasattr(config, "keypoint_detector_config") or config.model_type in _PAIRED


def vision_part(config: Any) -> Any:
    """The part of a configuration that is about images, or all of it."""
    found = (getattr(config, name, None) for name in _VISION_PARTS)
    return next((part for part in found if part is not None), config)


def size_of(config: Any) -> tuple[int, int]:
    """Height and width of an image."""
    scales = getattr(config, "scaled_images_ratios", None)
    if scales:  # the smallest copy of the image must hold a patch
        return pair(int(config.patch_size / min(scales)))
    squares = getattr(config, "num_patches", None)
    if squares and hasattr(config, "channel_multiplier"):  # an encoder of images as tokens
        return pair(int(squares) * 2 ** (len(config.channel_multiplier) - 1))
    for part in _vision_first(config):
        of_timm = timm_size(part)
        if of_timm is not None:
            return of_timm
        for name in _SIZES:
            size = getattr(part, name, None)
            if isinstance(size, dict) and "height" not in size:
                continue
            if isinstance(size, (int, dict)) and size:
                return pair(size)
            if isinstance(size, (list, tuple)) and len(size) >= 2:
                return pair(tuple(size[-2:]))
    return DEFAULT_SIZE, DEFAULT_SIZE


def channels_of(config: Any) -> int:
    """How many channels an image has."""
    found = (first_named(part, *_CHANNELS) for part in _vision_first(config))
    return next((channels for channels in found if channels), 3)


def _vision_first(config: Any) -> Iterator[Any]:
    vision = vision_part(config)
    yield from parts(vision)
    if vision is not config:
        yield config
    prompts = getattr(config, "prompt_encoder_config", None)
    if prompts is not None:  # where the tower takes images of any size, boxes and points lie in one
        yield prompts


_PATCHES_OF_A_BATCH = ("paddleocr_vl_vision",)
"""Towers that take the patches of all images as a batch of one."""

_LINEAR_PATCHES = ("molmo2_vision",)
"""Towers that take an image as its patches, each flat, which no configuration says."""


_PATCHES_IN_TIME = ("inkling_vision",)
"""Towers that take each patch with its frames, channels last, which no configuration says."""


def _patches_in_time(asked: Asked) -> list[Input]:
    """The patches of all images behind each other: frames, rows, columns and channels of each."""
    (height, width), (patch, _) = size_of(asked.config), pair(asked.config.patch_size)
    patches = asked.batch_size * max(1, height // patch) * max(1, width // patch)
    frames = int(asked.named("temporal_patch_size") or 1)
    shape = (patches, frames, patch, patch, channels_of(asked.config))
    return [Input("pixel_values", "noise", shape)]


def _patches_of_a_grid(asked: Asked) -> list[Input]:
    """Flat patches of one image for each sample, behind each other, and the grids of them."""
    names = {
        "pixel_values": "hidden_states" if asked.takes("hidden_states") else "pixel_values",
        "image_grid_thw": "grid_thw" if asked.takes("grid_thw") else "image_grid_thw",
        "image_merge_sizes": "merge_sizes",
    }
    made = flat_patches(asked.config, vision_part(asked.config), asked.batch_size)
    if getattr(asked.config, "model_type", "") in _PATCHES_OF_A_BATCH:
        made = tuple(
            dataclasses.replace(tensor, shape=(1, *tensor.shape))
            if tensor.kind == "noise"
            else tensor
            for tensor in made
        )
    renamed = (dataclasses.replace(tensor, name=names[tensor.name]) for tensor in made)
    return [tensor for tensor in renamed if tensor.name in asked.parameters]


def _numbered_patches(asked: Asked) -> list[Input]:
    """Flat patches, each behind its row and its column, counted from 1, and the mask of them."""
    side, (patch, _) = 4, pair(asked.named("patch_size") or 16)
    flat = asked.named("patch_embed_hidden_size") or channels_of(asked.config) * patch * patch
    image = tuple(
        (float(row), float(column), *(flat * (0.5,)))
        for row in range(1, side + 1)
        for column in range(1, side + 1)
    )
    shape = (asked.batch_size, side * side)
    return [
        Input("flattened_patches", "given", (*shape, 2 + flat), values=asked.batch_size * (image,)),
        Input("attention_mask", "ones", shape),
    ]


def _rows_of_patches(asked: Asked) -> list[Input]:
    """The patches of all images in one row, and the rows and columns of each, as MiniCPM-V has."""
    height, width = size_of(asked.config)
    patch, _ = pair(asked.named("patch_size"))
    rows, columns = height // patch // 4 * 4, width // patch // 4 * 4  # merged four and four
    row = (1, channels_of(asked.config), patch, asked.batch_size * rows * columns * patch)
    sizes = asked.batch_size * ((rows, columns),)
    return [
        Input("pixel_values", "noise", row),
        Input("target_sizes", "given", (asked.batch_size, 2), values=sizes),
    ]


def _patches_with_positions(asked: Asked) -> list[Input]:
    """Flat patches of an image, with the column and the row of each."""
    side = 8 * int(asked.named("pooling_kernel_size") or 1)
    patch, _ = pair(asked.named("patch_size") or 16)
    shape = (asked.batch_size, side * side)
    positions = tuple((at % side, at // side) for at in range(side * side))
    return [
        Input("pixel_values", "noise", (*shape, channels_of(asked.config) * patch * patch)),
        Input("pixel_position_ids", "given", (*shape, 2), values=asked.batch_size * (positions,)),
    ]
