"""Input tensors by name, kind and shape; a backend turns them into its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional, Union


@dataclass(frozen=True)
class Input:
    """One input tensor of a shape.

    ``kind`` is ids below ``bound``, ones, normal ``noise``, or ``uniform`` numbers from 0 to 1;
    ``given`` are ``values``, nested tuples of whole numbers, floats or booleans. Two kinds are no
    tensors: a ``flag`` is one of ``values`` as it is, and a ``list`` has ``parts``, each a tensor,
    or several that make a dict by their names. Ids with an ``end`` have it last in each row, and
    nowhere else.
    """

    name: str
    kind: Literal["ids", "ones", "noise", "uniform", "given", "flag", "list"]
    shape: tuple[int, ...]
    bound: int = 0
    values: Any = ()
    end: Optional[int] = None
    parts: tuple[Union[Input, tuple[Input, ...]], ...] = ()


@dataclass(frozen=True)
class Inputs:
    """All that one call takes, and how many tokens (or audio frames) it puts through the model."""

    tensors: tuple[Input, ...]
    tokens: Optional[int]
