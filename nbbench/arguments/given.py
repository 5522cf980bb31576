"""What users give for names and configurations: lists of any kind, objects, and what is neither."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

_SOME_CONFIG = "the configuration of a Transformers model"


def as_list(value: Any) -> Any:
    """Let one value stand for a list of one, and whatever holds several for a list of them."""
    if value is None:
        return []
    one = isinstance(value, (str, bytes, Mapping)) or _is_config(value) or _is_model(value)
    if one or not isinstance(value, Iterable):
        return [value]
    if isinstance(value, (set, frozenset)):  # which has an order by chance, another in each process
        try:
            return sorted(value)
        except TypeError:  # what cannot be ordered is refused later, and always alike
            return sorted(value, key=repr)
    return list(value)


def _is_config(value: Any) -> bool:
    """Whether a value is a configuration object; a pandas Series has ``to_dict`` as well."""
    has_values = callable(getattr(value, "to_dict", None)) and not isinstance(value, type)
    return has_values and (hasattr(value, "model_type") or not isinstance(value, Iterable))


def _is_model(value: Any) -> bool:
    """Whether a value is a model of one of the frameworks, or holds one as a pipeline does."""
    if isinstance(value, type):
        return False
    calls = any(callable(getattr(value, name, None)) for name in ("forward", "get_config"))
    return calls or bool(_config_of(value))


def _config_of(model: Any) -> str:
    """How the configuration of a model, or of what holds one, is written; empty if it has none."""
    if _is_config(getattr(model, "config", None)):
        return "model.config"
    held = getattr(getattr(model, "model", None), "config", None)
    return "its model.config" if _is_config(held) else ""


def as_text(value: Any) -> Any:
    """Let a path stand for its text."""
    if isinstance(value, Mapping) and "model_type" not in value:
        raise ValueError("a dict was given for a name; give names, or configurations as configs")
    if isinstance(value, Mapping) or _is_config(value):
        raise ValueError("a configuration was given for a name; give it as configs")
    if isinstance(value, type):
        raise ValueError(
            f"the class {value.__name__} was given for a name; give the name of a model, or a "
            f"configuration as configs; {_as_file(value.__name__)}"
        )
    if _is_model(value) and not _config_of(value):
        raise ValueError(
            f"a model object ({type(value).__name__}) was given for a name; "
            f"{_as_file(type(value).__name__)}"
        )
    if callable(value) and hasattr(value, "__name__"):
        raise ValueError(
            f"the function {value.__name__} was given for a name; {_as_file(value.__name__)}"
        )
    if _is_model(value):
        raise ValueError(
            f"a model object ({type(value).__name__}) was given for a name; nbbench builds its "
            f"own, so give {_config_of(value)} as configs"
        )
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _as_file(factory: str) -> str:
    """What to do with code of the notebook: models are built in processes of their own."""
    return (
        f"code of your own runs from a file, so write its cell to one (%%writefile net.py), and "
        f"give 'net.py:{factory}'"
    )


def as_lengths(value: Any) -> Any:
    """One way to draw, or a list of lengths or of texts: a column of a DataFrame, too."""
    if value is None or isinstance(value, (str, os.PathLike)):
        return (os.fspath(value) if value else None) or None
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ValueError(
            f"lengths: a value of type {type(value).__name__} is neither text nor a list; give "
            f"'uniform(16,512)', a file, or a list of lengths or texts"
        )
    values = [each.item() if hasattr(each, "item") else each for each in as_list(value)]
    kinds = {type(each) for each in values}
    if not values or kinds not in ({int}, {str}):
        raise ValueError(
            f"lengths: a list of {', '.join(sorted(kind.__name__ for kind in kinds)) or 'nothing'} "
            f"is neither one of whole numbers nor one of texts"
        )
    return values


def config_as_dict(config: Any, number: int) -> dict[str, Any]:
    """A config as plain JSON values, whether it is a dict or an object with ``to_dict``."""
    if isinstance(config, type):
        raise ValueError(
            f"configs: number {number} is the class {config.__name__}; give an object of it, "
            f"{config.__name__}()"
        )
    if _is_model(config):
        raise ValueError(
            f"configs: number {number} is a model object ({type(config).__name__}); give "
            f"{_config_of(config) or _SOME_CONFIG}"
        )
    values = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(values, Mapping):
        raise ValueError(
            f"configs: number {number} is a {type(config).__name__}; give a dict with a model_type "
            f"or a Transformers config object"
        )
    if values and all(isinstance(each, Mapping) or _is_config(each) for each in values.values()):
        raise ValueError(
            "configs: a dict of configurations by name was given; give models=list(configs), "
            "configs=list(configs.values())"
        )
    model_type: str | None = values.get("model_type") or getattr(config, "model_type", None)
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), default=_plain))
    return {**plain, "model_type": model_type} if model_type else plain


def _plain(value: Any) -> Any:
    """What JSON has no word for: config objects, and dtypes, which print as torch.float32."""
    return value.to_dict() if hasattr(value, "to_dict") else str(value).replace("torch.", "")
