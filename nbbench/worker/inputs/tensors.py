"""Input tensors by name, kind and shape; a backend turns them into its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Any, Literal, Optional, Union

IGNORED = -100
"""The label of a token that no loss counts."""


@dataclass(frozen=True)
class Input:
    """One input tensor of a shape.

    ``kind`` is ids below ``bound``, ones, normal ``noise``, or ``uniform`` numbers from 0 to 1;
    ``given`` are ``values``, numbers in tuples nested as the shape is: whole numbers stay so (and
    have a ``bound`` where they are ids), others get the model's dtype, and ``True`` and ``False``
    are a mask of booleans. Three kinds are no tensors: a ``flag`` is one of ``values`` as it is, a
    ``list`` has ``parts``, each a tensor, or several that make a dict by their names, and a
    ``record`` is an object (a dataclass) whose attributes are its ``parts``. Ids with an
    ``end`` have it last in each row, and nowhere else. The first ``media`` of each row of ids are
    positions of images or sounds; of each row of labels, those that no loss counts.
    """

    name: str
    kind: Literal["ids", "ones", "noise", "uniform", "given", "flag", "list", "record"]
    shape: tuple[int, ...]
    bound: int = 0
    values: Any = ()
    end: Optional[int] = None
    media: int = 0
    parts: tuple[Union[Input, tuple[Input, ...]], ...] = ()

    def made_by(self, tensor: Callable[[Input], Any]) -> Any:
        """What the forward method is given, whose tensors ``tensor`` makes."""
        if self.kind == "flag":
            return self.values
        if self.kind == "record":
            made = {each.name: tensor(each) for each in self.parts if isinstance(each, Input)}
            return make_dataclass(self.name, list(made))(**made)
        if self.kind != "list":
            return tensor(self)
        return [
            tensor(part) if isinstance(part, Input) else {each.name: tensor(each) for each in part}
            for part in self.parts
        ]


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
_SOUNDS = (
    "input_features", "input_values", "audio_values", "audio_input_features", "audio_input_ids",
)  # fmt: skip
