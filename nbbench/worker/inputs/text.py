"""Inputs of text: token ids and masks, and how long and how large they may be."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Optional

from ..backend import Unsupported
from .tensors import Input

_OFFSET_POSITIONS = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}
"""Model types that number positions from the padding index on, and so take fewer than they have."""


def longest_sequence(config: Any) -> Optional[int]:
    """The most positions that a model has embeddings for; None where positions are computed."""
    if getattr(config, "max_target_positions", None) is not None:
        return int(config.max_target_positions)
    text = _text_config(config)
    computed = ("rope_theta", "rope_parameters", "rope_scaling", "relative_attention_num_buckets")
    if any(getattr(text, name, None) is not None for name in computed):
        return None
    if getattr(text, "alibi", False) or not getattr(text, "position_biased_input", True):
        return None
    longest = getattr(text, "max_position_embeddings", None)
    if not isinstance(longest, int) or longest <= 0:
        return None
    if getattr(config, "model_type", "") in _OFFSET_POSITIONS:
        longest -= (text.pad_token_id or 0) + 1
    return longest


def token_inputs(
    ids: str,
    mask: str,
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    batch_size: int,
    length: int,
) -> list[Input]:
    """Ids (batch, length), and a mask of ones where the model takes one named ``mask``."""
    tensors = [Input(ids, "ids", (batch_size, length), vocabulary_size(config))]
    if mask in parameters:
        tensors.append(Input(mask, "ones", (batch_size, length)))
    return tensors


def vocabulary_size(config: Any) -> int:
    """How many tokens a model knows; raises `Unsupported` where its configuration does not say."""
    size = getattr(_text_config(config), "vocab_size", None) or getattr(config, "vocab_size", None)
    if not size:
        raise Unsupported(f"the configuration of {config.model_type} names no vocab_size")
    return int(size)


def _text_config(config: Any) -> Any:
    for name in ("text_config", "encoder", "text_encoder"):
        part = getattr(config, name, None)
        if hasattr(part, "vocab_size"):
            return part
    return config
