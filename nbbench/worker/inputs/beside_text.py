"""Inputs that some models take beside their ids: boxes on a page, languages, features of images."""

from __future__ import annotations

from ..backend import Unsupported
from .asked import Asked
from .tensors import Input
from .text import vocabulary_size


def boxes(asked: Asked) -> list[Input]:
    """A box for each token, in lines of ten: corners in parts of a page, or in 1000 steps of it."""
    if not asked.takes("bbox", "input_ids"):
        return []
    corners = int(getattr(asked.config, "dim_bbox", None) or 4)
    steps = getattr(asked.config, "max_2d_position_embeddings", None)
    whole = steps is not None and getattr(asked.config, "relative_bias_args", None) is None
    scale = min(int(steps or 0), 1000) - 1 if whole else 1
    row = tuple(_box(token, corners, scale, whole) for token in range(asked.length))
    shape = (asked.batch_size, asked.length, corners)
    return [Input("bbox", "given", shape, values=asked.batch_size * (row,))]


def _box(token: int, corners: int, scale: int, whole: bool) -> tuple[float, ...]:
    left, top = token % 10 / 10, token // 10 % 50 / 50
    right, bottom = left + 0.09, top + 0.015
    if whole:  # in few steps a line would have no height
        left, top = int(left * scale), int(top * scale)
        right, bottom = max(left + 1, int(right * scale)), max(top + 1, int(bottom * scale))
    if corners == 8:  # all four corners, from the upper left one
        return (left, top, right, top, right, bottom, left, bottom)
    return (left, top, right, bottom)


def decisions(asked: Asked) -> list[Input]:
    """A question with two options, at the end of a prompt; there is one prompt in a batch."""
    if not asked.takes("marks", "num_options", "question_type_ids"):
        return []
    if asked.batch_size > 1:
        raise Unsupported(
            f"{asked.model} answers the first prompt of a batch alone; give batch_sizes 1"
        )
    return [
        Input("marks", "given", (1, 1), values=((asked.length - 1,),)),
        Input("num_options", "given", (1, 1), values=((2,),)),
        Input("question_type_ids", "ids", (1, 1), 1),
    ]


def features_beside(asked: Asked) -> list[Input]:
    """Languages, regions of images, and queries, where a model cannot do without."""
    config, batch_size = asked.config, asked.batch_size
    made = []
    if asked.takes("lang_ids") and getattr(config, "default_language", None) is None:
        made.append(Input("lang_ids", "ids", (batch_size,), 1))
    if asked.takes("visual_feats", "visual_pos"):
        made.append(Input("visual_feats", "noise", (batch_size, 36, config.visual_feat_dim)))
        made.append(Input("visual_pos", "noise", (batch_size, 36, config.visual_pos_dim)))
    if asked.takes("visual_embeds", "visual_token_type_ids"):
        regions = (batch_size, 36)
        made.append(Input("visual_embeds", "noise", (*regions, config.visual_embedding_dim)))
        made.append(Input("visual_attention_mask", "ones", regions))
        made.append(Input("visual_token_type_ids", "ones", regions))
    for name in ("query_embeds", "inputs_embeds"):
        width = asked.named("hidden_size", "d_model") if asked.needs(name) else None
        if width is not None:
            made.append(Input(name, "noise", (batch_size, asked.length, width)))
    if asked.needs("query_embeds") and asked.named("cross_attention_frequency") is not None:
        shape = (batch_size, asked.length, config.encoder_hidden_size)
        made.append(Input("encoder_hidden_states", "noise", shape))
    if asked.takes("encoder_hidden_states") and hasattr(config, "cross_hidden_size"):
        shape = (batch_size, asked.length, config.cross_hidden_size)
        made.append(Input("encoder_hidden_states", "noise", shape))
    if asked.needs("classes_input_ids") and asked.needs("tasks_input_ids"):
        made += _classes_to_find(asked)
    if asked.needs("input_ids_query") and asked.needs("input_ids_doc"):
        made += _pairs_of_texts(asked)
    if asked.needs("spectrogram"):
        bins = asked.named("model_in_dim", "num_mel_bins")
        made.append(Input("spectrogram", "noise", (batch_size, asked.length, bins)))
    if asked.needs("inputs") and not asked.takes("input_ids") and not asked.takes("pixel_values"):
        made.append(Input("inputs", "noise", (batch_size, asked.length, config.d_model)))
    return made


def _pairs_of_texts(asked: Asked) -> list[Input]:
    """A query and a document in each sample."""
    shape, bound = (asked.batch_size, asked.length), vocabulary_size(asked.config)
    made = [Input(f"input_ids_{name}", "ids", shape, bound) for name in ("query", "doc")]
    return [*made, *(Input(f"attention_mask_{name}", "ones", shape) for name in ("query", "doc"))]


def _classes_to_find(asked: Asked) -> list[Input]:
    """A class of objects for each image and what is to be done with it, either as text."""
    shape = (asked.batch_size, asked.length)
    bound = vocabulary_size(asked.config)
    made = [Input("classes_structure", "given", shape[:1], values=asked.batch_size * (1,))]
    for name in ("classes", "tasks"):
        made.append(Input(f"{name}_input_ids", "ids", shape, bound))
        made.append(Input(f"{name}_attention_mask", "ones", shape))
    return made


def hidden_states(asked: Asked) -> list[Input]:
    """Vectors for an encoder that begins behind the embeddings: features, or hidden states."""
    width = asked.named("input_dim", "hidden_size", "d_model", "hidden_dim")
    takes_vectors = asked.needs("hidden_states") and isinstance(width, int)
    if not takes_vectors or asked.takes("grid_thw") or asked.named("patch_stride") is not None:
        return []
    return [Input("hidden_states", "noise", (asked.batch_size, asked.length, width))]
