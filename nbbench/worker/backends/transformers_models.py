"""What the backends that run Hugging Face Transformers have in common: the configuration."""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..backend import Unsupported
from ..case import ADAPTER_KEY, MODULES_KEY, Case
from .quantized_configs import ENTRY, QUANTIZED, check_quantized, refused
from .remote_code import remote_config

_IMPLEMENTATION = re.compile(r"\w*_implementation(_internal)?")


def quieten() -> None:
    """Have Transformers and its tokenizers say no more than errors."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["USE_HUB_KERNELS"] = "NO"  # no code of the Hub runs here


def make_config(transformers: Any, case: Case) -> Any:
    """The case's configuration as an object of the installed Transformers."""
    if case.is_own:
        raise Unsupported(
            f"{case.model} is code of your own, which {case.framework} does not run; measure it "
            f"with frameworks pytorch, keras, keras-jax or keras-torch"
        )
    values = copy.deepcopy(_without_additions(case))  # Transformers takes entries out of its parts
    _refuse_quantized(values, case)
    _refuse_hub_kernels(values, case.model)
    _refuse_nameless_architectures(values.get("architectures"), case.model)
    remote = remote_config(transformers, case) if case.trust_remote_code else None
    if remote is not None:
        return remote
    model_type = values.pop("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if model_type not in known:
        near = difflib.get_close_matches(model_type, list(known), n=1, cutoff=0.75)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if values.get("auto_map"):
            hint = (
                ", and code beside a configuration (auto_map) is not run, but with "
                "trust_remote_code=True for a model's folder"
            )
        raise Unsupported(
            f"model type {model_type!r} is unknown to transformers {transformers.__version__}{hint}"
        )
    values.pop("transformers_version", None)
    return transformers.AutoConfig.for_model(model_type, **values)


def _without_additions(case: Case) -> dict[str, Any]:
    """The configuration's own values; `Unsupported` where another framework cannot add the rest."""
    values = dict(case.config)
    added = {
        "an adapter": values.pop(ADAPTER_KEY, None),
        "a folder of sentence-transformers": values.pop(MODULES_KEY, None),
    }
    for kind, addition in added.items():
        if addition and case.framework != "pytorch":
            raise Unsupported(
                f"{case.model} is {kind}, which runs in PyTorch alone; give frameworks pytorch, or "
                f"the model's configuration as configs"
            )
    return values


def _entries(values: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of a configuration and of all its parts, in lists too."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield name, value
            yield from _entries(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _entries(value)


def _refuse_quantized(values: Mapping[str, Any], case: Case) -> None:
    """Raise `Unsupported` for quantized weights that are not run as Transformers runs them."""
    for name, value in _entries(values):
        if name not in QUANTIZED or not value:
            continue
        if value is not values.get(ENTRY):
            why = f"in a part or in a form ({name}) that nbbench does not run"
            raise refused(case, why, name, value)
        check_quantized(case)


def _refuse_hub_kernels(values: Mapping[str, Any], model: str) -> None:
    """Raise `Unsupported` for an attention implementation that is code of the Hub.

    A configuration may name one for each of its parts, in a mapping.
    """
    for name, value in _entries(values):
        if not _IMPLEMENTATION.fullmatch(name):
            continue
        for named in value.values() if isinstance(value, Mapping) else [value]:
            if not (named is None or isinstance(named, str)):
                raise Unsupported(
                    f"the configuration of {model} has {name} {named!r}, which is no name"
                )
            if named is not None and ("/" in named or ":" in named):
                raise Unsupported(
                    f"the configuration of {model} names the kernel {named!r} of the Hub, and "
                    f"nbbench runs no code of the Hub; remove {name}, or give attentions"
                )


def _refuse_nameless_architectures(architectures: Any, model: str) -> None:
    """Raise `Unsupported` for architectures that are no list of names."""
    if architectures is None:
        return
    if not isinstance(architectures, (list, tuple)):
        raise Unsupported(f"the architectures of {model} are no list of names")
    for name in architectures:
        if not isinstance(name, str):
            raise Unsupported(f"the architecture {name!r} of {model} is no name")


def parts(config: Any) -> list[Any]:
    """A configuration object and the parts of it, at any depth, that are such objects too."""
    found: list[Any] = []
    left = [config]
    while left:
        part = left.pop(0)
        if any(part is each for each in found):
            continue
        found.append(part)
        for value in vars(part).values():
            several = value if isinstance(value, (list, tuple)) else (value,)
            left += [each for each in several if hasattr(each, "to_diff_dict")]
    return found


def name_padding(config: Any) -> None:
    """Give a classifier of texts a padding token where it has none, as who trains it does.

    Decoders find the end of each text by it, and take no batches without. It is the end token,
    where that is a token.
    """
    get_text_config = getattr(config, "get_text_config", None)
    text = config if get_text_config is None else get_text_config()
    if getattr(text, "pad_token_id", None) is not None:
        return
    end = getattr(text, "eos_token_id", None)
    end = end[0] if isinstance(end, (list, tuple)) and end else end
    known = isinstance(end, int) and 0 <= end < (getattr(text, "vocab_size", None) or 0)
    text.pad_token_id = config.pad_token_id = end if known else 0


_BUILT_IN = ("eager", "sdpa")
_ATTENTION = ("attn_implementation", "_attn_implementation")


def own_attention(values: Mapping[str, Any]) -> Optional[str]:
    """The attention that a configuration, or a part of one, names itself; None for none.

    A mapping names one for each part; the first that has to be installed counts, else the first.
    """
    for name, value in values.items():
        named = value.values() if isinstance(value, Mapping) else (value,)
        if name in _ATTENTION and any(isinstance(each, str) for each in named):
            several = [each for each in named if isinstance(each, str)]
            return next((each for each in several if each not in _BUILT_IN), several[0])
        found = own_attention(value) if isinstance(value, Mapping) else None
        if found is not None:
            return found
    return None


def is_about_attention(error: BaseException) -> bool:
    """Whether an exception of Transformers is about an attention that a model cannot have."""
    return "attention" in str(error).lower() or "attn" in str(error).lower()
