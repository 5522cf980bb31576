"""Counts and times as a person says them."""

from __future__ import annotations


def counted(count: int | str, noun: str) -> str:
    """A number with its noun: 1 case, 2 cases, 0.5 cores."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
