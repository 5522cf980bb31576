"""What the backends that run Hugging Face Transformers have in common: configuration and class."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any, Optional

from ..backend import Unsupported
from ..case import ADAPTER_KEY, MODULES_KEY, Case
from .remote_code import remote_config

_PRETRAINING_HEADS = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")


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
    values = _without_additions(case)
    _refuse_quantised(values, case.model)
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


def _refuse_quantised(values: Mapping[str, Any], model: str) -> None:
    """Raise `Unsupported` for a configuration, or a part of one, of quantised weights."""
    for name, value in values.items():
        if name in ("quantization_config", "compression_config") and value:
            method = value.get("quant_method", "") if isinstance(value, Mapping) else ""
            kind = f" by {method}" if method else ""
            raise Unsupported(
                f"{model} is quantised{kind}, which nbbench does not measure yet; to measure it "
                f"dense, give its configuration as configs without quantization_config"
            )
        if isinstance(value, Mapping):
            _refuse_quantised(value, model)


def _refuse_hub_kernels(values: Mapping[str, Any], model: str) -> None:
    """Raise `Unsupported` for an attention implementation that is code of the Hub."""
    for name, value in values.items():
        named = name in ("attn_implementation", "_attn_implementation", "experts_implementation")
        if named and not (value is None or isinstance(value, (str, Mapping))):
            raise Unsupported(
                f"the configuration of {model} has {name} {value!r}, which is no name"
            )
        if named and isinstance(value, str) and ("/" in value or ":" in value):
            raise Unsupported(
                f"the configuration of {model} names the kernel {value!r} of the Hub, and "
                f"nbbench runs no code of the Hub; remove {name}, or give attentions"
            )
        if isinstance(value, Mapping):
            _refuse_hub_kernels(value, model)


def _refuse_nameless_architectures(architectures: Any, model: str) -> None:
    """Raise `Unsupported` for architectures that are no list of names."""
    if architectures is None:
        return
    if not isinstance(architectures, (list, tuple)):
        raise Unsupported(f"the architectures of {model} are no list of names")
    for name in architectures:
        if not isinstance(name, str):
            raise Unsupported(f"the architecture {name!r} of {model} is no name")


def model_class_named(library: Any, name: Any, base: type, model: str) -> Optional[Any]:
    """The model class of a library with this name; None where there is none.

    Raises `Unsupported` for a name that is none, or that of something else.
    """
    if not isinstance(name, str):
        raise Unsupported(f"the architecture {name!r} of {model} is no name")
    found = getattr(library, name, None) if name.isidentifier() else None
    if found is None:
        return None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise Unsupported(f"the architecture {name} of {model} is no class of a model")
    return found


TRAINED_AS = (
    "AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq",
    "AutoModelForMaskedLM", "AutoModelForCTC", "AutoModelForImageClassification",
    "AutoModelForSequenceClassification",
)  # fmt: skip
"""Where a head is looked for, after the likeliest, for a model that names none and is trained."""


def named_architecture(config: Any, case: Case) -> Optional[str]:
    """The architecture to run, or None for the base model (in training: one with a head).

    A head that serves pretraining alone (masked language modelling and the like) is omitted
    in inference unless it is asked for: nobody deploys it, and it would take a quarter of the time.
    """
    named: Optional[str] = (config.architectures or [None])[0]
    if named is None or case.model_class == "base":
        return None
    if case.mode == "training":
        return named if "For" in named or named.endswith(("HeadModel", "MTModel")) else None
    if case.model_class == "auto" and named.endswith(_PRETRAINING_HEADS):
        return None
    return named


def unnamed_class(transformers: Any, config: Any, case: Case, prefix: str = "") -> Optional[Any]:
    """The class for a configuration that names none: the base model, or one to be trained.

    ``prefix`` is "TF" for TensorFlow's classes. None where there is no such class.
    """
    if case.mode == "inference":
        return mapped(getattr(transformers, f"{prefix}AutoModel")._model_mapping, config)
    likely = "AutoModelForSeq2SeqLM"
    if not config.is_encoder_decoder:  # most encoders could be run as decoders, too
        decodes = getattr(config, "is_decoder", False)
        likely = "AutoModelForCausalLM" if decodes else "AutoModelForMaskedLM"
    for name in (likely, *TRAINED_AS):
        auto = getattr(transformers, f"{prefix}{name}", None)
        found = None if auto is None else mapped(auto._model_mapping, config)
        if found is not None:
            return found
    return None


def mapped(mapping: Any, config: Any) -> Optional[Any]:
    """The class that one of Transformers' auto mappings has for a configuration."""
    if type(config) not in mapping:
        return None
    found = mapping[type(config)]
    return found[0] if isinstance(found, (tuple, list)) else found
