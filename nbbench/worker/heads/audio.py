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
