"""The reference kernel's usual time on this machine: the level to which times are brought.

The first run on a machine sets it, and later ones keep to it, so that their numbers come out the
same again; unless one finds the machine much faster, which must then have been busy before. It is
kept in the user's cache folder, one level for each processor or GPU, framework and number of
threads.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

OUTDONE = 0.75
"""How much faster than its level the reference must be found for the level to be set anew."""

_LOCK_S = 2.0
_VERSION = 2
"""Of the kernel: a level of another one means nothing."""


def level_key(*facts: object) -> str:
    """A key for what the reference's time depends on."""
    return hashlib.sha256(json.dumps([_VERSION, *map(str, facts)]).encode()).hexdigest()[:16]


def read_levels() -> dict[str, float]:
    """The levels that are known, in seconds by key; none where the file is missing or damaged."""
    with suppress(OSError, ValueError, AttributeError):
        levels = json.loads(_file().read_text(encoding="utf-8"))
        return {str(key): float(level) for key, level in levels.items() if 0 < float(level) < 1e3}
    return {}


def is_outdone(level: float, found: float) -> bool:
    """Whether the reference was so much faster than its level that the level means nothing."""
    return found < OUTDONE * level


def keep_levels(found: dict[str, float]) -> None:
    """Keep the levels of keys that have none, or one that is outdone.

    A folder that cannot be written is no problem.
    """
    known = read_levels()
    new = {k: v for k, v in found.items() if k not in known or is_outdone(known[k], v)}
    if not new:
        return
    with suppress(OSError, Timeout):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=_LOCK_S):
            _write(file, {**read_levels(), **new})


def forget_levels() -> None:
    """Have the next run set the levels anew."""
    _file().unlink(missing_ok=True)


def _write(file: Path, levels: dict[str, float]) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(levels, indent=1), encoding="utf-8")
    part.replace(file)


def _file() -> Path:
    """``reference.json`` in the user's cache folder, or in the one that NBBENCH_CACHE names."""
    cache = os.environ.get("NBBENCH_CACHE") or platformdirs.user_cache_dir("nbbench", "nbbench")
    return Path(cache).expanduser() / "reference.json"
