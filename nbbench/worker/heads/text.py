"""Labels of text: a token for each token, a class for each token or text, positions, choices."""

from __future__ import annotations

from ..inputs.tensors import Input
from ..inputs.text import codes_beside_text
from .head import Head

CHOICES = 4
"""How many answers a question of multiple choice has."""


def tokens(head: Head) -> tuple[Input, ...]:
    """A token for each token of text, and what pretraining asks of whole texts.

    An image's or a sound's positions are no tokens to be learnt, in Transformers' own examples too.
    """
    ids = head.ids
    shape = ids.shape[:2] if codes_beside_text(head.config) else ids.shape
    regions = head.input_named("visual_embeds")
    if regions is not None:  # behind the text, and no tokens either, though they have labels
        shape = (shape[0], shape[1] + regions.shape[1])
    labels = [Input("labels", "ids", shape, ids.bound, media=ids.media)]
    for extra in ("next_sentence_label", "sentence_order_label", "matched_label"):
        if extra in head.asks:
            labels.append(Input(extra, "ids", (head.batch_size,), 2))
    return tuple(labels)


def classes_of_tokens(head: Head) -> tuple[Input, ...]:
    """A class for each token; for heads that link tokens, a first and a next token, too."""
    shape = head.ids.shape
    names = ("labels", "initial_token_labels", "subsequent_token_labels")
    return tuple(Input(name, "ids", shape, head.classes) for name in names if name in head.asks)


def replaced_tokens(head: Head) -> tuple[Input, ...]:
    """For each token, whether another was put there."""
    return (Input("labels", "ids", head.ids.shape, 2),)


def classes(head: Head) -> tuple[Input, ...]:
    """A class for each sample, several that are true of it or not, or a number to be met."""
    kind = getattr(head.config, "problem_type", None)
    if kind == "multi_label_classification":
        return (Input("labels", "uniform", (head.batch_size, head.classes)),)
    if kind == "regression" or (kind is None and head.classes == 1):
        shape = (head.batch_size,) if head.classes == 1 else (head.batch_size, head.classes)
        return (Input("labels", "uniform", shape),)
    return (Input("labels", "ids", (head.batch_size,), head.classes),)


def pairs(head: Head) -> tuple[Input, ...]:
    """Whether each pair belongs together: two sentences, or an image and a text."""
    name = "labels" if "labels" in head.asks else "next_sentence_label"
    return (Input(name, "ids", (head.batch_size,), 2),)


def choices(head: Head) -> tuple[Input, ...]:
    """The right one of a sample's choices; where language is modelled, too, its tokens."""
    name = "mc_labels" if "mc_labels" in head.asks else "labels"
    right = Input(name, "ids", (head.batch_size,), CHOICES)
    return (right,) if name == "labels" else (*tokens(head), right)


def answers(head: Head) -> tuple[Input, ...]:
    """Where an answer begins and ends in the text, or which of the known answers it is."""
    ends = ("start_positions", "end_positions")
    if ends[0] not in head.asks:
        return known_answers(head)
    length = head.ids.shape[-1]
    if "question_positions" in head.asks and head.tasks[0] == "PRETRAINING":
        names = ("question_positions", *ends)  # several questions in one text
        return tuple(Input(name, "ids", (head.batch_size, 1), length) for name in names)
    return tuple(Input(end, "ids", (head.batch_size,), length) for end in ends)


def known_answers(head: Head) -> tuple[Input, ...]:
    """One of the answers that a model knows, or how well each of them fits."""
    known = getattr(head.config, "num_qa_labels", None)
    if known:
        return (Input("labels", "ids", (head.batch_size,), int(known)),)
    if "decoder_input_ids" in head.asks or "ForConditionalGeneration" in head.architecture:
        return tokens(head)
    return (Input("labels", "uniform", (head.batch_size, head.classes)),)


def cells(head: Head) -> tuple[Input, ...]:
    """For each token of a table, whether it is in the answer."""
    return (Input("labels", "ids", head.ids.shape, 2),)
