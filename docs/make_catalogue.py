"""Make what nbbench/plan has of each model and type: ``python docs/make_catalogue.py``.

Parameters, layers and the longest length, counted with the installed Transformers on the meta
device, so that no weights are made. The model of each configuration is the one that a run without
further arguments measures. And the types that take no length, types_without_length.json: those of
all that Transformers has for whose base model inputs can be described without one.
"""

from __future__ import annotations

import inspect
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.model_parts import part_class
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.backends.transformers_models import make_config
from nbbench.worker.case import Case
from nbbench.worker.inputs.describe import describe_inputs
from nbbench.worker.inputs.text import longest_sequence

FILE = Path(nbbench.__file__).parent / "plan" / "catalogue.json"
TYPES_FILE = FILE.with_name("types_without_length.json")

LAYERS = ("num_hidden_layers", "encoder_layers", "num_layers")
"""What configurations call their layers; those of encoder-decoders count the encoder's."""


def count(backend: TorchBackend, name: str, config: dict[str, Any]) -> dict[str, int | None]:
    """The number of parameters, of layers, and the longest length of one configuration."""
    case = Case("pytorch", name, config, "catalogue", 1, 8)
    made = make_config(backend.transformers, case)
    with backend.torch.device("meta"):
        model = backend._model_class(made, case).type(made)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "layers": _layers(made),
        "longest": _longest(made),
    }


def _layers(config: Any) -> int | None:
    for part in (config, getattr(config, "text_config", None)):
        for name in LAYERS:
            if isinstance(getattr(part, name, None), int):
                return int(getattr(part, name))
    depths = getattr(config, "depths", None)
    return sum(depths) if isinstance(depths, list) else None


def _longest(config: Any) -> int | None:
    """The most tokens that there are positions for, else those that computed ones are made for."""
    text = getattr(config, "text_config", config)
    longest = longest_sequence(config) or getattr(text, "max_position_embeddings", None)
    return longest if isinstance(longest, int) and longest > 0 else None


def counted(catalogue: dict[str, Any]) -> dict[str, Any]:
    """A catalogue with the figures of each configuration."""
    backend = TorchBackend()
    backend.load()
    return {
        name: {**entry, **count(backend, name, entry["config"])}
        for name, entry in catalogue.items()
    }


def takes_length() -> dict[str, bool]:
    """Whether inputs have a length, of each type of which the installed Transformers has a model.

    Types are omitted that have no defaults, or whose models want another package.
    """
    import transformers

    configs, models = transformers.CONFIG_MAPPING, transformers.AutoModel._model_mapping
    found = {}
    for model_type in configs:
        with suppress(Exception):
            config = configs[model_type]()
            if hasattr(config, "prediction_length") and config.prediction_length is None:
                config = configs[model_type](prediction_length=1)  # which has no default there
            known = type(config) in models
            base = transformers.PreTrainedModel
            model_class = models[type(config)] if known else part_class(base, config)
            found[model_type] = not _fixed(model_class, config)
    return found


def _fixed(model_class: Any, config: Any) -> bool:
    """Whether inputs can be described without a length, and are the same with one."""
    model_class = model_class[0] if isinstance(model_class, (list, tuple)) else model_class
    parameters = inspect.signature(model_class.forward).parameters
    try:
        described = [
            describe_inputs(parameters, config, model="", batch_size=2, sequence_length=length)
            for length in (None, 16)
        ]
    except Unsupported:
        return False
    return described[0] == described[1]


if __name__ == "__main__":
    catalogue = counted(json.loads(FILE.read_text(encoding="utf-8")))
    if "--print" in sys.argv:
        print(json.dumps(catalogue))
    else:
        lines = [f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in catalogue.items()]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        lengths = takes_length()  # what this Transformers does not know stays
        known = {t for t in json.loads(TYPES_FILE.read_text()) if not lengths.get(t)}
        types = sorted(known | {model_type for model_type, takes in lengths.items() if not takes})
        TYPES_FILE.write_text(json.dumps(types, indent=1) + "\n", encoding="utf-8")
