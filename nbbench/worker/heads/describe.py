"""All that one call takes: inputs in the form that the head takes, in training with labels."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from ..case import Case
from ..inputs.describe import describe_inputs
from ..inputs.tensors import Input, Inputs
from .head import Head, ModelClass
from .labels import labels_of
from .text import CHOICES


def describe_case(
    parameters: Mapping[str, inspect.Parameter], config: Any, case: Case, model_class: ModelClass
) -> Inputs:
    """The inputs of one call of a case, in training with labels; raises `Unsupported` as they do.

    ``parameters`` are those of the model's forward method.
    """
    inputs = describe_inputs(
        parameters,
        config,
        model=case.model,
        batch_size=case.batch_size,
        sequence_length=case.sequence_length,
        modalities=case.modalities,
        seed=case.seed,
    )
    inputs = _as_the_head_takes_them(inputs, config, model_class)
    if case.mode != "training":
        return inputs
    tensors = {tensor.name: tensor for tensor in inputs.tensors}
    for label in labels_of(Head(model_class, config, tensors)):
        tensors[label.name] = label  # some go with ids of their own
    return dataclasses.replace(inputs, tensors=tuple(tensors.values()))


def _as_the_head_takes_them(inputs: Inputs, config: Any, model_class: ModelClass) -> Inputs:
    """Several choices for each sample, ends where a head pools, and questions before a text."""
    tasks, asks = set(model_class.tasks), model_class.asks
    tensors, tokens = inputs.tensors, inputs.tokens
    if "SEQUENCE_CLASSIFICATION" in tasks and getattr(config, "is_encoder_decoder", False):
        tensors = tuple(_with_end(each, config) for each in tensors)
    if "global_attention_mask" in asks and tasks & {"QUESTION_ANSWERING", "MULTIPLE_CHOICE"}:
        tensors = (*tensors, *(_question(each) for each in tensors if each.name == "input_ids"))
    if "MULTIPLE_CHOICE" in tasks or "mc_labels" in asks:
        tensors = tuple(_with_choices(each) for each in tensors)
        tokens = None if tokens is None else tokens * CHOICES
    return dataclasses.replace(inputs, tensors=tensors, tokens=tokens)


def _question(ids: Input) -> Input:
    """The mask of the tokens that attend to all: a question, the first quarter of each text."""
    batch, length = ids.shape
    row = tuple(int(4 * index < length) for index in range(length))
    return Input("global_attention_mask", "given", ids.shape, values=(row,) * batch)


def _with_choices(tensor: Input) -> Input:
    """The tensor with choices as its second axis: (batch, choices, length)."""
    is_of_text = tensor.kind in ("ids", "ones", "given") or tensor.name == "visual_embeds"
    if len(tensor.shape) < 2 or not is_of_text:
        return tensor
    batch, *others = tensor.shape
    values = tuple((row,) * CHOICES for row in tensor.values)
    return dataclasses.replace(tensor, shape=(batch, CHOICES, *others), values=values)


def _with_end(tensor: Input, config: Any) -> Input:
    """The ids with the end token last in each row, and nowhere else."""
    end = getattr(config, "eos_token_id", None)
    end = end[0] if isinstance(end, (list, tuple)) and end else end
    if tensor.kind != "ids" or not isinstance(end, int) or not 0 <= end < tensor.bound:
        return tensor
    return dataclasses.replace(tensor, end=end)
