"""Arguments as the text of a ``%%tfbench`` cell."""

from __future__ import annotations

import keyword
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
    return "\n".join([head, *(f"{name} = {value!r}" for name, value in assigned.items())])
