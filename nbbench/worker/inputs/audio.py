"""Inputs of audio: waveforms, mel frames with either axis first, and vectors of features."""

from __future__ import annotations

import dataclasses
from math import prod
from typing import Any, Optional

from ..backend import Unsupported
from .asked import Asked, parts
from .tensors import Input

_BINS = (
    "input_feat_per_channel", "feature_projection_input_dim", "num_mel_bins", "mel_bins",
    "input_feat_size", "feature_size", "input_dim", "input_size", "n_mels",
)  # fmt: skip
"""What configurations call the numbers that each frame has."""

_BINS_FIRST = (
    "clvp", "dots3_note_audio_encoder", "glmasr_encoder", "voxtral_realtime",
    "voxtral_realtime_encoder",
)  # fmt: skip
"""Types that take bins before frames, though they name no number of positions as Whisper does."""

_FRAME = 400
"""Samples for each frame, where a configuration names neither convolutions nor ratios."""


def audio(asked: Asked) -> list[Input]:
    """One sound for each sample; nothing for a model that has ids to do with."""
    if asked.needs("audio_input_ids"):  # a step of loudness in each bin of each frame
        steps = (asked.batch_size, asked.length, asked.named("n_mel_bins", *_BINS))
        return [Input("audio_input_ids", "ids", steps, asked.named("mel_vocab_size"))]
    if asked.needs("audio_mel"):
        frames, bins = max(asked.length, _FEWEST_FRAMES), asked.named(*_BINS)
        padded = asked.batch_size * (frames * (False,),)
        shape = (asked.batch_size, frames)
        return [
            Input("audio_mel", "noise", (*shape, bins)),
            Input("audio_mel_mask", "given", shape, values=padded),
        ]
    if asked.needs("audio_values"):  # a spectrogram as an image
        config = asked.config
        image = (config.num_audio_channels, config.spectrogram_length, config.frequency_length)
        return [Input("audio_values", "noise", (asked.batch_size, *image))]
    if asked.needs("input_features") and asked.needs("input_values"):
        return _both_forms(asked)
    if asked.takes("input_features", "input_values") and _reads_waveforms(asked):
        return _values(asked)
    if asked.takes("input_features") and _wanted(asked, "input_features"):
        return _features(asked)
    if asked.takes("input_values") and _wanted(asked, "input_values"):
        return _values(asked)
    return []


def _both_forms(asked: Asked) -> list[Input]:
    """The same sound as a waveform and as features, as many frames of either."""
    longest = max(asked.length, _FEWEST_FRAMES)
    asked = dataclasses.replace(asked, sequence_length=longest)
    features = (each for each in _features(asked) if each.name.startswith("input_features"))
    return [*features, *_values(asked)]


def _reads_waveforms(asked: Asked) -> bool:
    """Whether an encoder for either form of audio reads waveforms, as its convolutions show.

    Mamba names convolutions of another kind by the same name, with a number for them all.
    """
    if asked.needs("input_features"):
        return False
    convolutions = isinstance(asked.named("conv_kernel"), (list, tuple))
    return convolutions or asked.named(*_BINS) is None


def _wanted(asked: Asked, name: str) -> bool:
    """Whether audio is needed: not by a language model that may take it, but by pairs of encoders.

    What names a token for audio in its text is such a language model.
    """
    if asked.needs(name) or not asked.takes("input_ids"):
        return True
    token = asked.named(
        "audio_token_id", "audio_token_index", "audio_token", "audio_start_token_id"
    )
    names = ("audio_config", "speech_config")
    encoder = any(getattr(asked.config, name, None) is not None for name in names)
    return encoder and token is None


def _features(asked: Asked) -> list[Input]:
    """Frames of features, as many as make the sequence length, or the number that is taken."""
    bins = _bins(asked)
    if bins is None:
        raise Unsupported(f"the configuration of {asked.model} names no number of mel bins")
    bins *= getattr(asked.config, "input_channels", None) or 1
    bins *= asked.named("num_stacked_frames") or _stacked(asked)
    if asked.named("spec_size") is not None:  # a spectrogram as an image of one channel
        frames = int(asked.named("spec_size")) ** 2 // bins
        return [Input("input_features", "noise", (asked.batch_size, 1, frames, bins))]
    positions, window = asked.named("max_source_positions"), asked.named("n_window")
    as_whisper = positions is not None and asked.named(*_BINS[:2]) is None
    if as_whisper and window is None:
        frames = 2 * int(positions)
    else:
        each = asked.named("subsampling_factor", "audio_length_per_tok")
        frames = asked.length * int(each or 1)
        frames = max(frames, 2 * window if window else _FEWEST_FRAMES)
    if asked.takes("feature_lens"):  # all sounds behind each other
        lengths = asked.batch_size * (frames,)
        behind = asked.batch_size * ((frames - 1) // 2 + 1,)
        made = [
            Input("input_features", "noise", (bins, asked.batch_size * frames)),
            Input("feature_lens", "given", (asked.batch_size,), values=lengths),
            Input("aftercnn_lens", "given", (asked.batch_size,), values=behind),
        ]
        return [tensor for tensor in made if tensor.name in asked.parameters]
    first = as_whisper or window is not None or asked.config.model_type in _BINS_FIRST
    shape = (asked.batch_size, bins, frames) if first else (asked.batch_size, frames, bins)
    made = [Input("input_features", "noise", shape)]
    for name in ("attention_mask", "input_features_mask", "padding_mask"):
        by_processor = not first or name == "input_features_mask"
        if asked.needs(name) or (name in asked.parameters and by_processor):
            values = asked.batch_size * (frames * (True,),)
            made.append(Input(name, "given", (asked.batch_size, frames), values=values))
    if asked.needs("chunk_sample_lengths"):
        samples = asked.batch_size * (frames * int(asked.named("hop_length") or 1),)
        made.append(Input("chunk_sample_lengths", "given", (asked.batch_size,), values=samples))
    return made


def _bins(asked: Asked) -> Optional[int]:
    """The numbers that each frame has; None where nothing says so.

    Two convolutions of stride 2 leave a quarter of them, which Gemma 4 names by channels alone.
    """
    named = asked.named(*_BINS)
    channels = asked.named("subsampling_conv_channels")
    if named is None and isinstance(channels, (list, tuple)):
        return int(channels[0])
    return None if named is None else int(named)


def _stacked(asked: Asked) -> int:
    """How many vectors of features make a frame, which no configuration says."""
    types = {getattr(part, "model_type", "") for part in parts(asked.config)}
    return max((_STACKED[each] for each in types & set(_STACKED)), default=1)


_STACKED = {"granite_speech5_encoder": 4}
"""Two frames, each with its differences to the one before."""

_FEWEST_FRAMES = 16
"""Less than this may be nothing behind convolutions with strides."""


def _values(asked: Asked) -> list[Input]:
    config, batch_size = asked.config, asked.batch_size
    if asked.takes("decoder_input_values") and "labels" not in asked.parameters:
        shape = (batch_size, asked.length, config.hidden_size)  # behind what would embed the sound
        return [Input(name, "noise", shape) for name in ("input_values", "decoder_input_values")]
    frames = getattr(config, "max_length", None) if hasattr(config, "num_mel_bins") else None
    if frames is not None and hasattr(config, "frequency_stride"):
        return [Input("input_values", "noise", (batch_size, frames, config.num_mel_bins))]
    samples = _samples(asked)
    channels = _channels(asked)
    sound = (samples,) if channels is None else (channels, samples)
    return [Input("input_values", "noise", (batch_size, *sound))]


def _channels(asked: Asked) -> Optional[int]:
    """How many channels a waveform has; None where it has no axis for them, as in Wav2Vec2."""
    if asked.named("conv_kernel") is not None and asked.named(*_CODES) is None:
        return None
    channels = asked.named("audio_channels", "channels")
    if channels is not None:
        return int(channels)
    return 1 if asked.named(*_CODES) is not None else None


_CODES = (
    "codebook_size",
    "num_codebooks",
    "n_codebooks",
    "upsampling_ratios",
    "downsampling_ratios",
)


def _samples(asked: Asked) -> int:
    """Audio samples that a stack of convolutions turns into just so many frames."""
    kernels, strides = asked.named("conv_kernel"), asked.named("conv_stride")
    length = asked.length
    if isinstance(kernels, (list, tuple)) and isinstance(strides, (list, tuple)):
        for kernel, stride in zip(reversed(kernels), reversed(strides)):
            length = (length - 1) * stride + kernel
        return int(length)
    names = ("upsampling_ratios", "downsampling_ratios", "encoder_ratios", "patch_sizes")
    ratios = asked.named(*names)
    if isinstance(ratios, (list, tuple)):
        return length * prod(ratios)
    hop = asked.named("hop_length")
    return length * int(hop if isinstance(hop, int) else _FRAME)


def decoder_audio(asked: Asked) -> list[Input]:
    """Mel frames that a decoder of speech has made so far."""
    if not asked.takes("decoder_input_values") or "labels" not in asked.parameters:
        return []
    bins: Any = asked.named("num_mel_bins")
    return [Input("decoder_input_values", "noise", (asked.batch_size, asked.length, bins))]
