"""Labels of audio: a text shorter than the frames, classes of frames, what was hidden."""

from __future__ import annotations

from typing import Any, Optional

from ..inputs.tensors import Input
from ..inputs.text import vocabulary_size
from .head import Head


def transcript(head: Head) -> tuple[Input, ...]:
    """Half as many tokens as the frames that come out of the model."""
    return (
        Input(
            "labels",
            "ids",
            (head.batch_size, max(_frames(head) // 2, 1)),
            vocabulary_size(head.config),
        ),
    )


def transduced(head: Head) -> tuple[Input, ...]:
    """A transcript, what its predictor is given, and the mask that frames count by."""
    (labels,) = transcript(head)
    given = head.input_named("decoder_input_ids")
    batch, length = labels.shape
    if given is not None:  # a start, and the labels
        length = max(given.shape[1] - 1, 1)
    made = [Input("labels", "ids", (batch, length), labels.bound)]
    if "decoder_input_ids" in head.asks and given is None:
        made.append(Input("decoder_input_ids", "ids", (batch, length + 1), labels.bound))
    features = head.input_named("input_features")
    if features is not None and "attention_mask" not in head.tensors:
        made.append(Input("attention_mask", "ones", features.shape[:2]))
    return tuple(made)


def classes_of_frames(head: Head) -> tuple[Input, ...]:
    """Each class's share in each frame, as speakers speak at once."""
    shape = (head.batch_size, _frames(head), head.classes)
    return (Input("labels", "uniform", shape),)


def hidden_frames(head: Head) -> tuple[Input, ...]:
    """Which frames are hidden: every other one; and those that they must be told from."""
    frames = _frames(head)
    row = tuple(bool(index % 2) for index in range(frames))
    shape = (head.batch_size, frames)
    negatives = (*shape, int(head.config.num_negatives))
    return (
        Input("mask_time_indices", "given", shape, values=(row,) * head.batch_size),
        Input("sampled_negative_indices", "ids", negatives, head.batch_size * frames),
    )


def latents_of_speech(head: Head) -> tuple[Input, ...]:
    """Latents of speech that follow a text, which have as many positions among the ids.

    The ids are given anew: the second half of them is a start and the positions of the frames.
    """
    config, (batch, length) = head.config, head.ids.shape
    frames = max(length // 2, 2)  # of one alone there is no deviation
    text = max(length - frames - 1, 0)
    special = {config.audio_latent_token_id, config.audio_bos_token_id}
    plain = next(each for each in range(head.ids.bound) if each not in special)
    row = (
        *(text * (plain,)),
        config.audio_bos_token_id,
        *(frames * (config.audio_latent_token_id,)),
    )
    shape = (batch, len(row))
    return (
        Input("input_ids", "given", shape, head.ids.bound, values=batch * (row,)),
        Input("labels", "noise", (batch, frames, config.latent_dim)),
    )


def spectrogram(head: Head) -> tuple[Input, ...]:
    """A spectrogram of as many frames as there are tokens."""
    batch, length = head.ids.shape
    return (Input("labels", "noise", (batch, int(head.config.spectrogram_bins), length)),)


def _frames(head: Head) -> int:
    """How many frames the model makes of the audio."""
    config = head.config
    features = head.input_named("input_features")
    if features is not None:
        factor = _first(config, "subsampling_factor", "encoder.subsampling_factor") or 1
        return max(features.shape[1] // int(factor), 1)
    waveform = head.input_named("input_values")
    if waveform is None:
        raise head.unknown()
    length = waveform.shape[-1]
    for kernel, stride in zip(
        getattr(config, "conv_kernel", ()) or (), getattr(config, "conv_stride", ()) or ()
    ):
        length = (length - kernel) // stride + 1
    if getattr(config, "add_adapter", False):
        for _ in range(int(getattr(config, "num_adapter_layers", 0))):
            length = (length - 1) // int(config.adapter_stride) + 1
    return max(length, 1)


def _first(config: Any, *paths: str) -> Optional[Any]:
    """The first of these attributes, or attributes of parts, that there is."""
    for path in paths:
        found = config
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return found
    return None
