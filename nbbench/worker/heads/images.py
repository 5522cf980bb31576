"""Labels of images: a class or a depth for each pixel, objects, masks, patches that are hidden."""

from __future__ import annotations

from ..inputs.asked import named
from ..inputs.tensors import Input
from .head import Head
from .phrases import phrases

OBJECTS = 3
"""How many objects each image has."""


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
    if "text_config" in vars(head.config) and "input_ids" in head.tensors:
        return phrases(head, OBJECTS)
    height, width = _size(head)
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


def hidden_patches(head: Head) -> tuple[Input, ...]:
    """Which patches are hidden: every other one; and what they were, where a model is asked it."""
    mask = _every_other_patch(head)
    if "labels" not in head.asks:
        return (mask,)
    vocabulary = int(getattr(head.config, "vocab_size", 0)) or head.classes
    hidden = head.batch_size * sum(mask.values[0])
    return (mask, Input("labels", "ids", (hidden,), vocabulary))


def hidden_pairs(head: Head) -> tuple[Input, ...]:
    """Patches and tokens that are hidden, what they were, and whether image and text belong."""
    mask = _every_other_patch(head)
    vocabulary = int(head.config.image_config.vocab_size)
    return (
        mask,
        Input("mim_labels", "ids", mask.shape, vocabulary),
        Input("mlm_labels", "ids", head.ids.shape, head.ids.bound),
        Input("itm_labels", "ids", (head.batch_size,), 2),
        Input("return_loss", "flag", (), values=True),
    )


def _every_other_patch(head: Head) -> Input:
    row = tuple(bool(index % 2) for index in range(_patches(head)))
    shape = (head.batch_size, len(row))
    return Input("bool_masked_pos", "given", shape, values=(row,) * head.batch_size)


def _size(head: Head) -> tuple[int, int]:
    """Height and width of the images, or of the frames, that the call has."""
    pixels = head.input_named("pixel_values", "pixel_values_videos")
    if pixels is None:
        raise head.unknown()
    return pixels.shape[-2], pixels.shape[-1]


def _patches(head: Head) -> int:
    """How many patches each sample is cut into, over all frames of a video."""
    height, width = _size(head)
    patch = named(head.config, "patch_size")
    if patch is None:
        raise head.unknown()
    tall, wide = patch if isinstance(patch, (list, tuple)) else (patch, patch)
    patches = int(height // tall) * int(width // wide)
    pixels = head.input_named("pixel_values")
    if pixels is not None and len(pixels.shape) == 5:
        patches *= pixels.shape[1] // int(getattr(head.config, "tubelet_size", 1))
    return patches
