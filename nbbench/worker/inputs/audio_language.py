"""Inputs of audio-language models: one sound in each sample, before its text.

The sound is as long as the audio part's positions are, to which a processor pads each sound,
or ten seconds where any length is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Optional

from .placeholders import Media
from .tensors import Input
from .vision_sizes import first_named, tokens_named

_AUDIO_KIND = 3
"""What audio is among the kinds of positions, as text is 0, images 1 and videos 2."""

_TEN_SECONDS = 1000
"""Frames of ten milliseconds."""

_MASKS = ("feature_attention_mask", "input_features_mask")


def sound(
    parameters: Mapping[str, inspect.Parameter], config: Any, batch_size: int
) -> Optional[Media]:
    """One sound for each sample, as this kind of model takes it; None where no kind is known."""
    token = first_named(config, "audio_token_id", "audio_token_index")
    audio = getattr(config, "audio_config", None) or getattr(config, "encoder_config", None)
    if token is None or audio is None or "input_features" not in parameters:
        return None
    for make in (_windows, _soft_tokens, _stacked_frames, _mel_frames):
        made = make(parameters, config, audio, batch_size)
        if made is not None:
            tensors, count = made
            before = tokens_named(
                config, "boa_token_id", "audio_start_token_id", "audio_bos_token_id"
            )
            after = tokens_named(config, "eoa_token_id", "audio_end_token_id", "audio_eos_token_id")
            return Media("sound", tuple(tensors), token, count, before, after, kind=_AUDIO_KIND)
    return None


_Made = Optional[tuple[list[Input], int]]


def _windows(
    parameters: Mapping[str, inspect.Parameter], config: Any, audio: Any, batch_size: int
) -> _Made:
    """Stacked frames of any number, some windows of which give some positions each (Granite)."""
    window, rate = first_named(config, "window_size"), first_named(config, "downsample_rate")
    bins = first_named(audio, "input_dim")
    if not window or not rate or not bins:
        return None
    frames = _TEN_SECONDS // 2  # two frames of ten milliseconds are stacked
    count = -(-frames // window) * (window // rate)
    tensors = [Input("input_features", "noise", (batch_size, frames, bins))]
    if "input_features_mask" in parameters:  # of positions, not of frames
        shape = (batch_size, count)
        values = batch_size * (count * (True,),)
        tensors.append(Input("input_features_mask", "given", shape, values=values))
    return tensors, count


def _soft_tokens(
    parameters: Mapping[str, inspect.Parameter], config: Any, audio: Any, batch_size: int
) -> _Made:
    """Frames of any number that always give the same number of positions (Gemma 3n)."""
    count = first_named(config, "audio_soft_tokens_per_image")
    bins = first_named(audio, "input_feat_size")
    if count is None or bins is None:
        return None
    values = batch_size * (_TEN_SECONDS * (True,),)
    return [
        Input("input_features", "noise", (batch_size, _TEN_SECONDS, bins)),
        Input("input_features_mask", "given", (batch_size, _TEN_SECONDS), values=values),
    ], count


def _stacked_frames(
    parameters: Mapping[str, inspect.Parameter], config: Any, audio: Any, batch_size: int
) -> _Made:
    """Frames put side by side, of any number, each of which gives a position (Fun-ASR)."""
    bins, stacked = first_named(audio, "num_mel_bins"), first_named(audio, "num_stacked_frames")
    if not bins or not stacked:
        return None
    frames = _TEN_SECONDS // stacked
    values = batch_size * (frames * (True,),)
    return [
        Input("input_features", "noise", (batch_size, frames, bins * stacked)),
        Input("input_features_mask", "given", (batch_size, frames), values=values),
    ], frames


def _mel_frames(
    parameters: Mapping[str, inspect.Parameter], config: Any, audio: Any, batch_size: int
) -> _Made:
    """Mel frames as Whisper's encoder takes them, two of which give one of its positions."""
    positions = first_named(audio, "max_source_positions", "max_position_embeddings")
    bins = first_named(audio, "num_mel_bins")
    if positions is None or bins is None or getattr(audio, "n_window", None) is not None:
        return None
    frames, width = 2 * positions, first_named(audio, "hidden_size", "d_model") or 0
    tensors = [Input("input_features", "noise", (batch_size, bins, frames))]
    stacked = (first_named(audio, "intermediate_size") or 0) // max(1, width)
    count = (positions - 2) // 2 + 1 if _pools(audio) else positions // max(1, stacked)
    for name in _MASKS:
        if name in parameters:
            tensors.append(Input(name, "ones", (batch_size, frames)))
    return tensors, count


def _pools(audio: Any) -> bool:
    """Whether pairs of positions are averaged; the others are put side by side, four at a time."""
    return getattr(audio, "model_type", "") in _POOLING


_POOLING = ("qwen2_audio_encoder", "audioflamingo3_encoder")
"""Audio parts that average pairs of positions, which nothing in their configuration says."""
