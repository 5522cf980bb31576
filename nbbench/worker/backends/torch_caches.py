"""The caches of keys and values that generation keeps, by Transformers' own classes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ..backend import Unsupported
from .torch_tensors import plain_tensors

_PARAMETERS = ("past_key_values", "cache_params")
"""What forward methods take a cache by, and outputs give it back as."""

_QUANTIZERS = {"quanto": "optimum.quanto", "hqq": "hqq"}
"""What quantizes a cache, by Transformers' name for it: the package."""


def cache_parameter(parameters: Mapping[str, inspect.Parameter], architecture: str) -> str:
    """The parameter of a forward method that takes the cache; `Unsupported` where there is none."""
    for name in _PARAMETERS:
        if name in parameters:
            return name
    raise Unsupported(
        f"{architecture} keeps no cache that its forward method is given, by which nbbench makes "
        f"tokens one by one"
    )


def refuse_cache(kind: str, config: Any, parameter: str, architecture: str) -> None:
    """Raise `Unsupported` for a cache that this model, or this environment, has not."""
    if kind == "dynamic":
        return
    if parameter != "past_key_values":
        raise Unsupported(f"{architecture} has a state of its own in place of a {kind} cache")
    if kind == "quantized":
        if getattr(config, "is_encoder_decoder", False):
            raise Unsupported(
                f"{architecture} is an encoder-decoder, for which Transformers has no quantized "
                f"cache; give caches dynamic or static"
            )
        _quantizer()


def make_cache(kind: str, config: Any, prompt: int, new_tokens: int) -> Any:
    """An empty cache for prompts of so many tokens and what is made after them.

    An encoder-decoder's has two parts, of which one is for what the encoder gives.
    """
    caches = importlib.import_module("transformers.cache_utils")
    if kind == "static":
        text = config.get_text_config(decoder=True)
        try:
            if not getattr(config, "is_encoder_decoder", False):
                return caches.StaticCache(config=config, max_cache_len=prompt + new_tokens)
            own = caches.StaticCache(config=text, max_cache_len=1 + new_tokens)
            cross = caches.StaticCache(config=text, max_cache_len=prompt)
        except (KeyError, AttributeError, NotImplementedError) as error:  # of a kind of layer
            raise Unsupported(
                f"Transformers has no static cache for a {config.model_type} ({error}); give "
                f"caches dynamic"
            ) from error
        return caches.EncoderDecoderCache(own, cross)
    try:
        return caches.QuantizedCache(_quantizer(), config)
    except ValueError as error:
        raise Unsupported(f"{error}; give caches dynamic".replace(".;", ";")) from error


def _quantizer() -> str:
    """The first of the packages that is installed, by Transformers' name for it."""
    for name, package in _QUANTIZERS.items():
        top = package.partition(".")[0]
        if importlib.util.find_spec(top) and importlib.util.find_spec(package):
            return name
    raise Unsupported(
        "a quantized cache needs optimum-quanto or hqq, and neither is installed; install one, or "
        "give caches dynamic or static"
    )


def cache_bytes(torch: Any, cache: Any) -> int:
    """Bytes of the tensors that a cache holds, of each as far as it reaches into its storage.

    Counters of positions, of one number each, are not counted.
    """
    held = tensors_of(torch, cache)
    return sum(t.numel() * t.element_size() for t in held if t.dim() > 1)


def tensors_of(torch: Any, cache: Any) -> Iterator[Any]:
    """The tensors that a cache holds, each once."""
    return _tensors(torch, cache, {})


def _tensors(torch: Any, value: Any, seen: dict[int, Any]) -> Iterator[Any]:
    """The tensors in a cache, in its layers, and in what its quantized ones are made of, each once.

    ``seen`` holds what was met, so that no other object gets its id meanwhile.
    """
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        yield from plain_tensors(value)
    elif isinstance(value, Mapping):
        yield from _tensors(torch, list(value.values()), seen)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(torch, each, seen)
    elif type(value).__module__.startswith("transformers.") and not hasattr(value, "model_type"):
        yield from _tensors(torch, list(getattr(value, "__dict__", {}).values()), seen)
