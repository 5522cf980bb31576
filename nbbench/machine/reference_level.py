"""The reference kernel's usual time on this machine: the level to which times are brought.

The first run on a machine sets it, and later ones keep to it, so that their numbers come out the
same again. It is set anew where one run finds the machine much faster, which must then have been
busy before; or where several runs, some minutes apart, find that another speed is the usual one. It
is kept in the user's cache folder, one level for each processor or GPU and each kernel: framework,
number of threads, and settings that change time.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import time
from contextlib import suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, TypeAdapter

OUTDONE = 0.75
"""How much faster than its level the reference must be found for the level to be set anew."""

UNUSUAL = 0.15
"""How far from its level, as a part of it, the median of the recent runs sets the level anew."""

RECENT = 7
"""How many runs say what is usual."""

APART_S = 120.0
"""How far apart they are at least: runs of one minute find the machine in one state."""

_LOCK_S = 2.0
_VERSION = 2
"""Of the kernel: a level of another one means nothing."""


class Level(BaseModel):
    """A reference's level in seconds, and what recent runs found: when, and how many seconds."""

    seconds: float = Field(gt=0, lt=1e3)
    recent: list[tuple[float, float]] = []

    def after(self, found: float, now: float) -> Level:
        """The level after a run that found the reference to take so many seconds."""
        if is_outdone(self.seconds, found):
            return Level(seconds=found, recent=[(now, found)])
        if self.recent and 0 <= now - self.recent[-1][0] < APART_S:
            return self
        recent = [*self.recent, (now, found)][-RECENT:]
        usual = statistics.median(seconds for _, seconds in recent)
        unusual = abs(usual / self.seconds - 1) > UNUSUAL
        moved = unusual and len(recent) == RECENT
        return Level(seconds=usual if moved else self.seconds, recent=recent)


_LEVELS = TypeAdapter(dict[str, Level])


def level_key(*facts: object) -> str:
    """A key for what the reference's time depends on."""
    return hashlib.sha256(json.dumps([_VERSION, *map(str, facts)]).encode()).hexdigest()[:16]


def read_levels() -> dict[str, float]:
    """The levels that are known, in seconds by key; none where the file is missing or damaged."""
    return {key: level.seconds for key, level in _read().items()}


def is_outdone(level: float, found: float) -> bool:
    """Whether the reference was so much faster than its level that the level means nothing."""
    return found < OUTDONE * level


def keep_levels(found: dict[str, float]) -> None:
    """Keep what a run found the reference to take, in seconds by key.

    A folder that cannot be written, or locked, is no problem.
    """
    if not found:
        return
    with suppress(OSError, Timeout, NotImplementedError):  # a folder without locks
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=_LOCK_S):
            now, known = time.time(), _read()
            new = {
                key: known[key].after(seconds, now)
                if key in known
                else Level(seconds=seconds, recent=[(now, seconds)])
                for key, seconds in found.items()
            }
            _write(file, {**known, **new})


def forget_levels() -> None:
    """Have the next run set the levels anew."""
    _file().unlink(missing_ok=True)


def _read() -> dict[str, Level]:
    with suppress(OSError, ValueError):
        return _LEVELS.validate_json(_file().read_bytes())
    return {}


def _write(file: Path, levels: dict[str, Level]) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(_LEVELS.dump_json(levels, indent=1))
    part.replace(file)


def _file() -> Path:
    return cache_folder() / "reference-levels.json"


def cache_folder() -> Path:
    """The user's cache folder, or the one of NBBENCH_CACHE."""
    cache = os.environ.get("NBBENCH_CACHE") or platformdirs.user_cache_dir("nbbench", "nbbench")
    return Path(cache).expanduser()
