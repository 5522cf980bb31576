"""Arguments that ask for a size that is yet to be found: the largest that fits, or the best."""

from __future__ import annotations

from typing import Any

from ..text import quoted

AXES = {
    "batch_sizes": "batch_size",
    "sequence_lengths": "sequence_length",
    "new_tokens": "new_tokens",
}
"""The arguments that may be ``max``, and the axis of each."""


def asked_for(arguments: Any) -> dict[str, str]:
    """By the arguments' names what they ask for, ``max`` or ``best``."""
    return {
        name: value
        for name in AXES
        for value in getattr(arguments, name)
        if value in ("max", "best")
    }


def searched_axis(arguments: Any) -> str:
    """The axis whose size is searched; "" for none."""
    return next((AXES[name] for name in asked_for(arguments)), "")


def refuse_search(arguments: Any) -> str:
    """Why what is asked for cannot be searched, in one sentence; empty where it can."""
    asked, isolated = asked_for(arguments), arguments.isolation != "none"
    if arguments.memory_limit is not None and not isolated:
        return (
            "memory_limit is for cases in processes of their own, and isolation none runs them in "
            "this one; keep one of the two"
        )
    if arguments.latency_limit is not None and "best" not in asked.values():
        return "latency_limit is for batch_sizes best, the highest throughput within it; add that"
    if not asked:
        return ""
    name, what = next(iter(asked.items()))
    if len(asked) > 1:
        return f"{' and '.join(asked)} are both to be searched; give sizes for all but one of them"
    if len(getattr(arguments, name)) > 1:
        others = [value for value in getattr(arguments, name) if value != what]
        return f"{name}: {what} stands alone, and {quoted(others[0])} stands beside it; keep one"
    if not isolated:
        return (
            f"{name}: {what} tries each size in a process of its own, and isolation none has "
            f"none; keep one of the two"
        )
    if arguments.lengths is not None and name != "new_tokens":
        return f"{name}: {what} cannot be searched where lengths draws the rows; give sizes"
    if what == "best" and arguments.latency_limit is None:
        return (
            "batch_sizes: best is the highest throughput within a latency_limit, and none is "
            "given; give latency_limit='50 ms', or max for the largest that fits"
        )
    if what == "best" and not arguments.speed:
        return "batch_sizes: best is found by time, and speed is off; switch speed on"
    return ""
