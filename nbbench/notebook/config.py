"""``%config Nbbench``: defaults of the magic that one sets in a notebook, or in IPython's files."""

from __future__ import annotations

from typing import Any

from traitlets import Any as AnyTrait
from traitlets.config import Configurable

from ..arguments.defaults import Defaults, checked, with_defaults
from ..arguments.schema import BenchmarkArguments
from ..errors import ArgumentError

_SOURCE = "%config Nbbench"


def add_config(ipython: Any) -> Any:
    """What ``%config Nbbench`` sets: an object with a trait for each argument; None is unset."""
    named = (c for c in ipython.configurables if type(c).__name__ == "Nbbench")
    found = next(named, None)
    if found is None:
        found = _make_class()(parent=ipython)
        ipython.configurables.append(found)
    return found


def own_defaults(ipython: Any) -> set[str]:
    """The arguments that have other defaults in this notebook than nbbench's own."""
    if ipython is None:
        return set()
    configs = [c for c in ipython.configurables if type(c).__name__ == "Nbbench"]
    try:
        return {*with_defaults({}, *map(defaults_of, configs))[0]}
    except ArgumentError:  # which the run itself has a sentence for
        return set()


def _make_class() -> Any:
    """The class whose name and traits ``%config`` shows; its values are checked where used."""
    traits = {
        name: AnyTrait(None, allow_none=True, help=field.description).tag(config=True)
        for name, field in BenchmarkArguments.model_fields.items()
        if name not in ("models", "configs")
    }
    about = "Defaults of %tfbench and %%tfbench; None leaves one to what else sets it."
    return type("Nbbench", (Configurable,), {"__doc__": about, **traits})


def defaults_of(config: Any) -> Defaults:
    """The defaults that were set; raises `ArgumentError` for a name or a value that is none."""
    names = {*config.trait_names(config=True)}
    given = config.config.get("Nbbench", {})
    values = {name: value for name, value in given.items() if name not in names}
    values.update({name: getattr(config, name) for name in sorted(names)})
    return checked(_SOURCE, {name: value for name, value in values.items() if value is not None})
