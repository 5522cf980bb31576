"""Token ids in which an image or a sound has its positions, and the inputs that say which."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..backend import Unsupported
from .tensors import Input
from .text import plain_vocabulary_size, vocabulary_size


@dataclass(frozen=True)
class Media:
    """One image or sound in each sample: its tensors, and what it takes of the token ids.

    ``count`` positions get the id ``token``, between ``before`` and ``after``; ``kind`` is their
    number among token types. Without a token the media goes in beside the ids, and takes none.
    ``more_ids`` are those that the model has beyond its vocabulary's size.
    """

    name: str
    tensors: tuple[Input, ...]
    token: Optional[int] = None
    count: int = 0
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    kind: int = 1
    more_ids: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """All positions that it takes among the ids."""
        if self.token is None:
            return ()
        return (*self.before, *(self.count * (self.token,)), *self.after)


@dataclass(frozen=True)
class Prompt:
    """The ids of a batch, media first and random text after, and what each position holds."""

    rows: tuple[tuple[int, ...], ...]
    kinds: tuple[int, ...]
    """0 for text, else the kind of the media, for each position of a row."""
    bound: int
    """What ids of text are below."""
    media: int = 0
    """How many ids of a row, the first ones, are positions of the media."""

    @property
    def shape(self) -> tuple[int, int]:
        """Batch and length."""
        return len(self.rows), len(self.kinds)

    def each_row(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
        """The same values in each row."""
        return len(self.rows) * (tuple(values),)


def make_prompt(
    media: Sequence[Media], config: Any, *, model: str, batch_size: int, length: int, seed: int
) -> Prompt:
    """Token ids (batch, length) with the positions of all media and at least one token of text.

    Raises `Unsupported` where the length is too short for that, or the vocabulary too small.
    """
    ids = [token for each in media for token in each.ids]
    what = " and ".join(f"one {each.name}'s" for each in media if each.ids)
    if ids and length < len(ids) + 1:
        raise Unsupported(
            f"sequence length {length} is too short for {model}: {what} {len(ids)} positions and "
            f"one token of text are {len(ids) + 1}; raise sequence_lengths to that, or give "
            f"modalities text"
        )
    size = vocabulary_size(config)
    for each in media:
        beyond = [token for token in each.ids if token >= size + each.more_ids]
        if beyond:
            raise Unsupported(
                f"the token id {beyond[0]} of one {each.name} is not below the vocab_size {size} "
                f"of {model}; lower that id in the configuration, or give modalities text"
            )
    text = length - len(ids)
    kinds = [each.kind if token == each.token else 0 for each in media for token in each.ids]
    rows = tuple((*ids, *row) for row in random_text(config, batch_size, text, seed))
    return Prompt(rows, (*kinds, *(text * (0,))), size, len(ids))


def random_text(
    config: Any, batch_size: int, length: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """Random ids (batch, length), none of which the configuration gives a meaning of its own."""
    size = plain_vocabulary_size(config)
    special = set(special_tokens(config))
    plain = [token for token in range(size) if token not in special] or list(range(size))
    draw = random.Random(seed)
    return tuple(tuple(draw.choices(plain, k=length)) for _ in range(batch_size))


def special_tokens(config: Any) -> Iterator[int]:
    """Every id that the configuration or a part of it names: of images, of padding, of ends."""
    for name, value in vars(config).items():
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            yield from special_tokens(value)
        elif name.endswith(("_token_id", "_token_index")):
            values = value if isinstance(value, (list, tuple)) else [value]
            yield from (each for each in values if isinstance(each, int))


def prompt_inputs(prompt: Prompt, parameters: Mapping[str, inspect.Parameter]) -> list[Input]:
    """Ids, a mask of ones, and the kind of each position where the model takes it."""
    ids = Input(
        "input_ids", "given", prompt.shape, prompt.bound, values=prompt.rows, media=prompt.media
    )
    tensors = [ids]
    if "attention_mask" in parameters:
        tensors.append(Input("attention_mask", "ones", prompt.shape))
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in parameters:
            kinds = prompt.each_row(prompt.kinds)
            tensors.append(Input(name, "given", prompt.shape, values=kinds))
            break
    return tensors
