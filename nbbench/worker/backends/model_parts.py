"""The class of a configuration that is in no auto mapping: a part of a larger model, by itself."""

from __future__ import annotations

import importlib
from typing import Any, Optional


def part_class(base: type, config: Any) -> Optional[Any]:
    """The model class whose configuration is just of this type, in the module beside it.

    ``base`` is the class that all models of the framework have. Of several, one that ends in Model
    goes before one with a head; None where there is none with a forward pass of its own.
    """
    name = type(config).__module__.replace(".configuration_", ".modeling_")
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, base)
        and each.__module__ == name
        and getattr(each, "config_class", None) is type(config)
        and not each.__name__.endswith("PreTrainedModel")
        and "forward" in _defined(each, base)
    ]
    return min(found, key=_rank, default=None)


def _rank(model_class: type) -> int:
    """Models first, then what they are the backbones of; encoders behind embeddings come last."""
    endings = ("Model", "Backbone")
    name = model_class.__name__
    return next((at for at, end in enumerate(endings) if name.endswith(end)), len(endings))


def _defined(model_class: type, base: type) -> set[str]:
    """What a class and those between it and ``base`` define."""
    between = (each for each in model_class.__mro__ if issubclass(each, base) and each is not base)
    return {name for each in between for name in vars(each)}
