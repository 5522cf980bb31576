"""What the backends that run Hugging Face Transformers have in common: configuration and class."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case

_QUANTISED = ("quantization_config", "compression_config", "quantization")
_IMPLEMENTATION = re.compile(r"\w*_implementation(_internal)?")
_PRETRAINING_HEADS = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")


def quieten() -> None:
    """Have Transformers and its tokenizers say no more than errors."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["USE_HUB_KERNELS"] = "NO"  # no code of the Hub runs here


def make_config(transformers: Any, case: Case) -> Any:
    """The case's configuration as an object of the installed Transformers."""
    values = dict(case.config)
    _refuse_quantised(values, case.model)
    _refuse_hub_kernels(values, case.model)
    _refuse_nameless_architectures(values.get("architectures"), case.model)
    model_type = values.pop("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if model_type not in known:
        near = difflib.get_close_matches(model_type, list(known), n=1, cutoff=0.75)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if values.get("auto_map"):
            hint = ", and code beside a configuration (auto_map) is not run"
        raise Unsupported(
            f"model type {model_type!r} is unknown to transformers {transformers.__version__}{hint}"
        )
    values.pop("transformers_version", None)
    return transformers.AutoConfig.for_model(model_type, **values)


def _entries(values: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of a configuration and of all its parts, in lists too."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield name, value
            yield from _entries(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _entries(value)


def _refuse_quantised(values: Mapping[str, Any], model: str) -> None:
    """Raise `Unsupported` for a configuration, or a part of one, of quantised weights."""
    for name, value in _entries(values):
        if name in _QUANTISED and value:
            method = value.get("quant_method", "") if isinstance(value, Mapping) else ""
            kind = f" by {method}" if method else ""
            raise Unsupported(
                f"{model} is quantised{kind}, which nbbench does not measure yet; to measure it "
                f"dense, give its configuration as configs without {name}"
            )


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
