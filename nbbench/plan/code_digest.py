"""What identifies the code that a case runs, and the files of its model's folder that it reads.

A case counts as measured before only while that is the same. Files are read, never run.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..worker.case import MODULES_KEY

MAX_FILES, MAX_BYTES, MAX_ENTRIES = 1000, 2**24, 50_000
"""Folders with more code, or of more files, are not compared: their cases are measured again."""

_MAX_TOKENIZER_BYTES = 2**28

_NOT_OWN = frozenset(["__pycache__", "node_modules", "site-packages", "dist-packages"])
_OF_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
_OF_TOKENIZERS = (
    "tokenizer", "vocab", "merges", "spiece", "sentencepiece", "spm", "special_tokens",
    "added_tokens",
)  # fmt: skip
"""How the names of a tokenizer's files begin."""


class _TooMuch(Exception):
    """There is more than can be compared in a moment."""


UNKNOWN = "unknown "
"""How what stands for code begins that cannot be compared."""


def unknown_code() -> str:
    """What stands for code that cannot be compared: it equals none, not even itself later."""
    return f"{UNKNOWN}{uuid.uuid4().hex[:12]}"


class CodeDigests:
    """The digests that one run asks for; a folder is read once, however many models are of it."""

    def __init__(self) -> None:
        self._folders: dict[Path, str] = {}

    def of_file(self, file: Path) -> str:
        """The digest of a file of code, and of all code beneath its folder."""
        return joined([file_digest(file), self.of_folder(file.parent)])

    def of_folder(self, folder: Path) -> str:
        """The digest of all code beneath a folder."""
        if folder not in self._folders:
            try:
                self._folders[folder] = _of_files(_code_beneath(folder), folder)
            except (OSError, _TooMuch):
                self._folders[folder] = unknown_code()
        return self._folders[folder]


def file_digest(file: Path) -> str:
    """The digest of a single file."""
    try:
        return _of_files([file], file.parent)
    except (OSError, _TooMuch):
        return unknown_code()


def digest_of_parts(folder: Path, config: Mapping[str, Any]) -> str:
    """The digest of what a model's folder has to be put behind a transformer; empty if nothing."""
    files: list[Path] = []
    for listed in config.get(MODULES_KEY, ()):
        inner = folder.joinpath(*str(listed["path"]).replace("\\", "/").split("/"))
        files += [file for file in _entries(inner) if file.suffix == ".json"]
    return _of_read_files(files, folder)


def digest_of_tokenizer(folder: Path) -> str:
    """The digest of the tokenizer in a model's folder; empty where it has none."""
    return _of_read_files([f for f in _entries(folder) if _is_of_tokenizer(f.name)], folder)


def _of_read_files(files: Sequence[Path], folder: Path) -> str:
    """The digest of files that a worker reads besides the configuration; empty for none."""
    if not files:
        return ""
    try:
        return _of_files(files, folder, _MAX_TOKENIZER_BYTES)
    except (OSError, _TooMuch):
        return unknown_code()


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(file for file in folder.iterdir() if file.is_file())
    return []


def _is_of_tokenizer(name: str) -> bool:
    return name.startswith(_OF_TOKENIZERS) or name.endswith((".model", ".tiktoken"))


def _code_beneath(folder: Path) -> Iterator[Path]:
    """The files of Python beneath a folder, but for hidden ones and those of environments."""
    seen, entries = set[tuple[int, int]](), 0
    for path, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        known = os.stat(path)
        entries += len(folders) + len(files)
        if entries > MAX_ENTRIES:
            raise _TooMuch
        if (known.st_dev, known.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        folders[:] = sorted(name for name in folders if _may_be_own(os.path.join(path, name)))
        for name in sorted(files):
            file = Path(path, name)
            if name.endswith(".py") and not name.startswith(".") and file.is_file():
                yield file


def _raise(error: OSError) -> None:
    """A folder that cannot be read may have code in it, unless it is gone by now."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _may_be_own(folder: str) -> bool:
    name = os.path.basename(folder)
    if name.startswith(".") or name in _NOT_OWN:
        return False
    return not any(os.path.exists(os.path.join(folder, mark)) for mark in _OF_ENVIRONMENTS)


def _of_files(files: Iterator[Path] | Sequence[Path], root: Path, most: int = MAX_BYTES) -> str:
    """The digest of files, each by its name beneath a folder and what is in it."""
    digest, size = hashlib.sha256(), 0
    for number, file in enumerate(files, 1):
        size += file.stat().st_size
        if number > MAX_FILES or size > most:
            raise _TooMuch
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def joined(digests: Sequence[str]) -> str:
    """One digest of several, empty ones aside; it is unknown where one of them is."""
    digests = [each for each in digests if each]
    unknown = [each for each in digests if each.startswith(UNKNOWN)]
    if unknown:
        return unknown[0]
    if len(digests) < 2:
        return "".join(digests)
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]
