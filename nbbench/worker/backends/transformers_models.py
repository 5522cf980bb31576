"""What the backends that run Hugging Face Transformers have in common: configuration and class."""

from __future__ import annotations

import difflib
import json
import os
from typing import Any, Optional

from ..messages import Case
from . import Unsupported

_PRETRAINING_HEADS = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")


def quieten() -> None:
    """Have Transformers and its tokenizers say no more than errors."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def make_config(transformers: Any, case: Case) -> Any:
    """The case's configuration as an object of the installed Transformers."""
    values = json.loads(case.config)
    model_type = values.pop("model_type")
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if model_type not in known:
        near = difflib.get_close_matches(model_type, list(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise Unsupported(
            f"model type {model_type!r} is unknown to transformers {transformers.__version__}{hint}"
        )
    values.pop("transformers_version", None)
    return transformers.AutoConfig.for_model(model_type, **values)


def named_architecture(config: Any, model_class: str) -> Optional[str]:
    """The architecture to run, or None for the base model.

    A head that serves pretraining alone (masked language modelling and the like) is left away
    unless it is asked for: nobody deploys it, and it would take a quarter of the time.
    """
    named: Optional[str] = (config.architectures or [None])[0]
    if named is None or model_class == "base":
        return None
    if model_class == "auto" and named.endswith(_PRETRAINING_HEADS):
        return None
    return named


def mapped(mapping: Any, config: Any) -> Optional[Any]:
    """The class that one of Transformers' auto mappings has for a configuration."""
    if type(config) not in mapping:
        return None
    found = mapping[type(config)]
    return found[0] if isinstance(found, (tuple, list)) else found
