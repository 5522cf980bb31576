"""The environments that were made: where they are kept, and whether they are still whole.

An environment is a folder with a virtual environment and, beside it, a record that is written
last: a folder without a record was never finished, and is never used.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from filelock import FileLock

from ..errors import NbbenchError
from ..text import quoted
from .requirements import borrowable, installed
from .sources import shown


@dataclass(frozen=True)
class Record:
    """One finished environment.

    ``installed`` are the versions of the packages in its folder and ``borrowed`` those that it
    takes from the interpreter that it was made for, by canonical name; one that borrows is a
    layer. ``own`` are the requirements that the user has named. ``size`` is in bytes. ``sources``
    says where what was asked for comes from, where that is not PyPI.
    """

    key: str
    name: str
    framework: str
    requirements: tuple[str, ...]
    own: tuple[str, ...]
    folder: str
    installed: dict[str, str]
    borrowed: dict[str, str]
    size: int
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The environment's folder."""
        return store_folder() / self.folder

    @property
    def python(self) -> str:
        """The path of the environment's interpreter."""
        return str(python_in(self.path))

    def is_whole(self) -> bool:
        """Whether all that was installed is there, and what is borrowed has not changed."""
        if not os.access(self.python, os.X_OK):
            return False
        around = borrowable() if self.borrowed else {}
        within = installed(site_packages(self.path))
        return self.borrowed.items() <= around.items() and self.installed.items() <= within.items()

    def save(self) -> None:
        """Write the record, at once or not at all."""
        file = store_folder() / f"{self.key}.json"
        draft = file.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")
        os.replace(draft, file)


def store_folder() -> Path:
    """Where environments are kept: ``environments`` in the user's cache folder.

    The environment variable NBBENCH_CACHE names another cache folder.
    """
    cache = os.environ.get("NBBENCH_CACHE") or platformdirs.user_cache_dir("nbbench", "nbbench")
    return Path(cache).expanduser() / "environments"


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def site_packages(folder: Path) -> Path:
    """Where a virtual environment has its packages."""
    if sys.platform == "win32":
        return folder / "Lib" / "site-packages"
    return next(folder.glob("lib/python*/site-packages"), folder / "lib")


def find_record(key: str) -> Record | None:
    """The finished environment with this key; None where there is none, or it is damaged."""
    record = read_record(key)
    return record if record is not None and record.is_whole() else None


def read_record(key: str) -> Record | None:
    """The record with this key, whatever has become of its folder since it was written."""
    try:
        values = json.loads((store_folder() / f"{key}.json").read_text(encoding="utf-8"))
        lists = {name: tuple(values[name]) for name in ("requirements", "own")}
        return Record(**{**values, **lists})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def build_lock(key: str) -> FileLock:
    """What keeps two builds of one environment apart; the system frees it when its holder dies."""
    try:
        store_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NbbenchError(
            f"environments cannot be kept in {str(store_folder())!r} ({error.strerror}); set "
            f"NBBENCH_CACHE to a folder that can be written"
        ) from None
    return FileLock(store_folder() / f"{key}.lock")


def discard(key: str) -> None:
    """Remove an environment's record, and then its folder and what unfinished builds have left."""
    (store_folder() / f"{key}.json").unlink(missing_ok=True)
    for folder in store_folder().glob(f"{key}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def list_environments() -> list[Record]:
    """The environments that were finished, by name; one may have been damaged since."""
    keys = [file.stem for file in store_folder().glob("*.json")]
    return sorted(filter(None, map(read_record, keys)), key=lambda r: (r.name, r.key))


def named(name: str) -> list[Record]:
    """The finished environments of this name; raises ``NbbenchError`` if there are none."""
    every = list_environments()
    found = [record for record in every if record.name in (name, shown(name)) or record.key == name]
    if not found:
        names = ", ".join(sorted({record.name for record in every})) or "none"
        raise NbbenchError(
            f"no environment {quoted(shown(name) or name, 200)} has been made (there are: "
            f"{names}); make it with nbbench env create"
        )
    return found


def environment_path(name: str, framework: str | None = None) -> str:
    """The path of the interpreter of an environment that was made.

    Raises ``NbbenchError`` where there is none, or one for each of several frameworks.
    """
    found = [record for record in named(name) if framework in (None, record.framework)]
    frameworks = sorted({record.framework for record in found})
    if not found:
        raise NbbenchError(f"environment {quoted(name, 200)} was not made for {framework}")
    if len(frameworks) > 1:
        raise NbbenchError(
            f"environment {quoted(name, 200)} was made for {' and for '.join(frameworks)}; name "
            f"one with --framework"
        )
    return next((record for record in found if record.is_whole()), found[0]).python


def remove_environment(name: str) -> list[Record]:
    """Remove the environments of this name; what was removed."""
    removed = named(name)
    try:
        for record in removed:
            with build_lock(record.key):
                discard(record.key)
            with suppress(OSError):
                (store_folder() / f"{record.key}.lock").unlink()
    except OSError as error:
        raise NbbenchError(
            f"environment {quoted(name, 200)} cannot be removed ({error.strerror or error})"
        ) from None
    return removed
