"""Which attributes a subclass, a class that was changed, or an object has of its own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any


def attributes_of(kind: type, names: Iterable[str]) -> dict[str, Any]:
    """A class's attributes as they are defined, properties and methods unbound."""
    return {name: inspect.getattr_static(kind, name, None) for name in names}


def overridden(instance: object, originals: Mapping[str, Any]) -> list[str]:
    """The names whose attribute is no longer the original one: of the class, or of the object."""
    return [
        name
        for name, original in originals.items()
        if inspect.getattr_static(instance, name, None) is not original
    ]
