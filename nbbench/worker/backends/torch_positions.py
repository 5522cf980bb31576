"""How many positions a PyTorch model has embeddings for, read from its modules.

A configuration says how large a table is at most; the module says from where positions are counted
in it, and whether it grows.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from ..inputs.text import note_positions

_TABLE = re.compile(
    r"(^|\.)(embed_positions|position_embeddings?|positional_embedding|wpe|positions_embed)$"
)
_NOT_OF_TEXT = re.compile(r"vision|image|visual|pixel|audio|patch|video|speech|query")
_GROWING = ("make_weights", "make_weight", "get_embedding")
"""Methods of tables that are computed anew for a longer text."""


def read_positions(torch: Any, model: Any) -> None:
    """Keep what is found with the model's configuration, for the check of lengths."""
    found: dict[str, list[Optional[int]]] = {"encoder": [], "decoder": []}
    paired = bool(getattr(model.config, "is_encoder_decoder", False))
    for name, module in model.named_modules():
        if not _TABLE.search(name) or _NOT_OF_TEXT.search(name):
            continue
        side = "decoder" if paired and "decoder" in name.split(".") else "encoder"
        if any(hasattr(module, method) for method in _GROWING):
            found[side].append(None)
        elif isinstance(module, torch.nn.Embedding):
            found[side].append(module.num_embeddings - _first(module))
    if not found["encoder"] and not found["decoder"]:
        return
    if not (paired and found["decoder"]):
        found["decoder"] = found["encoder"]
    note_positions(model.config, _least(found["encoder"]), _least(found["decoder"]))


def _first(table: Any) -> int:
    """The first position in a table: behind the padding's, where the table has one."""
    offset = getattr(table, "offset", None)
    if isinstance(offset, int):
        return offset
    return 0 if table.padding_idx is None else int(table.padding_idx) + 1


def _least(found: list[Optional[int]]) -> Optional[int]:
    return min((each for each in found if each is not None), default=None)
