"""A tiny configuration of every model type that Transformers has, by rule.

The defaults of each configuration class are made smaller: fewer layers, heads and experts, narrower
parts. What the rule does not see is in tiny_configs.json beside this file: the parts of types that
have no default, and values of some types, where a key may name several types.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_GIVEN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def _given_parts(model_type: str) -> dict[str, Any]:
    """The parts of types that have no default: of those that are made of any two, and others."""
    found = [_GIVEN[kind].get(model_type, {}) for kind in _kinds("parts")]
    return copy.deepcopy({name: part for parts in found for name, part in parts.items()})


def _kinds(kind: str) -> list[str]:
    import transformers

    return [kind] if transformers.__version__ >= "5" else [kind, f"{kind}_before_5"]


def _by_hand(model_type: str) -> dict[str, Any]:
    """What a type needs besides; keys of nested configurations are joined by dots."""
    found: dict[str, Any] = {}
    for kind in _kinds("by_hand"):
        for names, values in _GIVEN[kind].items():
            found |= values if model_type in names.split() else {}
    return found


_HEAD_DIM = 32
VOCABULARY = 2000
LAYERS, EXPERTS, LARGEST_DIVISOR, FRAMES = 2, 4, 16, 8

_LAYERS = re.compile(r"layers?$|^n_layers?$|^depth$|num_blocks$|^(en|de)coder_layers$|_depth$")
_KEPT_LAYERS = re.compile(r"conv|feature|feat|fpn|proj|hidden_layers_to|norm|position|drop|postnet")
_NOT_PER_LAYER = re.compile(
    r"stride|channel|size|proj|dims|features|_levels|rat(io|e)s|kernel|stage"
)
_MANY = 8  # more entries than this are one for each layer, whatever the name
_LAYER_NUMBERS = re.compile(r"_ind(ic|ex)es$|_layer_ids$|layers?_ids?$|_layers$")
_INDEX_HEADS = re.compile(r"index(er)?_n?_?(kv_)?heads$")
_INNER_WIDTHS = re.compile(r"intermediate|ffn|mlp|d_ff$|inner")
_HEADS = re.compile(r"(?<!d_)(?<!dim_)(?<!per_)heads?$|_heads_|head_num")
_KEY_VALUE_HEADS = re.compile(r"key_value|kv_heads|num_kv|multi_query")
_WIDTHS = re.compile(
    r"hidden_(size|dim)|(^|_)d_model|d_ff$|n_embd|n_inner|embed_dim$|embedding_size|intermediate_size"
    r"|ffn_dim|mlp_dim|^dim$|inner_dim|model_dim|(?<!emb)_width$|^width$|embed_size|hidden_units"
    r"|embedding_dim|d_ssm|condition_dim|adapter_in_dim|adapter_input_size|upsample_groups|coordinate_size|shape_size|projection_dim|projection_size|intermediate_dim|emb_dim|lru_width|out_hidden|encoder_dim|embed_proj_dim"
)
_TOKEN_IDS = re.compile(
    r"token_(id|index)|(bos|eos|pad|sep|cls|mask)_id|_token$|im_(start|end|newline)_id$"
)
_EXPERTS = re.compile(r"n(um)?_(local_|routed_)?experts$|moe_num_experts$|experts_num$")
_ACTIVE_EXPERTS = re.compile(
    r"experts_per_tok|moe_topk|moe_k$|top_k_experts|num_selected|experts_top_k|moe_top_k"
)

_FRAMES = re.compile(r"^(num_frames|frames_per_clip)$")

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
    "stage_names", "per_layer_config", "is_encoder_decoder",
)  # fmt: skip


WHOLE = {
    "encodec",
    "lightglue",
    "mimi",
    "mimi_decoder",
    "mimi_encoder",
    "neucodec",
    "omdet-turbo",
    "sam",
    "sam_hq",
    "superglue",
    "xcodec",
    "xcodec2",
}
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
    values = config_class(**_given_parts(model_type)).to_dict()
    values = json.loads(json.dumps(values, default=str))  # names that are numbers, too
    values.pop("is_encoder_decoder", None)  # by default, too; some classes take it but once
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
    for path, value in _by_hand(model_type).items():
        *parents, name = path.split(".")
        part: Any = shrunk
        for parent in parents:
            part = part.get(parent) or {}  # what a version has not is not needed there
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
        for out in ("out_hidden_size", "output_dim", "adapter_out_dim", "text_hidden_size"):
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
        main = {
            value for name, value in own.items() if _MAIN_WIDTH.search(name) and _is_size(value)
        }
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
    if (
        _LAYER_NUMBERS.search(name)
        and not is_of_stages
        and value
        and all(isinstance(each, int) for each in value)
    ):
        last = [min(each, LAYERS - 1) for each in value]
        return last if "out_ind" in name else sorted(set(last))
    if "channels" in name or "dims" in name:
        return [divided.widths.get(each, each) if _is_size(each) else each for each in value]
    if _HEADS.search(name):
        return [entry // divisor if _is_size(entry) else entry for entry in value]
    return value


def _shrunk_value(name: str, value: Any, divided: Divided, divisor: int, layers: set[int]) -> Any:
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
    if _FRAMES.search(name):
        return min(value, FRAMES)
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
