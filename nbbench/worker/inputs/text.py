"""Inputs of text: token ids and masks, and how long and how large they may be."""

from __future__ import annotations

import sys
from typing import Any, Optional

from ..backend import Unsupported
from .asked import Asked, named, parts
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


def longest_sequence(config: Any, *, decoder: bool = False) -> Optional[int]:
    """The most positions that a model has embeddings for; None where positions are computed.

    ``decoder`` asks for those of an encoder-decoder's decoder. What a backend has read from the
    model itself (see `note_positions`) goes before what its configuration lets one expect.
    """
    if getattr(config, "model_type", "") in _A_CODE_A_POSITION:
        return int(config.num_codebooks)
    read = getattr(config, _READ, None)
    if read is not None:
        found = read["decoder" if decoder else "encoder"]
        return None if found is None else int(found)
    if decoder:
        return _longest_of_decoder(config)
    named = getattr(config, "max_encoder_position_embeddings", None)
    if named is not None:
        return int(named)
    if getattr(config, "max_target_positions", None) is not None:
        return int(config.max_target_positions)
    return _longest_of_text(_text_config(config), getattr(config, "model_type", ""))


_READ = "nbbench_positions"


def note_positions(config: Any, encoder: Optional[int], decoder: Optional[int]) -> None:
    """Keep with a configuration what was read from its model: positions, None for any number."""
    setattr(config, _READ, {"encoder": encoder, "decoder": decoder})


def _longest_of_decoder(config: Any) -> Optional[int]:
    for name in ("max_decoder_position_embeddings", "max_target_positions"):
        if getattr(config, name, None) is not None:
            return int(getattr(config, name))
    nested = _decoder_config(config)
    if nested is not config:
        return _longest_of_text(nested, getattr(nested, "model_type", ""))
    return longest_sequence(config)


def _longest_of_text(text: Any, model_type: str) -> Optional[int]:
    computed = ("rope_theta", "rope_parameters", "rope_scaling", "relative_attention_num_buckets")
    if any(getattr(text, name, None) is not None for name in computed):
        return None
    if getattr(text, "alibi", False) or not getattr(text, "position_biased_input", True):
        return None
    longest = getattr(text, "max_position_embeddings", None)
    if not isinstance(longest, int) or longest <= 0:
        return None
    if model_type in _OFFSET_POSITIONS:
        longest -= (text.pad_token_id or 0) + 1
    return longest


def text(asked: Asked) -> list[Input]:
    """Ids (batch, length), and a mask of ones; nothing for models without ids."""
    if not asked.takes("input_ids") or any(map(asked.takes, _OTHERWISE)):
        return []
    if asked.config.model_type in _EMBEDDED_BEFORE:
        width = int(asked.config.hidden_size)
        return [
            Input("inputs_embeds", "noise", (*_shape(asked), width)),
            Input("attention_mask", "ones", _shape(asked)),
        ]
    shape = (*_rows(asked, asked.config), *_codebooks(asked.config))
    made = [Input("input_ids", "ids", shape, plain_vocabulary_size(asked.config))]
    if asked.takes("attention_mask"):
        made.append(Input("attention_mask", "ones", _shape(asked)))
    if asked.takes("mm_token_type_ids"):  # some refuse to be trained without
        of_text = asked.batch_size * (asked.length * (0,),)
        made.append(Input("mm_token_type_ids", "given", _shape(asked), values=of_text))
    return made


_EMBEDDED_BEFORE = ("qwen3_omni_moe_talker_text", "qwen3_omni_moe_talker_code_predictor")
"""Types whose ids only their whole model embeds, though their forward methods take ids, too."""


def decoder_text(asked: Asked) -> list[Input]:
    """As many ids for the decoder, where a model has one with ids of its own."""
    if not asked.takes("decoder_input_ids") or not _decodes(asked):
        return []
    bound = vocabulary_size(asked.config, decoder=True)
    decoder = getattr(asked.config, "decoder_config", None)
    shape = (*_rows(asked, getattr(asked.config, "decoder", None)), *_codebooks(decoder))
    return [Input("decoder_input_ids", "ids", shape, bound)]


def _rows(asked: Asked, config: Any) -> tuple[int, int]:
    """As many rows as samples; of decoders with a row for each of their codebooks, all of them."""
    rows, length = _shape(asked)
    if getattr(config, "model_type", "") in _CODES_AS_ROWS:
        rows *= int(config.num_codebooks)
    return rows, length


_CODES_AS_ROWS = ("musicgen_decoder", "musicgen_melody_decoder")
"""Types whose codebooks are rows of the batch, though others name as many codebooks and are not."""


def _codebooks(config: Any) -> tuple[int, ...]:
    """How many tokens each position of a decoder of codes has; empty where it is one."""
    if codes_beside_text(config):
        return (int(config.num_codebooks) + 1,)
    channels = getattr(config, "num_channels", None)
    is_of_text = hasattr(config, "vocab_size") and not hasattr(config, "vision_config")
    if channels is None or not is_of_text or not hasattr(config, "cross_num_attention_heads"):
        return ()
    return (int(channels),)


def _decodes(asked: Asked) -> bool:
    if asked.needs("decoder_input_ids"):
        return True
    decoder = getattr(asked.config, "decoder", None)
    if getattr(decoder, "model_type", "") in _CODES_AS_ROWS:
        return True
    return any(map(decodes, parts(asked.config)))


def decodes(config: Any) -> bool:
    """Whether a configuration is of a model with a decoder that has ids of its own.

    A text part may be both, the encoder of questions and the decoder of answers, as BLIP's is:
    then it is the configuration of a decoder.
    """
    return any(getattr(config, name, False) for name in ("is_encoder_decoder", "is_decoder"))


def _shape(asked: Asked) -> tuple[int, int]:
    return asked.batch_size, asked.length


def codes_beside_text(config: Any) -> bool:
    """Whether each position of the ids is a token and the codes of the sound beside it."""
    return getattr(config, "model_type", "") in _ALL_CODES_AT_ONCE


_ALL_CODES_AT_ONCE = ("kyutai_speech_to_text",)
"""Types that take the codes of a position beside its token, though their classes take ids alone."""

_OTHERWISE = ("patch_embeds", "atom_inputs")
"""What models take whose ids go with other inputs, and are made with these."""

_A_CODE_A_POSITION = ("moshi_depth",)
"""Types whose ids are one of text and then one of each codebook, so that no more positions are."""

_CODE_POINTS = 0x110000


def vocabulary_size(config: Any, *, decoder: bool = False) -> int:
    """How many tokens a model knows; raises `Unsupported` where its configuration does not say.

    ``decoder`` asks for those of an encoder-decoder's decoder.
    """
    if hasattr(config, "num_hash_buckets"):  # characters, whose code points are hashed
        return _CODE_POINTS
    sides = ("decoder_vocab_size", "tgt_vocab_size") if decoder else ("src_vocab_size",)
    first = _decoder_config(config) if decoder else _text_config(config)
    for part, names in ((config, sides), (first, ("vocab_size",)), (config, ("vocab_size",))):
        for name in names:
            size = getattr(part, name, None)
            if size:
                return int(size)
    size = named(config, "vocab_size")
    if not size:
        raise Unsupported(f"the configuration of {config.model_type} names no vocab_size")
    return int(size)


def plain_vocabulary_size(config: Any) -> int:
    """How many tokens may stand anywhere: those that layers embed once more may be fewer."""
    fewer = named(config, "vocab_size_per_layer_input")
    if getattr(config, "model_type", "") in _A_CODE_A_POSITION:
        fewer = config.audio_vocab_size
    return min(vocabulary_size(config), int(fewer or sys.maxsize))


def _decoder_config(config: Any) -> Any:
    part = getattr(config, "decoder", None) or getattr(config, "decoder_config", None)
    return part if hasattr(part, "vocab_size") else _text_config(config)


def _text_config(config: Any) -> Any:
    for name in ("text_config", "encoder", "text_encoder"):
        part = getattr(config, name, None)
        if hasattr(part, "vocab_size"):
            return part
    return config
