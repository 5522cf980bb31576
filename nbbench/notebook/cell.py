"""Arguments as the text of a ``%%tfbench`` cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def as_cell(values: dict[str, Any], configs: Sequence[Any], out: str) -> str:
    """The cell that runs ``values``, arguments by name, and puts the report into ``out``."""
    head = f"%%tfbench --out {out}" if out.isidentifier() else "%%tfbench"
    assigned = {**values, **({"configs": list(configs)} if configs else {})}
    return "\n".join([head, *(f"{name} = {value!r}" for name, value in assigned.items())])
