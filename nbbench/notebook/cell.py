"""Arguments as the text of a ``%%tfbench`` cell."""

from __future__ import annotations

import keyword
import math
import shlex
from collections.abc import Sequence
from typing import Any

from ..report.budget import Budget


def is_variable(name: str) -> bool:
    """Whether a report can be put into a variable of this name."""
    return name.isidentifier() and not keyword.iskeyword(name)


def as_cell(
    values: dict[str, Any], configs: Sequence[Any], out: str, budget: Budget | None = None
) -> str:
    """The cell that runs ``values``, arguments by name, and puts the report into ``out``."""
    head = f"%%tfbench --out {out}" if is_variable(out) else "%%tfbench"
    if budget is not None:
        head = f"{head} {shlex.join(budget.flags)}"
    assigned = {**values, **({"configs": list(configs)} if configs else {})}
    return "\n".join([head, *(f"{name} = {_literal(value)}" for name, value in assigned.items())])


def _literal(value: Any) -> str:
    """A value as Python reads it: an infinite number has no name there."""
    if isinstance(value, dict):
        pairs = (f"{key!r}: {_literal(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)
