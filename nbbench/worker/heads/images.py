"""Labels of images: a class or a depth for each pixel, objects, masks, patches that are hidden."""

from __future__ import annotations

from ..backend import Unsupported
from ..inputs.tensors import Input
from .head import Head

OBJECTS = 3
"""How many objects each image has."""

REGIONS = 36
"""How many regions of an image a detector of objects gives, conventionally."""


def classes_of_pixels(head: Head) -> tuple[Input, ...]:
    """A class for each pixel."""
    return (Input("labels", "ids", (head.batch_size, *_size(head)), max(head.classes, 2)),)


def numbers_of_pixels(head: Head) -> tuple[Input, ...]:
    """A depth, or another number, for each pixel."""
    return (Input("labels", "uniform", (head.batch_size, *_size(head))),)


def like_pixels(head: Head) -> tuple[Input, ...]:
    """An image for each image."""
    pixels = head.input_named("pixel_values")
    if pixels is None:
        raise head.unknown()
    return (Input("labels", "uniform", pixels.shape),)


def objects(head: Head) -> tuple[Input, ...]:
    """The classes and boxes of each image's objects, and their masks where they are segmented."""
    height, width = _size(head)
    if "text_config" in vars(head.config) and "input_ids" in head.tensors:
        raise Unsupported(
            f"{head.architecture} is trained on phrases of its text, which nbbench cannot make; "
            f"give a config whose architectures name another class with a head"
        )
    box = (0.5, 0.5, 0.25, 0.25)
    parts = [
        Input("class_labels", "ids", (OBJECTS,), head.classes),
        Input("boxes", "given", (OBJECTS, 4), values=(box,) * OBJECTS),
    ]
    if "Segmentation" in head.architecture:
        parts.append(Input("masks", "uniform", (OBJECTS, height, width)))
    return (Input("labels", "list", (), parts=(tuple(parts),) * head.batch_size),)


def segments(head: Head) -> tuple[Input, ...]:
    """The class and the mask of each segment of each image."""
    if "mask_labels" not in head.asks:
        return objects(head)
    masks = Input("", "uniform", (OBJECTS, *_size(head)))
    ids = Input("", "ids", (OBJECTS,), head.classes)
    return (
        Input("mask_labels", "list", (), parts=(masks,) * head.batch_size),
        Input("class_labels", "list", (), parts=(ids,) * head.batch_size),
    )


def matches(head: Head) -> tuple[Input, ...]:
    """Images that may be another sample's, and whether each is its own sound's."""
    pixels = head.input_named("pixel_values")
    if pixels is None:
        raise head.unknown()
    return (
        Input("pixel_values_mixed", pixels.kind, pixels.shape),
        Input("labels", "uniform", (head.batch_size, 1)),
    )


def regions_and_tokens(head: Head) -> tuple[Input, ...]:
    """Features of an image's regions, and a token for each token and each region."""
    batch, length = head.ids.shape
    regions = (batch, REGIONS)
    return (
        Input("visual_embeds", "noise", (*regions, int(head.config.visual_embedding_dim))),
        Input("visual_attention_mask", "ones", regions),
        Input("labels", "ids", (batch, length + REGIONS), head.ids.bound),
    )


def hidden_patches(head: Head) -> tuple[Input, ...]:
    """Which patches are hidden: every other one; and what they were, where a model is asked it."""
    patches = _patches(head)
    row = tuple(bool(index % 2) for index in range(patches))
    mask = Input(
        "bool_masked_pos", "given", (head.batch_size, patches), values=(row,) * head.batch_size
    )
    if "labels" not in head.asks:
        return (mask,)
    vocabulary = int(getattr(head.config, "vocab_size", 0)) or head.classes
    return (mask, Input("labels", "ids", (head.batch_size * sum(row),), vocabulary))


def _size(head: Head) -> tuple[int, int]:
    """Height and width of the images, or of the frames, that the call has."""
    pixels = head.input_named("pixel_values", "pixel_values_videos")
    if pixels is None:
        raise head.unknown()
    return pixels.shape[-2], pixels.shape[-1]


def _patches(head: Head) -> int:
    """How many patches each sample is cut into, over all frames of a video."""
    height, width = _size(head)
    patch = getattr(head.config, "patch_size", None)
    if patch is None:
        raise head.unknown()
    tall, wide = patch if isinstance(patch, (list, tuple)) else (patch, patch)
    patches = int(height // tall) * int(width // wide)
    pixels = head.input_named("pixel_values")
    if pixels is not None and len(pixels.shape) == 5:
        patches *= pixels.shape[1] // int(getattr(head.config, "tubelet_size", 1))
    return patches
