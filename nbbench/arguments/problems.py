"""What is wrong with arguments, in sentences: from what pydantic found."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic import ValidationError

from ..errors import did_you_mean
from ..text import quoted
from .given import Unreadable
from .searched import AXES


def problems_of(
    error: ValidationError, known: Collection[str], unknown: Callable[[str], str]
) -> dict[str, str]:
    """What pydantic found wrong: for each argument the first of it, in one sentence.

    ``known`` are the arguments' names, and ``unknown`` says of another that there is none.
    """
    problems: dict[str, str] = {}
    for found in error.errors():
        sentence = _sentence(found, unknown)
        name = str(found["loc"][0]) if found["loc"] else sentence.split()[0].rstrip(":,")
        problems.setdefault(name if name in known else "", sentence)
    return problems


def _sentence(found: Any, unknown: Callable[[str], str]) -> str:
    """One thing that pydantic found wrong, in one sentence."""
    path, kind, value = found["loc"], found["type"], found.get("input")
    name = str(path[0]) if path else ""
    if kind == "value_error":
        error = found["ctx"]["error"]
        is_named = len(path) < 2 and not isinstance(error, Unreadable)
        return str(error) if is_named else f"{name}: {error}"
    if kind == "extra_forbidden":
        return unknown(name)
    if name == "paddings":
        return f"paddings: {quoted(value)} is no part of a batch, from 0 to below 1, like 0.3"
    bounds = found.get("ctx", {})
    number = "number" if isinstance(bounds.get("gt"), float) else "whole number"
    wanted = {
        "greater_than": f"a {number} above 0",
        "greater_than_equal": f"a number from {bounds.get('ge'):g} on" if "ge" in bounds else "",
        "less_than_equal": f"a number up to {bounds.get('le')}",
        "less_than": "below 2147483648, which is more than any machine takes",
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "string_type": "text",
        "string_too_short": "a name",
        "string_unicode": "text: it holds bytes of another encoding; rename it",
        "literal_error": "one of " + str(found.get("ctx", {}).get("expected", "")).replace("'", ""),
    }.get(kind, "")
    if name in AXES and wanted == "a whole number":
        wanted += ", max or best" if name == "batch_sizes" else " or max"
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        hint = did_you_mean(value, str(found["ctx"]["expected"]).replace("'", "").split(", "))
    message = f"is not {wanted}{hint}" if wanted else f"is not taken: {found['msg']}"
    return f"{name}: {quoted(value)} {message}"
