"""Input tensors by name, kind and shape; a backend turns them into its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional


@dataclass(frozen=True)
class Input:
    """One input tensor of a shape: ids below ``bound``, ones, normal noise, or given values.

    Given values are numbers in tuples nested as the shape is: whole numbers stay so, others get
    the model's dtype, and ``True`` and ``False`` are a mask of booleans. Given ids have a bound.
    """

    name: str
    kind: Literal["ids", "ones", "noise", "given"]
    shape: tuple[int, ...]
    bound: int = 0
    values: Any = ()


@dataclass(frozen=True)
class Inputs:
    """All that one call takes, and how many tokens it puts through the model; None without ids."""

    tensors: tuple[Input, ...]
    tokens: Optional[int]

    @property
    def modalities(self) -> str:
        """What goes in, like "text+image"; empty where no input has a name that says it."""
        names = [tensor.name for tensor in self.tensors]
        kinds = {
            "text": any(name.endswith("input_ids") and "audio" not in name for name in names),
            "image": any(name in _IMAGES for name in names),
            "video": "pixel_values_videos" in names,
            "audio": any(name in _SOUNDS for name in names),
        }
        return "+".join(kind for kind, found in kinds.items() if found)


_IMAGES = ("pixel_values", "pixel_values_images", "image_pixel_values", "flattened_patches")
_SOUNDS = ("input_features", "input_values", "audio_input_features", "audio_input_ids")
