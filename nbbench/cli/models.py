"""``nbbench models``."""

from __future__ import annotations

from ..errors import ArgumentError
from ..plan.models import catalogue


def command(argv: list[str]) -> int:
    """List the catalogue."""
    if argv in (["-h"], ["--help"]):
        print(
            "usage: nbbench models\n\nList the names of the built-in catalogue, with their types."
        )
        return 0
    if argv:
        raise ArgumentError(f"nbbench models takes no arguments, and {argv[0]!r} was given")
    for name, config in catalogue().items():
        print(f"{name:34}{config['model_type']}")
    return 0
