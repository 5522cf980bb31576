"""Images of one size, which a vision tower turns into a fixed number of positions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from math import isqrt, prod
from typing import Any, Optional

from .placeholders import Media
from .tensors import Input
from .vision_sizes import (
    ANY_SIZE,
    class_tokens,
    first_named,
    image_size,
    image_token,
    pair,
    patch_grid,
    tokens_named,
)

_UNDERSTOOD = {
    "image_sizes", "image_embeds_position_mask", "image_embeds", "image_attention_mask",
    "image_encoder_embeddings", "image_grid_thw", "pixel_values_videos", "pixel_values_images",
}  # fmt: skip
"""Inputs about images that are made, or are needed for videos and other things alone."""

_UNKNOWN = ("image_", "pixel_values_", "high_res_", "target_sizes", "tile_", "num_local_")


def single_image(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """An image whose positions a decoder reads among its ids; None where it needs other inputs."""
    token, name = image_token(config), _pixels_of(parameters)
    if token is None or name is None or not _understood(parameters):
        return None
    vision = getattr(config, "vision_config", None) or getattr(config, "vq_config", None)
    encoder = getattr(config, "encoder", None)
    if vision is None:
        vision = getattr(encoder, "vision_config", None)
    if vision is None:
        return None
    if getattr(vision, "model_type", "") == "pixtral":
        return _image_with_sizes(config, vision, token, batch_size)
    size, count = _size_and_count(config, vision)
    if count is None:
        return None
    channels = first_named(vision, "num_channels", "in_channels") or 3
    tensors = [Input(name, "noise", (batch_size, channels, *size))]
    if "image_sizes" in parameters and hasattr(config, "vq_config"):
        tensors.append(Input("image_sizes", "given", (batch_size, 2), values=batch_size * (size,)))
    if "pixel_mask" in parameters:
        tensors.append(Input("pixel_mask", "ones", (batch_size, *size)))
    return Media(
        "image",
        tuple(tensors),
        token,
        count,
        before=tokens_named(config, "boi_token_id", "boi_token_index"),
        after=tokens_named(config, "eoi_token_id", "eoi_token_index"),
        kind=0 if config.model_type in _PREFIX_IS_ZERO else 1,
    )


_PREFIX_IS_ZERO = ("paligemma",)
"""Models whose token types are 0 for all but the answer, as nothing in the configuration says."""


def encoder_image(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """An image that comes beside the ids, or as a fixed number of learnt queries."""
    vision = getattr(config, "vision_config", None) or getattr(config, "image_config", None)
    if vision is None or "pixel_values" not in parameters:
        return None
    queries = first_named(config, "num_query_tokens")
    latent = first_named(config, "latent_query_num")
    flava = "skip_multimodal_encoder" in parameters
    if queries is None and latent is None and not flava:
        return None
    frames = (_FRAMES,) if getattr(config, "model_type", "") in _AS_VIDEOS else ()
    shape = (batch_size, *frames, getattr(vision, "num_channels", 3), *image_size(vision))
    tensors = (Input("pixel_values", "noise", shape),)
    if queries is not None:
        token = image_token(config) or first_named(config, "video_token_index", "video_token_id")
        return Media("image", tensors, token, queries * prod(frames))
    if latent is not None:  # any id may stand there: a mask says where
        end = first_named(config.text_config, "eos_token_id") or 0
        return Media("image", tensors, end, latent)
    return Media("image", tensors)


def _pixels_of(parameters: Mapping[str, inspect.Parameter]) -> Optional[str]:
    names = ("pixel_values_images", "pixel_values")
    return next((name for name in names if name in parameters), None)


def _understood(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether no input about images is of a kind that cannot be made."""
    return not any(name.startswith(_UNKNOWN) and name not in _UNDERSTOOD for name in parameters)


def _image_with_sizes(config: Any, vision: Any, token: int, batch_size: int) -> Media:
    """An image of a size of its own, which is given beside it; the size named is the greatest."""
    patch, merge = pair(vision.patch_size)[0], first_named(config, "spatial_merge_size") or 1
    most = min(ANY_SIZE, *pair(vision.image_size))
    side = max(1, round(most / (patch * merge))) * patch * merge
    sizes = batch_size * ((side, side),)
    return Media(
        "image",
        (
            Input("pixel_values", "noise", (batch_size, vision.num_channels, side, side)),
            Input("image_sizes", "given", (batch_size, 2), values=sizes),
        ),
        token,
        (side // (patch * merge)) ** 2,
    )


def _size_and_count(config: Any, vision: Any) -> tuple[tuple[int, int], Optional[int]]:
    """Height and width of the image, and how many positions it takes; None where unknown."""
    halvings = _HALVINGS.get(getattr(config, "model_type", ""))
    if halvings:
        side = isqrt(first_named(config, "image_seq_length") or 1)
        return pair(side * 2**halvings), side**2
    size, grid = image_size(vision), patch_grid(vision) if _is_plain(vision) else None
    named = first_named(config, "mm_tokens_per_image", "vision_soft_tokens_per_image")
    named = named or first_named(getattr(config, "encoder", None), "mm_tokens_per_image")
    if named is not None:
        return (_GEMMA_3N if grid is None else size), named
    if hasattr(vision, "channel_multiplier"):  # an encoder of images as tokens of a codebook
        size = pair(getattr(vision, "resolution", None) or ANY_SIZE)
        factor = 2 ** (len(vision.channel_multiplier) - 1)
        newlines = 0 if hasattr(vision, "resolution") else size[0] // factor
        return size, (size[0] // factor) * (size[1] // factor) + newlines
    if hasattr(vision, "patch_stride") and hasattr(vision, "depths"):
        factor = prod(vision.patch_stride)
        return _FLORENCE, (_FLORENCE[0] // factor) * (_FLORENCE[1] // factor) + 1
    if grid is None:
        return size, None
    return size, _tower_count(config, vision, *grid)


_HALVINGS = {"fast_vlm": 6}
"""How often the convolutions of these types halve an image, which no configuration says."""

_AS_VIDEOS, _FRAMES = ("instructblipvideo",), 4
"""Types whose images are the frames of a video, and how many the processor has of each."""

_GEMMA_3N = (768, 768)
_FLORENCE = (768, 768)
"""What the processors of these make of each image; their configurations name no size."""


def _is_plain(vision: Any) -> bool:
    patch = getattr(vision, "patch_size", None)
    return bool(patch) and getattr(vision, "image_size", None) is not None


def _tower_count(config: Any, vision: Any, rows: int, columns: int) -> int:
    """Positions of an image of so many patches, as far as they are brought together afterwards."""
    queries = getattr(config, "projector_patch_to_query_dict", None)
    if queries:
        return int({int(key): value for key, value in queries.items()}[rows * columns])
    ratio = getattr(config, "downsample_ratio", None) or getattr(
        vision, "pixel_shuffle_ratio", None
    )
    if ratio is not None:
        return int(rows * ratio) * int(columns * ratio)
    factor = first_named(config, "downsample_factor", "pixel_shuffle_factor") or first_named(
        vision, "hidden_stride"
    )
    if factor is None and hasattr(vision, "global_attn_indexes"):
        factor = 4  # two convolutions of stride 2 behind the tower of Segment Anything
    if factor is not None:
        return -(-rows // factor) * -(-columns // factor)
    count = rows * columns
    strategy = getattr(config, "vision_feature_select_strategy", None)
    if strategy == "full":
        count += class_tokens(vision)
    elif strategy == "default":  # which drops the first position, whatever it is of
        count += class_tokens(vision) - 1
    return count
