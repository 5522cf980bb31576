"""What a model is trained on: labels of the shape that its head takes.

A head is known by the end of its class's name, as Transformers names classes alike in all
frameworks.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Optional

from .backend import Unsupported
from .case import Case
from .inputs.describe import describe_inputs
from .inputs.tensors import Input, Inputs
from .inputs.text import vocabulary_size

_TOKEN_HEADS = (
    "ForCausalLM", "ForMaskedLM", "LMHeadModel", "WithLMHeadModel", "ForConditionalGeneration",
    "MTModel", "ForPreTraining",
)  # fmt: skip
_CLASS_HEADS = (
    "ForSequenceClassification", "ForImageClassification", "ForAudioClassification",
    "DoubleHeadsModel",
)  # fmt: skip


def describe_case(
    parameters: Mapping[str, inspect.Parameter], config: Any, case: Case, architecture: str
) -> Inputs:
    """The inputs of one call of a case, in training with labels; raises `Unsupported` as they do.

    ``parameters`` are those of the model's forward method, ``architecture`` its class's name.
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
    if case.mode != "training":
        return inputs
    labels = describe_labels(
        parameters,
        config,
        architecture=architecture,
        batch_size=case.batch_size,
        sequence_length=case.sequence_length,
    )
    return Inputs((*inputs.tensors, *labels), inputs.tokens)


def describe_labels(
    parameters: Mapping[str, inspect.Parameter],
    config: Any,
    *,
    architecture: str,
    batch_size: int,
    sequence_length: Optional[int],
) -> tuple[Input, ...]:
    """The labels of one training step, as inputs of the forward method with ``parameters``.

    Language models get a token for each token; classifiers a class for each sample, or token;
    question answering a first and a last position; speech recognition half as many tokens as
    frames. Raises `Unsupported` for a class without a loss.
    """
    name, length = architecture, sequence_length or 0
    if name.endswith("ForQuestionAnswering"):
        ends = ("start_positions", "end_positions")
        return tuple(Input(end, "ids", (batch_size,), max(length, 1)) for end in ends)
    if "labels" not in parameters:
        raise Unsupported(
            f"{architecture} has no loss to train it by; give a config whose architectures name a "
            f"class with a head, like BertForSequenceClassification"
        )
    classes = int(getattr(config, "num_labels", 2))
    if name.endswith(_CLASS_HEADS):
        return (Input("labels", "ids", (batch_size,), classes),)
    if name.endswith("ForTokenClassification"):
        return (Input("labels", "ids", (batch_size, length), classes),)
    if name.endswith("ElectraForPreTraining"):  # each token: replaced or not
        return (Input("labels", "ids", (batch_size, length), 2),)
    if name.endswith("ForCTC"):
        return (Input("labels", "ids", (batch_size, max(length // 2, 1)), vocabulary_size(config)),)
    if name.endswith(_TOKEN_HEADS):
        labels = [Input("labels", "ids", (batch_size, length), vocabulary_size(config))]
        for extra in ("next_sentence_label", "sentence_order_label"):
            if extra in parameters:
                labels.append(Input(extra, "ids", (batch_size,), 2))
        return tuple(labels)
    raise Unsupported(f"nbbench cannot make the labels that {architecture} is trained on")
