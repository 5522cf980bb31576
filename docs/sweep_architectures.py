"""Run a tiny model of every type that Transformers has, and count what comes of them.

    python docs/sweep_architectures.py --results FILE [--environment PYTHON] [--only TYPE ...]
    python docs/sweep_architectures.py --page VERSION=FILE [VERSION=FILE ...]

The configurations are made by rule from the defaults of each configuration class: fewer layers,
heads and experts, the widths divided alike. Each runs through nbbench in both modes. What ends in
an error is tried without nbbench too: built by Transformers alone, called with the same inputs.
Results go to a file, one JSON object a line, and a sweep that was cut off goes on where it was; the
second form writes architectures.md beside this file, the page of one or more such files.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("architectures.md")

BATCH, LENGTH = 2, 16
_HEAD_DIM = 32
MODES, AT_ONCE = ("inference", "training"), 40
VOCABULARY = 2000
LAYERS, EXPERTS, LARGEST_DIVISOR = 2, 4, 16

_LAYERS = re.compile(r"layers?$|^n_layers?$|^depth$|num_blocks$|^(en|de)coder_layers$|_depth$")
_KEPT_LAYERS = re.compile(r"conv|feature|feat|fpn|proj|hidden_layers_to|norm|position|drop|postnet")
_NOT_PER_LAYER = re.compile(r"stride|channel|size|proj|dims|features|_levels|rat(io|e)s|kernel|stage")
_MANY = 8  # more entries than this are one for each layer, whatever the name
_LAYER_NUMBERS = re.compile(r"_ind(ic|ex)es$|_layer_ids$|layers?_ids?$|_layers$")
_INDEX_HEADS = re.compile(r"index(er)?_n?_?(kv_)?heads$")
_INNER_WIDTHS = re.compile(r"intermediate|ffn|mlp|d_ff$|inner")
_HEADS = re.compile(r"(?<!d_)(?<!dim_)(?<!per_)heads?$|_heads_|head_num")
_KEY_VALUE_HEADS = re.compile(r"key_value|kv_heads|num_kv|multi_query")
_WIDTHS = re.compile(
    r"hidden_(size|dim)|(^|_)d_model|d_ff$|n_embd|n_inner|embed_dim$|embedding_size|intermediate_size"
    r"|ffn_dim|mlp_dim|^dim$|inner_dim|model_dim|_width$|^width$|embed_size|hidden_units"
    r"|embedding_dim|d_ssm|condition_dim|adapter_in_dim|adapter_input_size|upsample_groups|coordinate_size|shape_size|projection_dim|projection_size|intermediate_dim|emb_dim|lru_width|out_hidden|encoder_dim|embed_proj_dim"
)
_TOKEN_IDS = re.compile(r"token_(id|index)|(bos|eos|pad|sep|cls|mask)_id|_token$")
_EXPERTS = re.compile(r"n(um)?_(local_|routed_)?experts$|moe_num_experts$|experts_num$")
_ACTIVE_EXPERTS = re.compile(
    r"experts_per_tok|moe_topk|moe_k$|top_k_experts|num_selected|experts_top_k|moe_top_k"
)

_IN_STAGES = {
    "depths",
    "hidden_sizes",
    "width_coefficient",
    "stage_channels",
    "stem_channels",
    "stage_stride",
}
"""What configurations of convolutions in stages have, whose widths are left as they are."""

_OMITTED = (
    "transformers_version", "architectures", "id2label", "label2id", "out_features", "out_indices",
    "stage_names", "per_layer_config",
)  # fmt: skip

_ROPE = {"rope_type": "default", "rope_theta": 10000.0}

_RESNET = {
    "model_type": "resnet",
    "embedding_size": 16,
    "hidden_sizes": [32, 32, 64, 64],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage4"],
}

BY_HAND: dict[str, dict[str, Any]] = {
    "align": {
        "vision_config.image_size": 64,
        "vision_config.width_coefficient": 0.5,
        "projection_dim": 160,
    },
    "align_vision_model": {"image_size": 64, "width_coefficient": 0.5},
    "aria": {"projector_patch_to_query_dict": {"49": 16}},
    "autoformer": {"prediction_length": 4, "context_length": 16},
    "aya_vision": {"vision_config.image_size": 112},
    "axk1": {"n_group": 1, "topk_group": 1},
    "bailing_hybrid": {"num_expert_group": 1, "topk_group": 1},
    "beam": {"n_group": 1, "topk_group": 1},
    "blip-2": {"image_token_index": 5},
    "blt": {"use_cache": False},
    "chameleon": {"vocabulary_map": {"<image>": 4}},
    "codegen": {"n_head": 4, "n_embd": 64, "rotary_dim": 8},
    "bamba": {"attn_layer_indices": [1]},
    "clvp": {"speech_config.vocab_size": 2000},
    "cohere_compass": {"text_config.rope_parameters": {"full_attention": _ROPE}},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE}},
    "dbrx": {"attn_config.rope_theta": 10000.0, "attn_config.clip_qkv": 8.0},
    "deepseek_v2": {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "deepseek_v32": {"n_group": 1, "topk_group": 1},
    "deepseek_ocr2": {
        "text_config.mlp_layer_types": ["dense", "sparse"],
        "text_config.n_group": 1,
        "text_config.topk_group": 1,
        "text_config.num_experts_per_tok": 2,
        "vision_config.sam_config.output_channels": 256,
    },
    "deepseek_ocr2_text": {
        "mlp_layer_types": ["dense", "sparse"],
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 2,
    },
    "depth_pro": {"patch_size": 96, "intermediate_hook_ids": [1, 0]},
    "diffusion_gemma": {
        "text_config.num_experts": 4,
        "text_config.top_k_experts": 2,
        "text_config.moe_intermediate_size": 32,
    },
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32},
    **dict.fromkeys(
        ("conditional_detr", "dab-detr", "deformable_detr", "detr", "table-transformer"),
        {"use_timm_backbone": False, "backbone_config": _RESNET},
    ),
    "dots1": {
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 2,
    },
    "dots3_note": {"pad_token_id": 0},
    "dpt": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3]},
    "efficientloftr": {"stage_num_blocks": [1, 1, 1, 1]},
    "efficientnet": {
        "image_size": 64,
        "width_coefficient": 0.5,
        "depth_coefficient": 1.0,
        "hidden_dim": 640,
    },
    "emu3": {"vocabulary_map": {"<image>": 4, "<|extra_200|>": 5}, "pad_token_id": 0},
    "esm": {"vocab_size": 33, "pad_token_id": 1},
    "funnel": {"block_sizes": [1, 1, 1], "block_repeats": [1, 1, 1]},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "florence2": {"vision_config.depths": [1, 1, 1, 1], "vision_config.projection_dim": 128},
    **dict.fromkeys(("gemma3", "shieldgemma2"), {"mm_tokens_per_image": 49}),
    "glm4v_moe": {"text_config.head_dim": 128},
    "glm4v_moe_text": {"head_dim": 128},
    "glm5_next_text": {"use_cache": False},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "hrm_text": {"use_cache": False},
    **dict.fromkeys(
        ("glm46v", "glm4v", "glm_image", "glmga"),
        {"text_config.rope_parameters.mrope_section": [16, 24, 24]},
    ),
    **dict.fromkeys(
        ("glm4v_text", "glm_image_text"), {"rope_parameters.mrope_section": [16, 24, 24]}
    ),
    "granite4_vision": {
        "downsample_rate": "1/2",
        "deepstack_layer_map": [[-1, 0]],
        "vision_config.image_size": 256,
    },
    **dict.fromkeys(
        ("idefics3", "smolvlm", "modernvbert", "ultravbert"), {"vision_config.image_size": 256}
    ),
    "instructblip": {"image_token_index": 5},
    "instructblipvideo": {"video_token_index": 5},
    "layoutlmv3": {"coordinate_size": 22, "shape_size": 20},
    "llama4": {"vision_config.intermediate_size": 384},
    "llama4_vision_model": {"intermediate_size": 384},
    "minimax_m3_vl": {"vision_config.image_size": 112},
    "minimax_m3_vl_vision": {"image_size": 112},
    "mllama": {"vision_config.vision_output_dim": 320},
    "moonshine_streaming": {"num_key_value_heads": 2},
    "ovis2": {"hidden_size": 256},
    "perceiver": {"max_position_embeddings": 16, "d_latents": 64, "num_latents": 16},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 7, "audio_start_token_id": 8},
    "qwen3_omni_moe_thinker": {"vision_start_token_id": 7, "audio_start_token_id": 8},
    "qwen3_omni_moe": {"talker_config.text_config.shared_expert_intermediate_size": 64},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 64},
    "reformer": {
        "axial_pos_shape": [4, 4],
        "hidden_size": 64,
        "axial_pos_embds_dim": [32, 32],
        "num_attention_heads": 2,
        "attention_head_size": 32,
    },
    "rf_detr": {"backbone_config.image_size": 112},
    "step3p5": {"sliding_window": 16},
    "step3p7": {"text_config.sliding_window": 16},
    "t5gemma2": {"encoder.mm_tokens_per_image": 49},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "t5gemma2_encoder": {"text_config.dropout_rate": 0.0},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "tvp": {"max_img_size": 224},
    "informer": {"prediction_length": 4, "context_length": 16},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lilt": {"hidden_size": 192, "num_attention_heads": 2},
    "mistral_large4": {"text_config.kv_source_layers": [0, 0]},
    "mistral_large4_text": {"kv_source_layers": [0, 0]},
    "mobilebert": {
        "hidden_size": 64,
        "embedding_size": 32,
        "intra_bottleneck_size": 32,
        "true_hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
    },
    "nemotron": {"num_key_value_heads": 2},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "seggpt": {"merge_index": 0, "intermediate_hidden_state_indices": [1, 1, 1, 1]},
    "time_series_transformer": {"prediction_length": 4, "context_length": 16},
    "xmod": {"default_language": "en_XX"},
    "zamba2": {"hybrid_layer_ids": [1]},
}
"""What some types need besides; keys of nested configurations are joined by dots."""


_BERT_DECODER = {"model_type": "bert", "is_decoder": True, "add_cross_attention": True}

PARTS: dict[str, dict[str, Any]] = {
    "encoder-decoder": {"encoder": {"model_type": "bert"}, "decoder": _BERT_DECODER},
    "gemma4_assistant": {
        "text_config": {
            "model_type": "gemma4_text",
            "hidden_size_per_layer_input": 0,
            "vocab_size_per_layer_input": 0,
            "num_hidden_layers": 30,
            "num_kv_shared_layers": 30,
        }
    },
    "nougat": {"encoder": {"model_type": "donut-swin"}, "decoder": {"model_type": "mbart"}},
    "rag": {"question_encoder": {"model_type": "dpr"}, "generator": {"model_type": "bart"}},
    "speech-encoder-decoder": {"encoder": {"model_type": "wav2vec2"}, "decoder": _BERT_DECODER},
    "vision-encoder-decoder": {"encoder": {"model_type": "vit"}, "decoder": _BERT_DECODER},
    "vision-text-dual-encoder": {
        "vision_config": {"model_type": "clip_vision_model"},
        "text_config": {"model_type": "bert"},
    },
}
"""The parts of types that are made of any two, and have no default."""

WHOLE = {"encodec", "mimi", "mimi_decoder", "mimi_encoder", "sam", "sam_hq"}
"""Types whose widths are left as they are, as one follows from another."""


def tiny_configs(only: Iterable[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each model type of the installed Transformers with a tiny configuration.

    A type without one has an "error" for its configuration.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    for model_type in only or list(CONFIG_MAPPING):
        try:
            yield model_type, tiny(model_type, CONFIG_MAPPING[model_type])
        except Exception as error:
            yield model_type, {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}


def tiny(model_type: str, config_class: Any) -> dict[str, Any]:
    """A tiny configuration of a type, as JSON values: the smallest of which a model can be built.

    Each part is divided by itself, else all parts alike, else no width is.
    """
    values = config_class(**PARTS.get(model_type, {})).to_dict()
    values = json.loads(json.dumps(values, default=str))  # names that are numbers, too
    candidates = (
        _complete(model_type, values, sizes)
        for sizes in (_divided_by_part(values), _divided_alike(values), Divided())
        if model_type not in WHOLE or sizes == Divided()
    )
    first = next(candidates)
    if _is_built(model_type, first):
        return first
    return next((each for each in candidates if _is_built(model_type, each)), first)


def _complete(model_type: str, values: Mapping[str, Any], divided: Divided) -> dict[str, Any]:
    """The values made smaller, with what is set by hand."""
    shrunk = _shrunk(values, divided, ())
    ids = sorted({value for value in _token_ids(shrunk) if value >= VOCABULARY})
    _renumber(shrunk, {value: VOCABULARY - 1 - at for at, value in enumerate(ids)})
    for path, value in BY_HAND.get(model_type, {}).items():
        *parents, name = path.split(".")
        part = shrunk
        for parent in parents:
            part = part[parent]
        part[name] = value
    shrunk["model_type"] = model_type
    _fit_towers(shrunk)
    return shrunk


def _fit_towers(values: dict[str, Any]) -> None:
    """Have encoders give what their language model takes: changes what it is given."""
    text = values.get("text_config")
    width = text.get("hidden_size") if isinstance(text, dict) else None
    for name in ("vision_config", "audio_config"):
        part = values.get(name)
        for out in ("out_hidden_size", "output_dim"):
            if width and isinstance(part, dict) and part.get(out):
                part[out] = width
        if width and isinstance(part, dict) and "embed_dim" in part and "hidden_size" in part:
            part["hidden_size"] = width
    encoder = next((values[n] for n in ("vision_config", "encoder_config") if n in values), None)
    for name in ("projector_config", "qformer_config"):
        part = values.get(name)
        if isinstance(part, dict) and isinstance(encoder, dict) and "encoder_hidden_size" in part:
            given = encoder.get("hidden_size") or encoder.get("hidden_dim")
            part["encoder_hidden_size"] = given or part["encoder_hidden_size"]


def _is_built(model_type: str, values: Mapping[str, Any]) -> bool:
    """Whether Transformers builds the base model, without memory for it; True where it has none."""
    import torch
    from transformers import AutoConfig, AutoModel

    config_values = {name: value for name, value in values.items() if name != "model_type"}
    try:
        config = AutoConfig.for_model(model_type, **json.loads(json.dumps(config_values)))
        if type(config) in AutoModel._model_mapping:
            with torch.device("meta"):
                AutoModel.from_config(config)
    except ImportError:
        return True  # what is not installed no size mends
    except Exception:
        return False
    return True


@dataclasses.dataclass(frozen=True)
class Divided:
    """By what widths are divided: in each part, by its path; and the new values of main widths."""

    by_part: Mapping[tuple[str, ...], int] = dataclasses.field(default_factory=dict)
    widths: Mapping[int, int] = dataclasses.field(default_factory=dict)
    everywhere: int = 1

    def divisor(self, path: tuple[str, ...]) -> int:
        """That of the part with this path, or of the nearest around it."""
        return self.by_part.get(path, self.everywhere)


def _divided_alike(values: Mapping[str, Any]) -> Divided:
    return Divided(everywhere=_divisor(values))


def _divided_by_part(values: Mapping[str, Any]) -> Divided:
    """Each part with heads by its own divisor, but by one and the same those of the same width."""
    heads: dict[tuple[str, ...], int] = {}
    widths: dict[tuple[str, ...], set[int]] = {}
    for path, part in _parts(values):
        own = {name: value for name, value in part.items() if not isinstance(value, Mapping)}
        common = math.gcd(*_heads(own))
        main = {value for name, value in own.items() if _MAIN_WIDTH.search(name) and _is_size(value)}
        if common and main and not _IN_STAGES & set(part):
            heads[path], widths[path] = common, main
    groups: list[set[tuple[str, ...]]] = []
    for path in heads:
        alike = [g for g in groups if any(widths[path] & widths[other] for other in g)]
        groups = [g for g in groups if g not in alike] + [{path}.union(*alike)]
    divisors = {path: _fewest(math.gcd(*(heads[p] for p in g))) for g in groups for path in g}
    new = {w: _width(w, d) for path, d in divisors.items() for w in widths[path]}
    return Divided(divisors, new, math.gcd(*divisors.values()) or _divisor(values))


def _width(width: int, divisor: int) -> int:
    """A width divided; where heads have a width of their own, one that is near."""
    even = width % divisor == 0 and width // divisor % 8 == 0  # as matrices of experts need it
    return width // divisor if even else 64 * math.ceil(width / divisor / 64)


_MAIN_WIDTH = re.compile(r"^(hidden_size|hidden_dim|d_model|n_embd|embed_dim|dim|width|model_dim)$")


def _fewest(heads: int) -> int:
    """By what so many heads are divided, so that two are left, or as few as can be."""
    return next((heads // left for left in (2, 3, 4, 5, 7) if heads % left == 0), heads)


def _parts(
    values: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    yield path, values
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in _OMITTED:
            yield from _parts(value, (*path, name))


def _token_ids(values: Mapping[str, Any]) -> Iterator[int]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _token_ids(value)
        elif _TOKEN_IDS.search(name):
            yield from filter(_is_size, value if isinstance(value, list) else [value])


def _renumber(values: dict[str, Any], numbers: Mapping[int, int]) -> None:
    """Have token ids lie below the shrunk vocabulary: changes what it is given."""
    for name, value in values.items():
        if isinstance(value, dict):
            _renumber(value, numbers)
        elif _TOKEN_IDS.search(name) and isinstance(value, list):
            values[name] = [numbers.get(each, each) for each in value]
        elif _TOKEN_IDS.search(name) and _is_size(value):
            values[name] = numbers.get(value, value)


def _divisor(values: Mapping[str, Any]) -> int:
    """By what all heads and widths can be divided, with two heads left."""
    common = math.gcd(*_heads(values))
    if not common:
        return 1 if _IN_STAGES & set(values) else 8
    fits = [d for d in range(1, LARGEST_DIVISOR + 1) if common % d == 0 and common // d > 1]
    return max(fits, default=1)


def _heads(values: Mapping[Any, Any]) -> Iterator[int]:
    for name, value in values.items():
        if name in _OMITTED:
            continue
        if isinstance(value, Mapping):
            yield from _heads(value)
        elif _is_heads(name):
            yield from (n for n in (value if isinstance(value, list) else [value]) if _is_size(n))


def _is_heads(name: str) -> bool:
    return bool(_HEADS.search(name)) and not (
        _KEY_VALUE_HEADS.search(name) or _INDEX_HEADS.search(name)
    )


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _shrunk(values: Mapping[str, Any], divided: Divided, path: tuple[str, ...]) -> dict[str, Any]:
    """A configuration, or a part of one, with smaller sizes."""
    in_stages = _IN_STAGES & set(values)
    stages = len(values["depths"]) if isinstance(values.get("depths"), (list, tuple)) else 0
    layers = {
        value
        for name, value in values.items()
        if name not in _OMITTED and _is_size(value) and _counts_layers(name) and value != stages
    }
    features = values.get("out_features")
    shrunk = {
        name: value
        if in_stages and name in ("num_layers", "num_hidden_layers") and stages
        else _shrunk(value, divided, (*path, name))
        if isinstance(value, Mapping)
        else _shrunk_value(
            name, value, Divided() if in_stages else divided, divided.divisor(path), layers
        )
        for name, value in values.items()
        if name not in _OMITTED and not name.startswith("_")
    }
    if in_stages and features:
        shrunk["out_features"] = features
    elif features:
        shrunk |= _with_features(shrunk, len(features))
    if "head_dim" in shrunk and shrunk["head_dim"] is None:
        shrunk["head_dim"] = _HEAD_DIM
    return shrunk


def _with_features(shrunk: Mapping[str, Any], count: int) -> dict[str, Any]:
    """As many layers as a backbone gives features of, and the names of these."""
    layers = max(count, LAYERS)
    changed = {name: layers for name in shrunk if _counts_layers(name) and _is_size(shrunk[name])}
    return {**changed, "out_features": [f"stage{layers - count + 1 + at}" for at in range(count)]}


def _counts_layers(name: str) -> bool:
    return bool(_LAYERS.search(name)) and not _KEPT_LAYERS.search(name)


def _shrunk_list(
    name: str, value: list[Any], divided: Divided, divisor: int, layers: set[int]
) -> list[Any]:
    if "feature_layer" in name:
        return [-1 for _ in value]
    if name in ("depths", "num_blocks", "layers") and all(map(_is_size, value)):
        return [min(entry, 1 + (entry > 1)) for entry in value]
    by_name = len(value) > _MANY or not _NOT_PER_LAYER.search(name)
    if len(value) in layers and len(value) > LAYERS and by_name:
        other = next((entry for entry in value if entry != value[0]), value[0])
        return [_shrunk_value(name, each, divided, divisor, layers) for each in (value[0], other)]
    is_of_stages = "stage" in name
    if _LAYER_NUMBERS.search(name) and not is_of_stages and value and all(isinstance(each, int) for each in value):
        last = [min(each, LAYERS - 1) for each in value]
        return last if "out_ind" in name else sorted(set(last))
    if "channels" in name or "dims" in name:
        return [divided.widths.get(each, each) if _is_size(each) else each for each in value]
    if _HEADS.search(name):
        return [entry // divisor if _is_size(entry) else entry for entry in value]
    return value


def _shrunk_value(
    name: str, value: Any, divided: Divided, divisor: int, layers: set[int]
) -> Any:
    divisor = divisor if divided.by_part or divided.everywhere > 1 else 1
    if isinstance(value, (list, tuple)):
        return _shrunk_list(name, list(value), divided, divisor, layers)
    if not _is_size(value):
        return value
    if "feature_layer" in name:
        return -1
    if _counts_layers(name):
        return min(value, LAYERS)
    if "vocab" in name:
        return min(value, VOCABULARY)
    if _EXPERTS.search(name):
        return min(value, EXPERTS)
    if _ACTIVE_EXPERTS.search(name):
        return min(value, 2)
    if _INDEX_HEADS.search(name):
        return min(value, 2)
    if name.endswith(("n_groups", "ngroups")):
        return 1
    if _KEY_VALUE_HEADS.search(name):
        return max(value // divisor, 1)
    is_width = bool(_WIDTHS.search(name)) and value >= 16
    if is_width and value in divided.widths:
        return divided.widths[value]
    if is_width and _INNER_WIDTHS.search(name) and (value % divisor or value // divisor % 8):
        return 16 * math.ceil(value / divisor / 16)
    divides = _HEADS.search(name) or is_width
    return value // divisor if divides and value % divisor == 0 else value


def configs_of(python: str, only: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The tiny configurations of an environment's Transformers, made there; and its version."""
    made = subprocess.run(
        [python, __file__, "--list", *only], stdout=subprocess.PIPE, check=True, text=True
    )
    return dict(json.loads(line) for line in made.stdout.splitlines() if line.startswith("["))


def swept(python: str, only: Iterable[str], results: Path, modes: Iterable[str] = MODES) -> None:
    """Run what is not in the file of results yet, in both modes, and add it there."""
    done = {(each["type"], each["mode"]) for each in read(results)}
    configs = configs_of(python, only)
    rest = [t for t in configs if (t, "inference") not in done or (t, "training") not in done]
    print(f"{len(configs)} types, {len(rest)} of them to run", file=sys.stderr)
    with results.open("a", encoding="utf-8") as file:

        def note(model_type: str, mode: str, **values: Any) -> None:
            file.write(json.dumps({"type": model_type, "mode": mode, **values}) + "\n")
            file.flush()

        for mode in modes:
            left = [t for t in configs if (t, mode) not in done]
            for model_type in [t for t in left if "error" in configs[t]]:
                reason = configs[model_type]["error"]
                note(model_type, mode, status="error", phase="building", reason=reason)
            left = [t for t in left if "error" not in configs[t]]
            for begin in range(0, len(left), AT_ONCE):
                wanted = {name: configs[name] for name in left[begin : begin + AT_ONCE]}
                longer: dict[str, int] = {}
                for result in _results(wanted, python, mode, LENGTH):
                    short = _TOO_SHORT.search(result.outcome.reason)
                    if short:
                        longer[result.case.model] = int(short[1] or short[2])
                    else:
                        note(result.case.model, mode, **_noted(result))
                for name, length in longer.items():
                    for result in _results({name: configs[name]}, python, mode, length):
                        note(name, mode, **_noted(result))
    tried_alone(python, results, configs)


_TOO_SHORT = re.compile(r"are (\d+); raise sequence_lengths|\((\d+)\); lower sequence_lengths")
"""What nbbench answers where one image or sound takes more positions than the length has, or where
the length is more than the model takes."""


def _results(
    configs: Mapping[str, dict[str, Any]], python: str, mode: str, length: int
) -> list[Any]:
    """What comes of a case of each configuration."""
    import nbbench

    report = nbbench.run(
        *configs,
        configs=list(configs.values()),
        environments=[python],
        inference=mode == "inference",
        training=mode == "training",
        sequence_lengths=[length],
        **QUICK,
    )
    return list(report.results)


def _noted(result: Any) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "status": outcome.status.value,
        "reason": outcome.reason.partition("\n")[0],
        "phase": outcome.phase and outcome.phase.value,
        "architecture": outcome.architecture,
        "length": result.case.sequence_length,
        "seconds": round(outcome.wall_s, 2),
    }


def tried_alone(python: str, results: Path, configs: Mapping[str, dict[str, Any]]) -> None:
    """Try each error without nbbench, and add to the results whose it is."""
    rows = read(results)
    errors = [row for row in rows if row["status"] not in _NO_FAULT and "alone" not in row]
    asked = [[row["type"], row["mode"], configs[row["type"]]] for row in errors]
    done = subprocess.run(
        [python, __file__, "--alone"],
        input="".join(json.dumps(each) + "\n" for each in asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    for row, line in zip(errors, answers, strict=True):
        row |= json.loads(line)
    results.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


_NO_FAULT = ("ok", "unsupported")


def alone(model_type: str, mode: str, values: dict[str, Any]) -> str:
    """What Transformers does by itself with a configuration: "building" or "calling" if it fails.

    The class is the base model, which a configuration without architectures stands for.
    """
    import transformers

    if "error" in values:
        return "building"
    config_values = {name: value for name, value in values.items() if name != "model_type"}
    try:
        config = transformers.AutoConfig.for_model(model_type, **config_values)
        model = transformers.AutoModel.from_config(config).train(mode == "training")
    except Exception:
        return "building"
    try:
        _called_alone(model, config)
    except Exception:
        return "calling"
    return ""


def _called_alone(model: Any, config: Any) -> None:
    """Call a model with the inputs that nbbench would make, but without nbbench's measuring."""
    import inspect

    import torch

    from nbbench.worker.inputs.describe import describe_inputs

    parameters = inspect.signature(model.forward).parameters
    described = describe_inputs(
        parameters, config, model="it", batch_size=BATCH, sequence_length=LENGTH
    )
    given = {}
    for tensor in described.tensors:
        if tensor.kind == "ids":
            given[tensor.name] = torch.randint(tensor.bound, tensor.shape)
        elif tensor.kind == "given":
            given[tensor.name] = torch.tensor(tensor.values)
        else:
            make = torch.ones if tensor.kind == "ones" else torch.randn
            given[tensor.name] = make(tensor.shape)
    model(**given)


def _without_the_rest_of_nbbench() -> None:
    """Have nbbench.worker imported by itself, as an environment that measures may lack the rest."""
    import types

    package = types.ModuleType("nbbench")
    package.__path__ = [str(PAGE.parents[1] / "nbbench")]
    sys.modules["nbbench"] = package


QUICK: dict[str, Any] = {
    "batch_sizes": [BATCH],
    "max_time": 0.05,
    "wait": False,  # times are not what is asked for: some calls for the memory will do
    "rounds": 1,
    "speed": False,
    "threads": 1,
    "device": "cpu",
    "timeout": 60.0,
    "progress": False,
}


def read(file: Path) -> list[dict[str, Any]]:
    """The results in a file; empty where there is none yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def page(files: Mapping[str, Path]) -> str:
    """The page of results, each file of which is of a version of Transformers."""
    lines = [_HEAD, "| transformers | mode | types | ok | unsupported | error of its own | error |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for version, file in files.items():
        for mode in MODES:
            count = collections.Counter(map(_verdict, _of_mode(file, mode)))
            total = sum(count.values())
            cells = [
                f"{count[verdict]} ({count[verdict] / max(total, 1):.1%})" for verdict in _VERDICTS
            ]
            lines.append(f"| {version} | {mode} | {total} | {' | '.join(cells)} |")
    for version, file in files.items():
        for mode in MODES:
            lines += ["", f"## transformers {version}, {mode}: what is not ok", ""]
            lines += ["| type | verdict | reason |", "| --- | --- | --- |"]
            for row in _of_mode(file, mode):
                if row["status"] != "ok":
                    reason = row["reason"].replace("|", "\\|")[:200]
                    lines.append(f"| {row['type']} | {_verdict(row)} | {reason} |")
    return "\n".join(lines) + "\n"


_VERDICTS = ("ok", "unsupported", "error of its own", "error")

_HEAD = """# Every model type of Transformers

A tiny model of each type that Transformers has, run by nbbench on a CPU in both modes: made by
`python docs/sweep_architectures.py`, from the defaults of each configuration class, with fewer
layers, heads and experts. An error is Transformers' own where it cannot build the model from that
configuration without nbbench either.
"""


def _of_mode(file: Path, mode: str) -> list[dict[str, Any]]:
    return sorted((row for row in read(file) if row["mode"] == mode), key=lambda row: row["type"])


def _verdict(row: Mapping[str, Any]) -> str:
    if row["status"] in _NO_FAULT:
        return str(row["status"])
    return "error of its own" if row.get("alone") == "building" else "error"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--only", nargs="+", default=[], metavar="TYPE")
    parser.add_argument("--results", type=Path, metavar="FILE")
    parser.add_argument("--list", nargs="*", metavar="TYPE", help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--page", nargs="+", metavar="VERSION=FILE")
    given = parser.parse_args()
    if given.list is not None:
        for pair in tiny_configs(given.list):
            print(json.dumps(pair))
    elif given.alone:
        _without_the_rest_of_nbbench()
        for line in sys.stdin:
            print(json.dumps({"alone": alone(*json.loads(line))}), flush=True)
    elif given.page:
        files = dict(each.split("=", 1) for each in given.page)
        PAGE.write_text(page({name: Path(file) for name, file in files.items()}), encoding="utf-8")
    else:
        swept(given.environment, given.only, given.results)


if __name__ == "__main__":
    main()
