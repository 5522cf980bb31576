"""Ceilings that were measured today, so that one run of a day measures them for all.

They are kept in the user's cache folder, one for each processor or GPU, framework, number of
threads and dtype; those of another day are dropped.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from ..worker.ceilings import Ceilings
from .reference_level import cache_folder

_LOCK_S = 2.0


@dataclass(frozen=True)
class _Kept:
    day: date
    ceilings: Ceilings


_KEPT = TypeAdapter(dict[str, _Kept])


def read_ceilings() -> dict[str, Ceilings]:
    """Today's ceilings by key; none where the file is missing or damaged."""
    return {key: kept.ceilings for key, kept in _of_today().items()}


def keep_ceilings(key: str, found: Ceilings) -> None:
    """Keep what was measured today; a folder that cannot be written, or locked, is no problem."""
    with suppress(OSError, Timeout, NotImplementedError):  # a folder without locks
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=_LOCK_S):
            kept = {**_of_today(), key: _Kept(_today(), found)}
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(_KEPT.dump_json(kept, indent=1))
            part.replace(file)


def forget_ceilings() -> None:
    """Have the next run that wants ceilings measure them."""
    _file().unlink(missing_ok=True)


def _of_today() -> dict[str, _Kept]:
    with suppress(OSError, ValueError):
        kept = _KEPT.validate_json(_file().read_bytes())
        return {key: each for key, each in kept.items() if each.day == _today()}
    return {}


def _today() -> date:
    return date.today()


def _file() -> Path:
    return cache_folder() / "ceilings.json"
