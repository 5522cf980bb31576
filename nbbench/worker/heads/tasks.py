"""What a model's class is for, as the auto classes of Transformers know it.

A task is the name of one of their mappings without its frame: ``CAUSAL_LM`` for
``MODEL_FOR_CAUSAL_LM_MAPPING_NAMES``.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

_MAPPING = re.compile(r"MODEL_(?:FOR|WITH)_(\w+)_MAPPING_NAMES")
_ENDING = re.compile(r"For[A-Z0-9]\w*$|(?:With)?LMHeadModel$|EncoderModel$")
"""What a class's name says of its head: RoFormerModel ends with none of these."""

_NO_HEADS = {"BACKBONE", "IMAGE", "TEXT_ENCODING", "MULTIMODAL_LM"}
"""Mappings of base models, or of classes that another mapping has by their task."""


@functools.cache  # known before a worker forks
def tasks_of(transformers: Any, architecture: str) -> tuple[str, ...]:
    """What a class is for, the likeliest first; empty for a base model.

    A class that no mapping has is for what classes with the same ending are for.
    """
    mappings = _mappings(transformers)
    own = tuple(task for task, names in mappings.items() if architecture in _classes(names))
    return own or tuple(tasks_by_ending(transformers, architecture))


def all_tasks(transformers: Any) -> list[str]:
    """All that Transformers has heads for."""
    return list(_mappings(transformers))


def tasks_by_ending(transformers: Any, architecture: str) -> list[str]:
    """What most classes are for whose names end like this one's; empty where it has no ending."""
    ending = _ENDING.search(architecture)
    if ending is None:
        return []
    counted: Counter[str] = Counter()
    for task, names in _mappings(transformers).items():
        counted[task] += sum(_ends_with(name, ending.group()) for name in _classes(names))
    return [task for task, count in counted.most_common() if count]


def is_base_name(architecture: str) -> bool:
    """Whether this is how classes without a head are called."""
    return architecture.endswith("Model") and _ENDING.search(architecture) is None


def family(architecture: str) -> str:
    """A class's name without what it says of its head."""
    ending = _ENDING.search(architecture)
    return architecture[: ending.start()] if ending else architecture.removesuffix("Model")


def class_for(transformers: Any, task: str, model_type: str) -> Optional[str]:
    """The name of the class that a model type has for a task; None where it has none."""
    found = _mappings(transformers).get(task, {}).get(model_type)
    return next(iter(_names(found)), None)


@functools.cache
def _mappings(transformers: Any) -> dict[str, Mapping[str, Any]]:
    # by its name: without torch, the attribute is a stand-in that has no mappings
    auto = importlib.import_module(f"{transformers.__name__}.models.auto.modeling_auto")
    found = ((_MAPPING.fullmatch(name), name) for name in dir(auto))
    named = {match.group(1): getattr(auto, name) for match, name in found if match}
    return {task: names for task, names in named.items() if task not in _NO_HEADS}


def _ends_with(name: str, ending: str) -> bool:
    found = _ENDING.search(name)
    return found is not None and found.group() == ending


def _classes(names: Mapping[str, Any]) -> Iterator[str]:
    for each in names.values():
        yield from _names(each)


def _names(entry: Any) -> Iterable[str]:
    """The names in one entry of a mapping: a name, several, or none."""
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)
