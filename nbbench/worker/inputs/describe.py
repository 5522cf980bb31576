"""What a model is called with, from its own signature and configuration.

The shapes are decided here, for every framework; a backend only turns them into its tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..backend import TooLong, Unsupported
from .asked import Asked
from .audio import audio, decoder_audio
from .beside_text import boxes, decisions, features_beside, hidden_states
from .byte_patches import patches_of_bytes
from .graphs import graphs
from .images import images
from .part_features import part_features
from .proteins import proteins
from .tensors import Input, Inputs
from .text import decoder_text, longest_sequence, text
from .time_series import time_series
from .video import video
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
    models one image per sample in the configuration's size, or one video; audio models the samples
    that make ``sequence_length`` frames, or the one length that they take; models of time series
    the number of past values that their configuration names; models of images or sounds beside
    text one of each per sample, unless ``modalities`` is "text". Raises `Unsupported` where the
    length is more than the model takes or an input is unknown. Tokens are positions of ids: frames
    of audio and patches of images are none.
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
    asked = Asked(parameters, config, model, batch_size, sequence_length)
    tensors: dict[str, Input] = {}
    for make in _KINDS:
        for tensor in make(asked):
            tensors.setdefault(tensor.name, tensor)
    missing = [name for name in asked.needed if name not in tensors]
    if asked.takes("context_input_ids"):
        raise Unsupported(f"{model} takes documents that a retriever finds, which nbbench has not")
    if asked.needs("inference_session"):
        raise Unsupported(f"{model} takes a video under way, which its processor alone begins")
    if missing or not tensors:
        _refuse(asked, missing)
    _check_lengths(asked, tensors)
    ids = ("input_ids", "decoder_input_ids")
    takes_ids = any(name in tensors for name in ids)
    tokens = batch_size * asked.length if takes_ids else None
    return Inputs(tuple(tensors.values()), tokens)


_KINDS: tuple[Callable[[Asked], list[Input]], ...] = (
    audio, text, boxes, video, images, graphs, time_series, part_features, features_beside,
    hidden_states, decoder_text, decoder_audio, patches_of_bytes, decisions, proteins,
)  # fmt: skip
"""What makes inputs, each of one kind; where two make one of a name, the first has it."""


def _refuse(asked: Asked, missing: list[str]) -> None:
    """Raise `Unsupported` with what is missing."""
    if all(each.kind in _ANY for each in asked.parameters.values()):
        raise Unsupported(
            f"{asked.model} has no forward pass of its own: it is run by other methods alone, like "
            f"generate or encode"
        )
    plain = [n for n, each in asked.parameters.items() if n != "self" and each.kind not in _ANY]
    names = ", ".join(missing or plain)
    raise Unsupported(f"nbbench cannot make the inputs that {asked.model} takes ({names})")


_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _check_lengths(asked: Asked, tensors: Mapping[str, Input]) -> None:
    """Raise `Unsupported` for more positions than the encoder, or the decoder, takes."""
    for name, decoder in (("input_ids", False), ("decoder_input_ids", True)):
        longest = longest_sequence(asked.config, decoder=decoder) if name in tensors else None
        if longest is not None and asked.length > longest:
            part = " in its decoder" if decoder and "input_ids" in tensors else ""
            raise TooLong(
                f"sequence length {asked.length} is more than {asked.model} takes{part} "
                f"({longest}); lower sequence_lengths",
                sequence_length=longest,
            )
