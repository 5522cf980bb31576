"""Which labels a class is trained on: by what it is for, else by its forward method."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from ..backend import Unsupported
from ..inputs.tensors import Input
from . import audio, images, series, speech, text
from .head import Head

Labels = Callable[[Head], tuple[Input, ...]]


def contrast(head: Head) -> tuple[Input, ...]:
    """No labels: each sample's own partner among all of the batch, if the loss is asked for."""
    if "return_loss" not in head.asks:
        raise no_loss(head.architecture)
    return (Input("return_loss", "flag", (), values=True),)


def pretraining(head: Head) -> tuple[Input, ...]:
    """What the forward method asks for; nothing where the loss needs nothing."""
    if "mim_labels" in head.asks:
        return images.hidden_pairs(head)
    if "bool_masked_pos" in head.asks:
        return images.hidden_patches(head)
    if "mask_time_indices" in head.asks:
        return audio.hidden_frames(head)
    if "start_positions" in head.asks:
        return text.answers(head)
    if "pixel_values_mixed" in head.asks:
        return images.matches(head)
    if "labels" in head.asks:
        others = {name for name in head.asks if name.endswith(("_label", "_labels"))}
        return text.tokens(head) if others else text.replaced_tokens(head)
    if any("labels" in name for name in head.asks):
        raise head.unknown()
    return ()


_BY_TASK: dict[str, Labels] = {
    "SEQUENCE_CLASSIFICATION": text.classes,
    "IMAGE_CLASSIFICATION": text.classes,
    "VIDEO_CLASSIFICATION": text.classes,
    "AUDIO_CLASSIFICATION": text.classes,
    "AUDIO_XVECTOR": text.classes,
    "TOKEN_CLASSIFICATION": text.classes_of_tokens,
    "MULTIPLE_CHOICE": text.choices,
    "NEXT_SENTENCE_PREDICTION": text.pairs,
    "QUESTION_ANSWERING": text.answers,
    "DOCUMENT_QUESTION_ANSWERING": text.answers,
    "VISUAL_QUESTION_ANSWERING": text.known_answers,
    "TABLE_QUESTION_ANSWERING": text.cells,
    "AUDIO_FRAME_CLASSIFICATION": audio.classes_of_frames,
    "CTC": audio.transcript,
    "RNNT": audio.transduced,
    "TDT": audio.transduced,
    "SEMANTIC_SEGMENTATION": images.classes_of_pixels,
    "DEPTH_ESTIMATION": images.numbers_of_pixels,
    "OBJECT_DETECTION": images.objects,
    "ZERO_SHOT_OBJECT_DETECTION": images.objects,
    "INSTANCE_SEGMENTATION": images.segments,
    "UNIVERSAL_SEGMENTATION": images.segments,
    "IMAGE_SEGMENTATION": images.objects,
    "IMAGE_TO_IMAGE": images.like_pixels,
    "IMAGE_MATTING": images.like_pixels,
    "NORMAL_ESTIMATION": images.like_pixels,
    "POSE_ESTIMATION": images.like_pixels,
    "KEYPOINT_DETECTION": images.like_pixels,
    "KEYPOINT_MATCHING": images.like_pixels,
    "MASKED_IMAGE_MODELING": images.hidden_patches,
    "TIME_SERIES_PREDICTION": series.future,
    "TIME_SERIES_CLASSIFICATION": series.class_of_series,
    "TIME_SERIES_REGRESSION": series.numbers_of_series,
    "ZERO_SHOT_IMAGE_CLASSIFICATION": contrast,
    **dict.fromkeys(
        (
            "CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "VISION_2_SEQ",
            "IMAGE_TEXT_TO_TEXT", "CAUSAL_IMAGE_MODELING", "LM_HEAD",
        ),
        text.tokens,
    ),
    "TEXT_TO_WAVEFORM": speech.spoken,
    "TEXT_TO_SPECTROGRAM": speech.spoken,
    "PRETRAINING": pretraining,
}  # fmt: skip
"""The labels of each task; of several, the first in this order counts."""

_ASKED_FOR = ("labels", "start_positions", "return_loss", "bool_masked_pos", "future_values",
              "target_values", "mask_labels", "mask_time_indices")  # fmt: skip
"""Parameters of forward methods by which a loss is asked for."""


_ACTIONS = {"actions", "noise"}
"""Of what a robot does, by which a class is trained to take noise away from it."""


def labels_of(head: Head) -> tuple[Input, ...]:
    """The labels of one training step, as inputs of the forward method.

    Raises `Unsupported` for a class without a loss, and for labels that cannot be made.
    """
    if head.asks >= _ACTIONS:
        return series.actions(head)
    asks = asks_for_loss(head.asks)
    if "mc_labels" in head.asks:
        return text.choices(head)
    if _ways_to_a_loss(head.asks) == {"return_loss"}:
        return contrast(head)
    for task, labels in _BY_TASK.items():
        if task in head.tasks and (asks or task == "PRETRAINING"):
            return labels(head)
    if not asks:
        raise no_loss(head.architecture)
    if "start_positions" in head.asks:
        return text.answers(head)
    if "return_loss" in head.asks:
        return contrast(head)
    if "future_values" in head.asks:
        return series.future(head)
    by_ending = next((make for end, make in _BY_ENDING if head.architecture.endswith(end)), None)
    if by_ending is None:
        raise head.unknown()
    return by_ending(head)


_BY_ENDING: tuple[tuple[str, Labels], ...] = (
    ("ForImageAndTextRetrieval", text.pairs),
    ("ForImageSegmentation", images.numbers_of_pixels),
    ("ForImagesAndTextClassification", text.classes),
)
"""The labels of classes that no auto class knows, nor any class with the same ending."""


def asks_for_loss(names: Collection[str]) -> bool:
    """Whether a forward method that can be given these can be asked for a loss."""
    return set(names) >= _ACTIONS or bool(_ways_to_a_loss(names))


def _ways_to_a_loss(names: Collection[str]) -> set[str]:
    """Those parameters by which a loss is asked for."""
    asked = {name for name in names if _OF_A_PROMPT.fullmatch(name) is None}
    return {name for name in asked if name in _ASKED_FOR or name.endswith("_labels")}


_OF_A_PROMPT = re.compile(r"input_(\w+_)?labels")
"""Whether points and boxes of a prompt are in an object or not: no labels, whatever the name."""


def no_loss(architecture: str) -> Unsupported:
    """That a class has no loss, to be raised."""
    return Unsupported(
        f"{architecture} has no loss to train it by; give a config whose architectures name a "
        f"class with a head, like BertForSequenceClassification"
    )


def loss_of(output: Any, architecture: str) -> Any:
    """The loss in what a model returned; raises `Unsupported` where there is none."""
    if getattr(output, "ndim", None) == 0:  # nothing but a loss
        return output
    loss = getattr(output, "loss", None) if hasattr(output, "keys") else output[0]
    if loss is None:
        raise no_loss(architecture)
    return loss
