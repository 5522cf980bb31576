"""Rows of a batch that are shorter than the longest: how long they are, and how they are padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from .tensors import IGNORED


@dataclass(frozen=True)
class Rows:
    """How many tokens of each row are real, of ``length`` that the batch is padded to.

    ``ids`` are given ids, ``length`` of them in each row, or None for those that are drawn.
    """

    lengths: tuple[int, ...]
    length: int
    pad_id: int = 0
    left: bool = False
    ids: Optional[Sequence[Sequence[int]]] = None

    @property
    def real_tokens(self) -> int:
        """How many tokens of a call are no padding."""
        return sum(self.lengths)

    def padded(self, name: str, values: Sequence[Sequence[int]]) -> Optional[list[list[int]]]:
        """An input of one number for each token, padded; None for one that stays as it is.

        A row keeps its last token, by which some classifiers find its end.
        """
        end = name.rpartition(".")[2]
        if self.ids is not None and end in ("input_ids", "token_ids"):
            return [list(row) for row in self.ids]
        if end.endswith(("input_ids", "token_ids")):
            return self._arranged(values, self.pad_id)
        if end.endswith(("attention_mask", "padding_mask")):
            return self._arranged(values, 0)
        return self._arranged(values, IGNORED) if end == "labels" else None

    def check(self, inputs: Mapping[str, Any], modalities: str, model: str) -> None:
        """Raise `Unsupported` where these inputs cannot be padded."""
        if modalities not in ("", "text"):
            raise Unsupported(
                f"nbbench pads tokens alone, and {model} is given more than text; leave padding "
                f"and lengths out"
            )
        if not any(name.endswith(("attention_mask", "padding_mask")) for name in inputs):
            raise Unsupported(
                f"{model} takes no mask of its tokens, so that none can be padding; leave padding "
                f"and lengths out"
            )
        whole = (len(self.lengths), self.length)
        ids = [each for name, each in inputs.items() if name.endswith(("input_ids", "token_ids"))]
        if any(tuple(each.shape) != whole for each in ids):
            raise Unsupported(
                f"nbbench pads samples of one text, and those of {model} have several; leave "
                f"padding and lengths out"
            )

    def _arranged(self, values: Sequence[Sequence[int]], filler: int) -> list[list[int]]:
        arranged = []
        for row, length in zip(values, self.lengths):
            real = [*row[: length - 1], row[-1]]
            padding = [filler] * (self.length - length)
            arranged.append([*padding, *real] if self.left else [*real, *padding])
        return arranged


def drawn_rows(case: Case, config: Any, left: bool) -> Optional[Rows]:
    """The rows of a case by its ``row_lengths`` or its ``padding``; None for whole ones."""
    length = case.sequence_length
    if length is None or not (case.row_lengths or case.padding):
        return None
    lengths = case.row_lengths or spread(case.batch_size, length, case.padding)
    return Rows(lengths, length, pad_id_of(config), left)


def spread(batch_size: int, length: int, padding: float) -> tuple[int, ...]:
    """Lengths of the rows of a batch of which this part is padding: evenly apart, longest last.

    Up to half of padding the longest row is whole; a batch of one has one row of the mean length.
    """
    mean = (1 - padding) * length
    reach = min(padding * length, max(mean - 1, 0.0)) if batch_size > 1 else 0.0
    step = 2 * reach / max(batch_size - 1, 1)
    ends = accumulate(mean - reach + step * number for number in range(batch_size))
    totals = [round(end + 1e-9) for end in ends]  # so that the sum is right, too
    found = (after - before for before, after in zip([0, *totals], totals))
    return tuple(min(max(each, 1), length) for each in found)


def pad_id_of(config: Any) -> int:
    """The id of the padding token, as the configuration (or its text part) has it; else 0."""
    for part in (config, getattr(config, "text_config", None)):
        found = getattr(part, "pad_token_id", None)
        if isinstance(found, int) and found >= 0:
            return found
    return 0
