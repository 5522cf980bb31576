"""The built-in configurations, and what is known of each without building it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class CatalogueEntry:
    """A configuration of the catalogue.

    ``hub`` is its id on the hub. ``parameters`` is the number of parameters of the model that a run
    without further arguments measures, ``layers`` of its layers and ``longest`` of the most tokens
    (or frames) that it is made for; None where it has none of them. ``docs/make_catalogue.py``
    counts them with Transformers itself.
    """

    name: str
    hub: str
    config: dict[str, Any]
    parameters: int | None = None
    layers: int | None = None
    longest: int | None = None

    @property
    def model_type(self) -> str:
        """What Transformers calls models of its kind."""
        return str(self.config["model_type"])

    def matches(self, word: str) -> bool:
        """Whether a word is in its name, its id on the hub or its type, in whichever case."""
        return any(word.lower() in text.lower() for text in (self.name, self.hub, self.model_type))


def catalogue() -> dict[str, dict[str, Any]]:
    """The built-in configurations by name."""
    return {entry.name: entry.config for entry in entries()}


@lru_cache(maxsize=1)
def _text() -> str:
    return resources.files("nbbench.plan").joinpath("catalogue.json").read_text(encoding="utf-8")


def entries() -> list[CatalogueEntry]:
    """All of the catalogue, by name; nobody else has these objects."""
    return [CatalogueEntry(name, **values) for name, values in json.loads(_text()).items()]


@lru_cache(maxsize=1)
def configs_by_name() -> dict[str, dict[str, Any]]:
    """Configurations by every name that they answer to, in lower case."""
    return {name.lower(): entry.config for entry in entries() for name in (entry.name, entry.hub)}


@lru_cache(maxsize=1)
def types_without_length() -> frozenset[str]:
    """Model types whose inputs have one size whatever the sequence length, as images have.

    ``docs/make_catalogue.py`` reads them from the signatures and defaults of all that Transformers
    has: the plan is made where it is not imported.
    """
    file = resources.files("nbbench.plan").joinpath("types_without_length.json")
    return frozenset(json.loads(file.read_text(encoding="utf-8")))
