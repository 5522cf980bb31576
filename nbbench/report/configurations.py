"""Which cases are of one model: a name alone does not say so, and a configuration does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..plan.code_digest import UNKNOWN
from ..plan.result import Result
from ..text import counted, one_line, quoted, shortened
from ..worker.case import Case

_NO_DIFFERENCE = ("transformers_version", "_name_or_path")
"""What a configuration names that changes nothing of its model."""

_MAX_KEYS = 3
"""Keys in which two configurations differ, and that are named."""


_GOES_WITH = {
    "model": ("configuration", "inputs"),
    "mode": ("optimizer",),
    "batch_size": ("row_lengths",),
    "sequence_length": ("row_lengths",),
    "padding": ("row_lengths",),
}
"""What of the work is another for each value of an axis, by the axis's name."""


def work_of(case: Case, by: str = "") -> tuple[Any, ...]:
    """What no axis says of a case's work: equal where the same model is called in the same way.

    What goes with the axis ``by`` is omitted, since cases that differ in it differ in that, too.
    """
    parts = {
        "configuration": configuration_of(case),
        "model_class": case.model_class,
        "modalities": case.modalities,
        "optimizer": case.optimizer,
        "inputs": json.dumps(case.inputs, sort_keys=True, default=str),
        "lengths": case.lengths,
        "row_lengths": case.row_lengths,
    }
    omitted = _GOES_WITH.get(by, ())
    return tuple(part for name, part in parts.items() if name not in omitted)


def configuration_of(case: Case) -> str:
    """The configuration as text: equal for what is one model."""
    return json.dumps(telling(case.config), sort_keys=True, default=str)


def differing_keys(one: Case, other: Case) -> str:
    """The first few keys in which two configurations differ; empty where they are equal."""
    first, second = telling(one.config), telling(other.config)
    keys = [
        key
        for key in sorted({*first, *second}, key=str)
        if _as_text(first, key) != _as_text(second, key)
    ]
    named = ", ".join(shortened(one_line(str(key)), 40) for key in keys[:_MAX_KEYS])
    more = len(keys) - _MAX_KEYS
    return f"{named} and {counted(more, 'more key')}" if more > 0 else named


def notes_on_names(results: Sequence[Result]) -> tuple[str, ...]:
    """One sentence for each name that several models have."""
    known: dict[str, dict[str, Case]] = {}
    for result in results:
        case = result.case
        known.setdefault(case.model, {}).setdefault(configuration_of(case), case)
    several = {name: [*cases.values()] for name, cases in known.items() if len(cases) > 1}
    notes = [_note(name, cases) for name, cases in several.items()]
    return (*notes, *_notes_on_code(results))


def _notes_on_code(results: Sequence[Result]) -> list[str]:
    """One sentence for each file of code that is not the same everywhere, as far as is known."""
    known: dict[str, set[str]] = {}
    for result in results:
        code = result.case.code
        if result.case.is_own and code and not code.startswith(UNKNOWN):
            known.setdefault(result.case.model, set()).add(code)
    return [
        f"the code of {quoted(name)}, or what lies beside it, is not the same in all cases"
        for name, codes in known.items()
        if len(codes) > 1
    ]


def note_on_runs(name: str, now: Case, before: Case) -> str:
    """What differs between two models of one name, of two runs."""
    return f"{quoted(name)} is not the same model in both runs: {_keys(now, before)}"


def _note(name: str, cases: list[Case]) -> str:
    models = counted(len(cases), "model")
    return f"{quoted(name)} is the name of {models}, not compared: {_keys(*cases[:2])}"


def _keys(one: Case, other: Case) -> str:
    return f"their configurations differ in {differing_keys(one, other)}"


def telling(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what changes nothing of its model, at any depth."""
    return {str(key): _inner(value) for key, value in config.items() if key not in _NO_DIFFERENCE}


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return telling(value)
    return [_inner(each) for each in value] if isinstance(value, list) else value


def _as_text(config: Mapping[str, Any], key: str) -> str:
    return json.dumps(config[key], sort_keys=True, default=str) if key in config else ""
