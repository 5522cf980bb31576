"""Labels of objects that phrases of a text name: an object's class is the number of its phrase."""

from __future__ import annotations

import random
import sys
from typing import Optional

from ..backend import Unsupported
from ..inputs.tensors import Input
from .head import Head

_EACH = 4
"""How many tokens a phrase has, its full stop among them."""


def phrases(head: Head, objects: int) -> tuple[Input, ...]:
    """Ids of texts that are phrases, and the phrase and the box of each image's objects."""
    delimiters = _delimiters(head)
    ids = head.ids
    if delimiters is None or len(delimiters) < 3 or max(delimiters) >= ids.bound:
        raise Unsupported(
            f"{head.architecture} is trained on phrases of its text, which nbbench cannot make; "
            f"give a config whose architectures name another class with a head"
        )
    batch, length = ids.shape
    if length < 3:
        raise Unsupported(
            f"sequence length {length} is too short to train {head.architecture}: a phrase with "
            f"its begin and its end has 3 tokens; raise sequence_lengths to that"
        )
    rows, count = _rows(batch, length, delimiters, ids.bound)
    box = (0.5, 0.5, 0.25, 0.25)
    parts = (
        Input("class_labels", "ids", (objects,), count),
        Input("boxes", "given", (objects, 4), values=(box,) * objects),
    )
    return (
        Input("input_ids", "given", ids.shape, ids.bound, values=rows),
        Input("labels", "list", (), parts=(parts,) * batch),
    )


def _delimiters(head: Head) -> Optional[tuple[int, ...]]:
    """The ids of a text's begin, its end and a full stop, as the model's own module has them."""
    module = sys.modules[head.model_class.type.__module__]
    found = getattr(module, "SPECIAL_TOKENS", None)
    return None if found is None else tuple(found)


def _rows(
    batch: int, length: int, delimiters: tuple[int, ...], bound: int
) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Texts of phrases that end with a full stop, and how many phrases each has."""
    begin, end, stop = delimiters[:3]
    plain = [token for token in range(1, bound) if token not in delimiters]
    draw = random.Random(0)
    stops = range(_EACH, length - 1, _EACH)
    rows = []
    for _ in range(batch):
        row = draw.choices(plain, k=length)
        row[0], row[-1] = begin, end
        for at in stops:
            row[at] = stop
        rows.append(tuple(row))
    rest = (length - 2) % _EACH  # behind the last full stop, before the end
    return tuple(rows), len(stops) + (rest > 0)
