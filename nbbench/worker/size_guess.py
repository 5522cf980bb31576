"""About what a case needs at most, from its configuration's sizes: in no time, and generously.

It is for one decision alone: whether predicting what a case needs is worth its second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .case import Case

_WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "hidden_dim")
_DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "depth")
_TWO_DEPTHS = ("encoder_layers", "decoder_layers")
_INNER = ("intermediate_size", "d_ff", "ffn_dim", "n_inner", "encoder_ffn_dim", "mlp_dim")
_HEADS = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads", "n_heads")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")

_BYTES = 4
_KEPT_PER_LAYER = 34
"""Numbers that a layer keeps for each token and each number of its width, in training."""


def guessed_bytes(config: Mapping[str, Any], case: Case) -> int:
    """Bytes that the case surely needs no more of; 0 where the sizes do not say."""
    training, number = case.mode == "training", 8 if case.dtype == "float64" else _BYTES
    total = 0
    for part in _parts(config):
        width, layers = _first(part, _WIDTHS), _layers(part)
        if not width:
            continue
        inner, vocabulary = _first(part, _INNER) or 4 * width, _first(part, ("vocab_size",))
        experts = max(1, _first(part, _EXPERTS))
        weights = layers * (4 * width**2 + 3 * width * inner * experts) + 2 * vocabulary * width
        tokens = case.batch_size * (
            (case.sequence_length or _patches(part)) + (case.new_tokens or 0)
        )
        row = tokens // case.batch_size
        kept = _KEPT_PER_LAYER * width + 2 * inner + 2 * (_first(part, _HEADS) or 1) * row
        cache = 2 * width * layers if case.mode == "generation" else 0
        states = 4 if training else 1
        total += states * weights
        total += tokens * (kept * (layers if training else 2) + 3 * vocabulary + cache)
    return total * number


def _parts(config: Mapping[str, Any], depth: int = 3) -> Iterator[Mapping[str, Any]]:
    """A configuration and those nested in it."""
    yield config
    if depth:
        for value in config.values():
            if isinstance(value, Mapping):
                yield from _parts(value, depth - 1)


def _layers(part: Mapping[str, Any]) -> int:
    return _first(part, _DEPTHS) + sum(_number(part, name) for name in _TWO_DEPTHS)


def _patches(part: Mapping[str, Any]) -> int:
    """How many positions an image has, about."""
    image, patch = _number(part, "image_size"), _number(part, "patch_size")
    return (image // patch) ** 2 if image and patch else max(1, image)


def _first(part: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((found for found in (_number(part, name) for name in names) if found), 0)


def _number(part: Mapping[str, Any], name: str) -> int:
    """A whole number by its name; 0 where there is none."""
    value = part.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
