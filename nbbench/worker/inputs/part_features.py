"""Features that parts of larger models take, as what runs before them would give them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Optional, Union

from .asked import Asked
from .tensors import Input
from .vision_sizes import patch_grid

_Size = Union[str, tuple[str, ...]]

_SHAPES: dict[str, tuple[_Size, ...]] = {
    "context": ("length", "hidden_size"),
    "context_hidden_states": ("length", ("hidden_size", "target_layer_ids")),
    "image_features": ("length", ("hidden_size", "vision_feature_layer")),
    "noise_embeds": ("block_size", "hidden_size"),
}
"""The axes behind the batch: the sequence length, or fields of the configuration, multiplied where
there are several; a list counts for as many as it has entries."""

_POOLED = 4
"""How many neighbours are pooled, where a model is told which: squares of two by two."""

_SIDE = 8
"""Rows and columns of a map of features, of the coarsest one where there are several."""

_QUERIES = 16
"""How many objects a decoder looks for, where its configuration names no number."""


def part_features(asked: Asked) -> list[Input]:
    """What a part of a larger model takes; nothing for a whole model."""
    for names, make in _PARTS:
        if all(map(asked.needs, names)):
            return make(asked)
    if asked.takes("hidden_states", "padding_cache"):
        return _ends_of_a_codec(asked)
    return [*_conditions(asked), *_features_by_name(asked)]


def _latents(asked: Asked) -> list[Input]:
    """What a codec's decoder makes sound of: channels before frames."""
    return [_noise(asked, "latents", asked.config.hidden_size, asked.length)]


def _ends_of_a_codec(asked: Asked) -> list[Input]:
    """A waveform for a codec's encoder, latents for its decoder, which upsamples."""
    config = asked.config
    if hasattr(config, "upsampling_ratios"):
        return [_noise(asked, "hidden_states", config.hidden_size, asked.length)]
    samples = asked.length * int(getattr(config, "hop_length", None) or 1)
    return [_noise(asked, "hidden_states", config.channels, samples)]


def _mel_spectrogram(asked: Asked) -> list[Input]:
    return [_noise(asked, "mel_spectrogram", asked.config.mel_dim, asked.length)]


def _denoised_frames(asked: Asked) -> list[Input]:
    """Mel frames to be denoised, several for each code of speech, and whose voice it is."""
    config, length = asked.config, asked.length
    frames = length * int(config.repeats)
    return [
        _noise(asked, "hidden_states", frames, config.mel_dim),
        _noise(asked, "condition_vector", frames, config.mel_dim),
        _noise(asked, "speaker_embedding", frames, config.enc_emb_dim),
        Input("quantized_code", "ids", (asked.batch_size, length), int(config.num_embeds)),
        Input("time_step", "uniform", (asked.batch_size,)),
    ]


def _spoken_codes(asked: Asked) -> list[Input]:
    """Codes of speech, with the voice that says them and mel frames of that voice."""
    frames = asked.config.dit_config
    return [
        Input("code", "ids", (asked.batch_size, asked.length), int(frames.num_embeds)),
        _noise(asked, "conditioning", frames.enc_emb_dim),
        _noise(asked, "reference_mel", asked.length, frames.mel_dim),
    ]


def _unmasked_frames(asked: Asked) -> list[Input]:
    """Mel frames none of which is padding, as many as make the sequence length."""
    frames = asked.length * int(getattr(asked.config, "time_reduction", None) or 1)
    bins = asked.named("input_size", "num_mel_bins", "hidden_size")
    return [
        _noise(asked, "hidden_states", frames, bins),
        Input("mask", "flag", (), values=None),
    ]


def _image_and_text(asked: Asked) -> list[Input]:
    """Features of an image beside those of a text: maps of it, or the positions of one map."""
    width = asked.config.hidden_size
    of_text = _noise(asked, "text_features", asked.length, width)
    if asked.takes("vision_pos_embeds"):
        names = ("vision_features", "vision_pos_embeds")
        return [of_text, *(_maps(asked, name, width, 1) for name in names)]
    names = ("vision_features", "vision_pos_encoding")
    return [of_text, *(_noise(asked, name, _SIDE * _SIDE, width) for name in names)]


def _queries(asked: Asked) -> list[Input]:
    """Objects that were found, and maps of the image from the finest to the coarsest."""
    width = asked.config.hidden_size
    levels = int(asked.named("num_upsampling_stages") or 1)
    return [
        _noise(asked, "decoder_queries", int(asked.named("num_queries") or _QUERIES), width),
        _maps(asked, "backbone_features", width, levels),
        _noise(asked, "encoder_hidden_states", _SIDE * _SIDE, width),
    ]


def _patch_embeds(asked: Asked) -> list[Input]:
    """A map of patches that are embedded."""
    rows, columns = patch_grid(asked.config) or (_SIDE, _SIDE)
    return [_noise(asked, "patch_embeds", asked.config.hidden_size, rows, columns)]


_PARTS: tuple[tuple[tuple[str, ...], Callable[[Asked], list[Input]]], ...] = (
    (("latents",), _latents),
    (("mel_spectrogram",), _mel_spectrogram),
    (("quantized_code", "time_step"), _denoised_frames),
    (("code", "reference_mel"), _spoken_codes),
    (("hidden_states", "mask"), _unmasked_frames),
    (("vision_features", "text_features"), _image_and_text),
    (("decoder_queries", "backbone_features"), _queries),
    (("patch_embeds",), _patch_embeds),
)
"""What is made for a part that needs all of these inputs."""


def _conditions(asked: Asked) -> list[Input]:
    """What a part cannot do without, though its forward method does not ask for it."""
    name = _CONDITIONS.get(getattr(asked.config, "model_type", ""))
    if name is None:
        return []
    width = asked.config.hidden_size
    if name == "encoder_hidden_states":
        return [_noise(asked, name, asked.length, width)]
    return [Input(name, "noise", (1, width))]


_CONDITIONS = {"t5gemma2_decoder": "encoder_hidden_states", "voxtral_realtime_text": "t_cond"}


def _noise(asked: Asked, name: str, *sizes: Any) -> Input:
    return Input(name, "noise", (asked.batch_size, *map(int, sizes)))


def _maps(asked: Asked, name: str, width: int, levels: int) -> Input:
    """Maps of features, each with half the rows and columns of the one before."""
    sides = [_SIDE * 2**level for level in reversed(range(levels))]
    return Input(name, "list", (), parts=tuple(_noise(asked, "", width, s, s) for s in sides))


def _features_by_name(asked: Asked) -> list[Input]:
    """What the whole model would give to this part of it, by the parameters' names alone."""
    made = []
    for name, axes in _SHAPES.items():
        sizes = [_size(asked, axis) for axis in axes] if asked.needs(name) else []
        shape = tuple(size for size in sizes if size is not None)
        if sizes and len(shape) == len(sizes):
            made.append(Input(name, "noise", (asked.batch_size, *shape)))
    if asked.needs("context") and asked.needs("attention_mask"):
        made.append(Input("attention_mask", "ones", (asked.batch_size, asked.length)))
    if asked.needs("pooled_patches_idx"):
        patches = asked.batch_size * asked.length
        pooled = (max(1, patches // _POOLED), _POOLED)
        made.append(Input("pooled_patches_idx", "ids", pooled, patches))
    if asked.needs("num_patches") and asked.needs("inputs_embeds"):  # before learnt queries
        made.append(Input("num_patches", "flag", (), values=max(1, asked.length // 2)))
    hidden = _size(asked, "input_size")
    if asked.takes("last_hidden_state", "input_ids") and hidden is not None:
        read = (asked.batch_size, asked.length, hidden)
        made.append(Input("last_hidden_state", "noise", read))
    return made


def _size(asked: Asked, axis: _Size) -> Optional[int]:
    """The size of an axis; None where the configuration does not say it."""
    if axis == "length":
        return asked.length
    names = (axis,) if isinstance(axis, str) else axis
    sizes: list[Any] = [getattr(asked.config, name, None) for name in names]
    counts = [len(size) if isinstance(size, (list, tuple)) else size for size in sizes]
    return prod(counts) if all(isinstance(count, int) for count in counts) else None
