"""What uv writes: which lines a waiting user cares for, and what its errors ask to do."""

from __future__ import annotations

import re

from .sources import shown

SHOWN = ("Downloading", "Downloaded", "Building", "Built", "Prepared", "Installed")
"""How the lines of uv begin that a waiting user cares for."""


def explained(text: str) -> str:
    """The resolver's or installer's own message, shortened, with what to do."""
    message = in_one_line(shown(text))
    if re.search(r"No space left|os error 28|Disk quota", text):
        todo = "make room, or set NBBENCH_CACHE to a folder on another disk"
    elif re.search(
        r"dns error|[Cc]ould ?n.t connect|client error \(Connect\)|offline|timed out|[Nn]etwork",
        text,
    ):
        todo = (
            "go online once (the environment is kept), or give environments the path of a python "
            "that has what is needed"
        )
    elif re.search(r"No solution found|not found in the package registry|no versions", text):
        todo = "check the names and versions of the requirements"
    elif re.search(r"No interpreter found|No Python", text):
        todo = "install one of those versions, or give environments the path of a python"
    else:
        todo = "see the message, and try again"
    return f"{message}; {todo}"


def in_one_line(text: str, most: int = 400) -> str:
    """On one line, without colours, decoration and warnings; a long one loses its middle."""
    text = re.sub(r"^warning:.*\n(?:[ \t]+.*\n?)*", "", without_colour(text), flags=re.MULTILINE)
    kept = [
        re.sub(r"^[\s×╰─▶├│·]+|^error: ", "", line).strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith(("Resolved", "Using ", *SHOWN))
    ]
    joined = " ".join(kept).rstrip(".")
    half = most // 2
    return joined if len(joined) <= most else f"{joined[:half]} … {joined[-half:]}"


def without_colour(text: str) -> str:
    """Text without a terminal's codes for colour."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
