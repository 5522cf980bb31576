"""What a model is called with, from its own signature and configuration.

The shapes are decided here, for every framework; a backend only turns them into its tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..backend import Unsupported
from .audio import spectrogram, waveform
from .images import image, sees_images
from .tensors import Input, Inputs
from .text import longest_sequence, token_inputs
from .vision_language import multimodal_inputs


def describe_inputs(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    *,
    model: str,
    batch_size: int,
    sequence_length: Optional[int],
    modalities: str = "auto",
    seed: int = 0,
) -> Inputs:
    """The inputs of one forward pass.

    ``parameters`` are those of the model's forward method, ``config`` is its configuration
    object, ``model`` its name, for messages. Text models get ids and a mask of ones, as a
    tokenizer gives for texts of one length; encoder-decoders as many ids for the decoder; vision
    models one image per sample in the configuration's size; audio models the samples that make
    ``sequence_length`` frames, or the one length that they take; models of images or sounds beside
    text one of each per sample, unless ``modalities`` is "text". Raises `Unsupported` where the
    length is more than the model takes or an input is unknown.
    """
    several = multimodal_inputs(
        parameters,
        config,
        model=model,
        batch_size=batch_size,
        sequence_length=sequence_length,
        modalities=modalities,
        seed=seed,
    )
    if several is not None:
        return several
    tensors: list[Input] = []
    takes_length = False
    if "input_features" in parameters:
        tensors.append(spectrogram(config, batch_size))
    elif "input_values" in parameters:
        takes_length = True
        tensors.append(waveform(config, batch_size, _required(sequence_length, model)))
    elif "input_ids" in parameters:
        takes_length = True
        tensors += token_inputs(
            "input_ids",
            "attention_mask",
            parameters,
            config,
            batch_size,
            _required(sequence_length, model),
        )
    if "pixel_values" in parameters and sees_images(parameters, config):
        tensors.append(image(config, batch_size))
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in parameters:
        takes_length = True
        tensors += token_inputs(
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
