"""Inputs of vision-language models: one image in each sample, before its text.

The image has the size that the vision part names, or 256 × 256 where it takes any, and is not cut
into more tiles than the model's own processor must. How many positions it takes among the token ids
is counted from the configuration, as the processor counts.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Optional

from ..backend import TooLong, Unsupported
from .audio_language import sound
from .placeholders import Media, Prompt, make_prompt, prompt_inputs, random_text
from .tensors import Input, Inputs
from .text import decodes, longest_sequence, vocabulary_size
from .vision_grids import grid_image
from .vision_positions import positioned_image
from .vision_tiles import tiled_image
from .vision_towers import encoder_image, single_image

TEXT = "text"


def multimodal_inputs(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    *,
    model: str,
    batch_size: int,
    sequence_length: Optional[int],
    modalities: str,
    seed: int,
) -> Optional[Inputs]:
    """The inputs of a model that takes images or sounds beside text; None for any other model.

    The sequence length counts all positions of the ids, the image's among them. With
    ``modalities`` "text" the ids are of text alone. Raises `Unsupported` where the length cannot
    hold one image and a token of text, or is more than the model takes.
    """
    if modalities == TEXT:
        return _text_alone(parameters, config, model, batch_size, sequence_length, seed)
    if "input_ids" not in parameters:
        return None
    found = [image_of(parameters, config, batch_size), sound(parameters, config, batch_size)]
    media = [each for each in found if each is not None]
    if not media:
        return None
    length = _checked_length(sequence_length, config, model)
    prompt = make_prompt(
        media, config, model=model, batch_size=batch_size, length=length, seed=seed
    )
    tensors = prompt_inputs(prompt, parameters)
    for each in media:
        tensors += each.tensors
        tensors += _beside(each, prompt, parameters, config)
    tensors += _decoder(parameters, config, batch_size, length, seed)
    tensors += _actions(parameters, config, batch_size)
    return Inputs(tuple(tensors), batch_size * length)


def image_of(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """One image for each sample, as this kind of model takes it; None where no kind is known."""
    for make in (grid_image, tiled_image, positioned_image, encoder_image, single_image):
        made = make(parameters, config, batch_size)
        if made is not None:
            return made
    return None


def _beside(
    media: Media, prompt: Prompt, parameters: Mapping[str, inspect.Parameter], config: Any
) -> list[Input]:
    """Inputs that follow from the ids: which text sees which image, and where its positions are."""
    batch_size, length = prompt.shape
    tensors = []
    if media.name == "image" and "cross_attention_mask" in parameters:
        tiles = config.vision_config.max_num_tiles
        seen = ((1, *((tiles - 1) * (0,))),)  # one image, of which one tile is no padding
        shape = (batch_size, length, 1, tiles)
        values = prompt.each_row(length * (seen,))
        tensors.append(Input("cross_attention_mask", "given", shape, values=values))
    if media.name == "image" and "perceiver_embeddings" in parameters:
        tensors.append(Input("image_attention_mask", "ones", (batch_size, length, 1)))
    if media.name == "image" and "image_embeds_position_mask" in parameters:
        values = prompt.each_row(prompt.kinds)
        tensors.append(Input("image_embeds_position_mask", "given", prompt.shape, values=values))
    if "qformer_input_ids" in parameters:
        rows = random_text(config.qformer_config, batch_size, 8, 0)
        tensors.append(Input("qformer_input_ids", "given", (batch_size, 8), values=rows))
        tensors.append(Input("qformer_attention_mask", "ones", (batch_size, 8)))
    return tensors


def _decoder(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    batch_size: int,
    length: int,
    seed: int,
) -> list[Input]:
    """As many ids for the decoder, where there is one."""
    text = getattr(config, "text_config", config)
    if not (decodes(config) or decodes(text)) or "decoder_input_ids" not in parameters:
        return []
    rows = random_text(config, batch_size, length, seed + 1)
    bound = vocabulary_size(config)
    return [Input("decoder_input_ids", "given", (batch_size, length), bound, values=rows)]


def _actions(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> list[Input]:
    """The state of a robot, or that with the actions that follow it where they are embedded."""
    tensors = []
    if "action_embeds" in parameters:
        shape = (batch_size, int(config.chunk_size) + 1, config.dit_config.hidden_size)
        tensors.append(Input("action_embeds", "noise", shape))
    if "state" in parameters and hasattr(config, "max_state_dim"):
        tensors.append(Input("state", "noise", (batch_size, config.max_state_dim)))
    return tensors


def _text_alone(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    model: str,
    batch_size: int,
    sequence_length: Optional[int],
    seed: int,
) -> Optional[Inputs]:
    """Ids of a model that takes more, without a position that stands for an image or a sound."""
    if "input_ids" not in parameters:
        raise Unsupported(f"{model} takes no text, which modalities asks for; give modalities auto")
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [
        name
        for name, parameter in parameters.items()
        if name not in ("self", "input_ids", "inputs")
        and parameter.default is inspect.Parameter.empty
        and parameter.kind in plain
    ]
    if needed:
        raise Unsupported(
            f"{model} cannot do with text alone, which modalities asks for (it needs "
            f"{', '.join(needed)}); give modalities auto"
        )
    if not _takes_more(parameters, config, batch_size):
        return None
    length = _checked_length(sequence_length, config, model)
    prompt = make_prompt([], config, model=model, batch_size=batch_size, length=length, seed=seed)
    tensors = prompt_inputs(prompt, parameters)
    tensors += _decoder(parameters, config, batch_size, length, seed)
    return Inputs(tuple(tensors), batch_size * length)


def _takes_more(parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int) -> bool:
    """Whether auto would give the model an image or a sound."""
    return (
        image_of(parameters, config, batch_size) is not None
        or sound(parameters, config, batch_size) is not None
    )


def _checked_length(sequence_length: Optional[int], config: Any, model: str) -> int:
    if sequence_length is None:
        raise Unsupported(f"{model} takes sequences; give sequence_lengths")
    longest = longest_sequence(config)
    if longest is not None and sequence_length > longest:
        raise TooLong(
            f"sequence length {sequence_length} is more than {model} takes ({longest}); "
            f"lower sequence_lengths",
            sequence_length=longest,
        )
    return sequence_length
