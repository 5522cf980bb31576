"""A head: the class that is run, what it is for, and the inputs that its labels go with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..backend import Unsupported
from ..inputs.tensors import Input

_IDS = ("decoder_input_ids", "input_ids", "inputs")
"""Whose ids labels are aligned with, the first that there is."""


@dataclass(frozen=True)
class ModelClass:
    """A class that a case runs, and how it was chosen, where that is worth a ``note``.

    ``tasks`` are what it is for; ``asks`` are the names of all that its forward method can be
    given, be it by way of the method that it inherits.
    """

    type: Any
    tasks: tuple[str, ...]
    asks: frozenset[str]
    note: str = ""

    @property
    def name(self) -> str:
        """The class's own name."""
        return str(self.type.__name__)


@dataclass(frozen=True)
class Head:
    """What labels are made from: a class, its configuration, the inputs of one call by name."""

    model_class: ModelClass
    config: Any
    tensors: Mapping[str, Input]

    @property
    def architecture(self) -> str:
        """The class's name."""
        return self.model_class.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the class is for."""
        return self.model_class.tasks

    @property
    def asks(self) -> frozenset[str]:
        """What the forward method can be given."""
        return self.model_class.asks

    @property
    def batch_size(self) -> int:
        """How many samples a call has."""
        return next(iter(self.tensors.values())).shape[0]

    @property
    def classes(self) -> int:
        """How many classes a classifier knows."""
        return int(getattr(self.config, "num_labels", None) or 2)

    @property
    def ids(self) -> Input:
        """The token ids that labels go with; raises `Unsupported` where there are none."""
        for name in _IDS:
            found = self.tensors.get(name)
            if found is not None and found.kind in ("ids", "given"):
                return found
        raise self.unknown()

    def input_named(self, *names: str) -> Optional[Input]:
        """The first of these inputs that the call has."""
        return next((self.tensors[name] for name in names if name in self.tensors), None)

    def unknown(self) -> Unsupported:
        """That labels for this class cannot be made, to be raised."""
        return Unsupported(
            f"nbbench cannot make the labels that {self.architecture} is trained on; give a config "
            f"whose architectures name another class with a head"
        )
