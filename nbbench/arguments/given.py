"""What users give for names and configurations: lists of any kind, objects, and what is neither."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from itertools import islice
from typing import Any

from ..text import error_text, quoted
from ..worker.checked import MAX_DEPTH, is_deep

MAX_VALUES = 100_000
"""The most values that an argument takes: what goes on for ever ends in a sentence."""

_SOME_CONFIG = "the configuration of a Transformers model"


class Unreadable(ValueError):
    """A value that cannot be read to its end; the message does not name its argument."""


def guarded(read: Callable[..., Any]) -> Callable[..., Any]:
    """Have whatever a user's value raises while it is read be `Unreadable`, with a sentence."""

    @wraps(read)
    def reading(value: Any, *more: Any) -> Any:
        try:
            return read(value, *more)
        except (Unreadable, Refused):
            raise
        except Exception as error:
            raise Unreadable(
                f"a value of type {type(value).__name__} cannot be read ({error_text(error)})"
            ) from None

    return reading


class Refused(ValueError):
    """A value that can be read, and is not what is wanted."""


@guarded
def as_list(value: Any) -> Any:
    """Let one value stand for a list of one, and whatever holds several for a list of them."""
    if value is None:
        return []
    one = isinstance(value, (str, bytes, Mapping)) or _is_config(value) or _is_model(value)
    if one or not isinstance(value, Iterable):
        return [value]
    if callable(getattr(value, "iterrows", None)):  # iterating would give its columns' names
        raise Unreadable(f"a {type(value).__name__} is no list of values; give one of its columns")
    if isinstance(value, (set, frozenset)):  # which has an order by chance, another in each process
        try:
            return sorted(value)
        except TypeError:  # what cannot be ordered is refused later, and always alike
            return sorted(value, key=repr)
    values = list(islice(value, MAX_VALUES + 1))
    if len(values) > MAX_VALUES:
        raise Unreadable(f"more than {MAX_VALUES:,} values were given; give fewer")
    return values


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


def plain(text: str) -> str:
    """The same text without what a class of the user's or NumPy's makes of it."""
    return str.__str__(text)


@guarded
def as_text(value: Any) -> Any:
    """Let a path stand for its text."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping) and "model_type" not in value:
        raise Refused("a dict was given for a name; give names, or configurations as configs")
    if isinstance(value, Mapping) or _is_config(value):
        raise Refused("a configuration was given for a name; give it as configs")
    if isinstance(value, type):
        raise Refused(
            f"the class {value.__name__} was given for a name; give the name of a model, or a "
            f"configuration as configs; {_as_file(value.__name__)}"
        )
    if _is_model(value) and not _config_of(value):
        raise Refused(
            f"a model object ({type(value).__name__}) was given for a name; "
            f"{_as_file(type(value).__name__)}"
        )
    if callable(value) and hasattr(value, "__name__"):
        raise Refused(
            f"the function {value.__name__} was given for a name; {_as_file(value.__name__)}"
        )
    if _is_model(value):
        raise Refused(
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


@guarded
def as_lengths(value: Any) -> Any:
    """One way to draw, or a list of lengths or of texts: a column of a DataFrame, too."""
    if value is None or isinstance(value, (str, os.PathLike)):
        return plain(os.fspath(value)) or None if value else None
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise Refused(
            f"lengths: a value of type {type(value).__name__} is neither text nor a list; give "
            f"'uniform(16,512)', a file, or a list of lengths or texts"
        )
    values = [each.item() if hasattr(each, "item") else each for each in as_list(value)]
    kinds = {type(each) for each in values}
    if not values or kinds not in ({int}, {str}):
        raise Refused(
            f"lengths: a list of {', '.join(sorted(kind.__name__ for kind in kinds)) or 'nothing'} "
            f"is neither one of whole numbers nor one of texts"
        )
    return values


@guarded
def config_as_dict(config: Any, number: int) -> dict[str, Any]:
    """A config as plain JSON values, whether it is a dict or an object with ``to_dict``."""
    if isinstance(config, type):
        raise Refused(
            f"configs: number {number} is the class {config.__name__}; give an object of it, "
            f"{config.__name__}()"
        )
    if _is_model(config):
        raise Refused(
            f"configs: number {number} is a model object ({type(config).__name__}); give "
            f"{_config_of(config) or _SOME_CONFIG}"
        )
    values = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(values, Mapping):
        raise Refused(
            f"configs: number {number} is a {type(config).__name__}; give a dict with a model_type "
            f"or a Transformers config object"
        )
    if values and all(isinstance(each, Mapping) or _is_config(each) for each in values.values()):
        raise Refused(
            "configs: a dict of configurations by name was given; give models=list(configs), "
            "configs=list(configs.values())"
        )
    model_type: str | None = values.get("model_type") or getattr(config, "model_type", None)
    read: dict[str, Any] = json.loads(json.dumps(dict(values), default=_plain))
    if is_deep(read):
        raise Refused(
            f"configs: number {number} is nested deeper than {MAX_DEPTH} levels; give the "
            f"configuration of a Transformers model"
        )
    return {**read, "model_type": model_type} if model_type else read


def _plain(value: Any) -> Any:
    """What JSON has no word for: config objects, NumPy's numbers, and dtypes like torch.float32."""
    for method in ("to_dict", "tolist"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    return str(value).replace("torch.", "")


def as_amounts(given: Any) -> dict[str, float]:
    """Names with amounts above 0, from a mapping or its JSON; raises ``ValueError``."""
    if isinstance(given, str):
        with suppress(ValueError):
            given = json.loads(given)
    good = isinstance(given, Mapping) and all(
        isinstance(name, str)
        and isinstance(amount, (int, float))
        and not isinstance(amount, bool)
        and 0 < amount < float("inf")
        for name, amount in given.items()
    )
    if not good:
        raise ValueError(
            f"resources: {quoted(given)} is no mapping of names to numbers above 0, like "
            '{"fast_disk": 1}'
        )
    for name in {"CPU", "GPU"} & given.keys():
        raise ValueError(f"resources: {name} has an argument of its own; give num_{name.lower()}s")
    for name in {"memory", "object_store_memory"} & given.keys():
        raise ValueError(
            f"resources: {name} is Ray's own; give num_cpus, of which a node has fewer cases at a "
            f"time the more they ask for"
        )
    return dict(given)


def as_gpus(given: float) -> float:
    """A number of GPUs as Ray takes it: a part of one, or whole ones; raises ``ValueError``."""
    if given > 1 and not given.is_integer():
        raise ValueError(
            f"num_gpus: {given:g} is neither a part of one GPU nor whole ones; give "
            f"{given % 1:g} or {round(given)}"
        )
    return given
