"""Folders of sentence-transformers: a transformer, and the modules that make one vector of it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any, Optional

from ..backend import Unsupported
from ..case import MODULES_KEY, Case
from ..heads.head import ModelClass
from .model_class import Library, choose_class, known_class, mapped


def encoder_class(library: Library, config: Any, case: Case) -> Optional[ModelClass]:
    """The class of the transformer inside: an encoder without a head."""
    if case.mode == "training":
        raise Unsupported(
            f"{case.model} is a folder of sentence-transformers, which nbbench measures in "
            f"inference alone; to train its transformer, give its configuration as configs"
        )
    if not getattr(config, "is_encoder_decoder", False):
        return choose_class(library, config, replace(case, model_class="base"))
    found = mapped(library.transformers.AutoModelForTextEncoding, config)
    return None if found is None else known_class(library, found)


def sentence_model(torch: Any, transformer: Any, case: Case) -> Any:
    """A module that gives one vector for each text, as ``SentenceTransformer.encode`` makes it.

    Its weights are random; its other modules are those of the package, from the folder's files.
    """
    modules = [_module(torch, each, case) for each in case.config[MODULES_KEY]]

    class SentenceModel(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.transformer, self.config = transformer, transformer.config
            self.modules_behind = torch.nn.ModuleList(modules)
            self.dtype = transformer.dtype

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
            features = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "token_embeddings": output[0],
            }
            for module in self.modules_behind:
                features = module(features)
            return features["sentence_embedding"]

    return SentenceModel().to(transformer.dtype)


def sentence_architecture(transformer: Any, case: Case) -> str:
    """What is measured: the transformer's class, and the modules behind it."""
    names = (str(each["type"]).rpartition(".")[2] for each in case.config[MODULES_KEY])
    return " + ".join([type(transformer).__name__, *names])


def _module(torch: Any, listed: dict[str, Any], case: Case) -> Any:
    """A module of the folder's list: with its own weights, if it has some there, else random."""
    try:
        import sentence_transformers.util
    except ImportError as error:
        raise Unsupported(
            f"{case.model} is a folder of sentence-transformers, and the interpreter that measures "
            f"it has no such package; install it there (pip install "
            f"'nbbench[sentence-transformers]'), or give its configuration as configs to measure "
            f"the transformer alone"
        ) from error
    name = str(listed["type"])
    kind: Any = None
    if name.startswith("sentence_transformers."):
        with suppress(ImportError):
            kind = sentence_transformers.util.import_from_string(name)
    is_class = isinstance(kind, type)
    if not (is_class and issubclass(kind, torch.nn.Module)):
        raise Unsupported(
            f"{case.model} has the module {name}, which is no part of sentence-transformers; "
            f"measure it as code of your own, FILE.py:FUNCTION"
        )
    folder = os.path.join(case.source, *str(listed["path"]).replace("\\", "/").split("/"))
    if any(file.endswith((".safetensors", ".bin")) for file in _files(folder)):
        return kind.load(folder)
    return _random(kind, folder)


def _random(kind: Any, folder: str) -> Any:
    """A module from its configuration alone."""
    file = os.path.join(folder, "config.json")
    if not os.path.exists(file):
        return kind()
    if hasattr(kind, "load_config"):  # which knows the names of earlier versions
        values = kind.load_config(folder)
    else:
        with open(file, encoding="utf-8") as config:
            values = json.load(config)
    activation = values.get("activation_function")
    if isinstance(activation, str) and activation.startswith("torch.nn."):
        from sentence_transformers.util import import_from_string

        values["activation_function"] = import_from_string(activation)()
    return kind(**values)


def _files(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
