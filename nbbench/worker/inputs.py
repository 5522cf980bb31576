"""What a model is called with, from its own signature and configuration.

The shapes are decided here, for every framework; a backend only turns them into its tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Optional

from .backend import Unsupported

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


def describe_inputs(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    *,
    model: str,
    batch_size: int,
    sequence_length: Optional[int],
) -> Inputs:
    """The inputs of one forward pass.

    ``parameters`` are those of the model's forward method, ``config`` is its configuration
    object, ``model`` its name, for messages. Text models get ids and a mask of ones, as a
    tokenizer gives for texts of one length; encoder-decoders as many ids for the decoder; vision
    models one image per sample in the configuration's size; audio models the samples that make
    ``sequence_length`` frames, or the one length that they take. Raises `Unsupported` where the
    length is more than the model takes or an input is unknown.
    """
    tensors: list[Input] = []
    takes_length = False
    if "input_features" in parameters:
        tensors.append(_spectrogram(config, batch_size))
    elif "input_values" in parameters:
        takes_length = True
        tensors.append(_waveform(config, batch_size, _required(sequence_length, model)))
    elif "input_ids" in parameters:
        takes_length = True
        tensors += _token_inputs(
            "input_ids",
            "attention_mask",
            parameters,
            config,
            batch_size,
            _required(sequence_length, model),
        )
    if "pixel_values" in parameters and _sees_images(parameters, config):
        tensors.append(_image(config, batch_size))
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in parameters:
        takes_length = True
        tensors += _token_inputs(
            "decoder_input_ids",
            "",
            parameters,
            config,
            batch_size,
            _required(sequence_length, model),
        )
    given = {tensor.name for tensor in tensors}
    missing = [name for name in _without_default(parameters) if name not in given]
    if missing or not tensors:
        names = ", ".join(missing or parameters)
        raise Unsupported(f"nbbench cannot make the inputs that {model} takes ({names})")
    if takes_length and sequence_length is not None:
        longest = longest_sequence(config)
        if longest is not None and sequence_length > longest:
            raise Unsupported(
                f"sequence length {sequence_length} is more than {model} takes ({longest}); "
                f"lower sequence_lengths"
            )
    tokens = batch_size * sequence_length if takes_length and sequence_length else None
    return Inputs(tuple(tensors), tokens)


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


def _required(sequence_length: Optional[int], model: str) -> int:
    if sequence_length is None:
        raise Unsupported(f"{model} takes sequences; give sequence_lengths")
    return sequence_length


def _without_default(parameters: Mapping[str, inspect.Parameter]) -> Iterable[str]:
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return (
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in plain
        and name != "self"
    )


def _text_config(config: Any) -> Any:
    for name in ("text_config", "encoder", "text_encoder"):
        part = getattr(config, name, None)
        if hasattr(part, "vocab_size"):
            return part
    return config


def _token_inputs(
    ids: str,
    mask: str,
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    batch_size: int,
    length: int,
) -> list[Input]:
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


def _sees_images(parameters: Mapping[str, inspect.Parameter], config: Any) -> bool:
    """Whether images are needed: not for a language model that merely may take them."""
    if "input_ids" not in parameters:
        return True
    optional = ("image_token_id", "image_token_index")
    return hasattr(config, "vision_config") and not any(hasattr(config, name) for name in optional)


def _image(config: Any, batch_size: int) -> Input:
    vision = getattr(config, "vision_config", None) or config
    size = getattr(vision, "image_size", None) or 224
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    channels = getattr(vision, "num_channels", 3)
    return Input("pixel_values", "noise", (batch_size, channels, height, width))


def _spectrogram(config: Any, batch_size: int) -> Input:
    bins = getattr(config, "num_mel_bins", None) or 80
    positions = getattr(config, "max_source_positions", None)
    if positions is None:
        raise Unsupported(f"the configuration of {config.model_type} names no audio length")
    return Input("input_features", "noise", (batch_size, bins, 2 * positions))


def _waveform(config: Any, batch_size: int, frames: int) -> Input:
    """Audio samples that a stack of convolutions turns into just so many frames."""
    kernels = getattr(config, "conv_kernel", None)
    strides = getattr(config, "conv_stride", None)
    if not kernels or not strides:
        raise Unsupported(f"the configuration of {config.model_type} names no convolutions")
    length = frames
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        length = (length - 1) * stride + kernel
    return Input("input_values", "noise", (batch_size, length))
