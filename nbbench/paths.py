"""Paths as users give them, and the text of the files that they lead to."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import OutputError
from .text import quoted

_HEAD = 8192
"""Bytes at a file's beginning, in which it says what it is."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def as_path(path: Any) -> Path:
    """The path that a value names, ``~`` being the home folder; raises `OutputError` for others."""
    name: Any = None
    with suppress(Exception):  # of what is no path, or of a path's own code
        given = os.fspath(path)
        os.fsencode(given)  # fails for half a character, which no file's name can have
        name = given
    if not isinstance(name, str) or not name or "\0" in name:
        raise OutputError(f"{quoted(path)} is no path; give that of a file or a folder")
    return Path(os.path.expanduser(name))  # which leaves ~nobody as it is, unlike pathlib's


def absolute_path(path: Any) -> Path:
    """The same as `as_path`, but a path that stays what it is when the current folder changes."""
    given = as_path(path)
    with suppress(OSError):  # of a current folder that was deleted
        return given.absolute()
    return given


def special_kind(file: Path) -> str:
    """What a path leads to if that is neither a file nor a folder, like "a pipe"; else empty.

    Nothing is opened: a pipe would wait for its writer, and a device may never end.
    """
    with suppress(OSError, ValueError):
        return _KINDS.get(stat.S_IFMT(file.stat().st_mode), "")
    return ""


def read_text(file: Path) -> str:
    """A file's text, by the mark that it may begin with; line ends are unified.

    Raises ``OSError``, and ``ValueError`` for what is no regular file, or no text.
    """
    kind = special_kind(file)
    if kind:
        raise ValueError(f"it is {kind}, and no regular file")
    content = file.read_bytes()
    try:
        text = content.decode(json.detect_encoding(content))  # PowerShell's > writes UTF-16
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8 or UTF-16") from None
    return text.replace("\r\n", "\n")


def read_head(file: Path) -> str:
    """The text at a regular file's beginning; what is no text in it is omitted."""
    with file.open("rb") as opened:
        content = opened.read(_HEAD)
    return content.decode(json.detect_encoding(content), errors="ignore")
