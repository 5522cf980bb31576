"""Adapters (LoRA and the like): a base model with random weights, and PEFT's layers in it."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from ..backend import Unsupported
from ..case import ADAPTER_KEY, Case
from ..exceptions import opening
from ..heads.head import ModelClass
from .model_class import Library, known_class, mapped

_HEADS = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""The base model's auto class, by an adapter's task."""

_NOT_BUILT_BY = (
    "base_model_name_or_path", "revision", "auto_mapping", "inference_mode",
    "megatron_config", "megatron_core",  # which name a module to import
)  # fmt: skip


def adapted_class(library: Library, config: Any, case: Case) -> Optional[ModelClass]:
    """The base model's class, by the adapter's task; None where it has none, or no adapter is."""
    auto = _HEADS.get(case.config.get(ADAPTER_KEY, {}).get("task_type") or "")
    found = None if auto is None else mapped(getattr(library.transformers, auto), config)
    return None if found is None else known_class(library, found)


def with_adapter(model: Any, case: Case) -> Any:
    """The model with the adapter's layers; raises `Unsupported` without PEFT, or for its refusal.

    In training all but these layers is frozen.
    """
    values = case.config[ADAPTER_KEY]
    try:
        import peft
    except ImportError as error:
        raise Unsupported(
            f"{case.model} is an adapter, which is run by the package peft, and the interpreter "
            f"that measures it has none; install peft there (pip install 'nbbench[peft]')"
        ) from error
    kinds = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING
    kind = kinds.get(values.get("peft_type"))
    if kind is None:
        raise Unsupported(
            f"{case.model} is an adapter of type {values.get('peft_type')!r}, which peft "
            f"{peft.__version__} does not have"
        )
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    given = {n: v for n, v in values.items() if n in known and n not in _NOT_BUILT_BY}
    if isinstance(given.get("init_lora_weights"), str):  # a way that wants the real weights
        del given["init_lora_weights"]
    try:
        config = kind(**given, inference_mode=case.mode == "inference")
        return peft.get_peft_model(model, config)
    except (ValueError, TypeError) as error:
        first = opening(error)
        raise Unsupported(f"peft cannot add the adapter of {case.model}: {first}") from error
