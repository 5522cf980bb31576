"""Input tensors by name, kind and shape; a backend turns them into its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional


@dataclass(frozen=True)
class Input:
    """One input tensor: ids below ``bound``, ones, or normal noise, of a shape."""

    name: str
    kind: Literal["ids", "ones", "noise"]
    shape: tuple[int, ...]
    bound: int = 0


@dataclass(frozen=True)
class Inputs:
    """All that one call takes, and how many tokens (or audio frames) it puts through the model."""

    tensors: tuple[Input, ...]
    tokens: Optional[int]
