"""What inputs are asked for: a forward signature, a configuration, and the sizes of a case."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..backend import Unsupported

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Asked:
    """``parameters`` are those of the forward method; ``model`` is a name, for messages."""

    parameters: Mapping[str, inspect.Parameter]
    config: Any
    model: str
    batch_size: int
    sequence_length: Optional[int]

    def takes(self, *names: str) -> bool:
        """Whether the forward method has all of these parameters."""
        return all(name in self.parameters for name in names)

    def needs(self, name: str) -> bool:
        """Whether the forward method cannot be called without this parameter."""
        found = self.parameters.get(name)
        return (
            found is not None
            and found.default is inspect.Parameter.empty
            and found.kind in _PLAIN
            and name != "self"
        )

    @property
    def needed(self) -> tuple[str, ...]:
        """All parameters without a default."""
        return tuple(name for name in self.parameters if self.needs(name))

    @property
    def length(self) -> int:
        """The sequence length; raises `Unsupported` where none was given."""
        if self.sequence_length is None:
            raise Unsupported(f"{self.model} takes sequences; give sequence_lengths")
        return self.sequence_length

    def named(self, *names: str) -> Any:
        """The first of these attributes that the configuration has, or a part of it."""
        return named(self.config, *names)


def named(config: Any, *names: str) -> Any:
    """The first of these attributes that a configuration has, or a part of it; None without one."""
    for part in parts(config):
        for name in names:
            value = getattr(part, name, None)
            if value is not None and value != 0:
                return value
    return None


def parts(config: Any) -> Iterator[Any]:
    """A configuration, then those nested in it, from the outermost inwards."""
    level = [config]
    while level:
        yield from level
        nested = (value for part in level for value in getattr(part, "__dict__", {}).values())
        level = [value for value in nested if hasattr(value, "model_type")]
