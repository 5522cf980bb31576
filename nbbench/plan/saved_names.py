"""What models are called in files: by the name of their folder or file, and never by its path."""

from __future__ import annotations

import ntpath
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .reasons import without_private

_OF_CODE = re.compile(r"(?P<path>.*\.py)(?P<function>:\w+)", re.IGNORECASE | re.DOTALL)

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_FILE_URL = re.compile(r"file:(?://[^/\\]*)?(?=[/\\])", re.IGNORECASE)

_CONFIG = "config.json"
"""A file that has no name of its own, but that of its folder."""

_PATH_KEY = "name_or_path"
"""How the names of a configuration's values end that may be a path."""


@dataclass
class _Label:
    """A path as it is shown: its last ``depth`` parts, and the function behind a file of code."""

    parts: tuple[str, ...]
    function: str
    depth: int = 1

    @property
    def text(self) -> str:
        """The label."""
        return "/".join(self.parts[-self.depth :]) + self.function

    @property
    def whole(self) -> tuple[tuple[str, ...], str]:
        """What it stands for."""
        return self.parts, self.function


def saved_names(models: Sequence[tuple[str, bool]], *, at_hand: bool = True) -> dict[str, str]:
    """What files call those models whose names are paths, or have a password, by the names given.

    ``models`` are names, and whether each is known to be a path. Folders of one name get as many
    folders before it as it takes to differ, and a number where none do; a home folder is ``~``.
    Paths that are not ``at_hand``, as those of a file of another day, are not looked up.
    """
    paths = {
        name: _label(name, at_hand=at_hand)
        for name, is_path in models
        if is_path or looks_like_path(name)
    }
    others = {without_private(name): name for name, _ in models if name not in paths}
    while True:
        wholes = {label.whole: label for label in paths.values()}
        counts = Counter(label.text for label in wholes.values())
        longer = [
            label
            for label in paths.values()
            if label.depth < len(label.parts) and (counts[label.text] > 1 or label.text in others)
        ]
        if not longer:
            secret = {name: masked for masked, name in others.items() if masked != name}
            return {**_numbered({n: label.text for n, label in paths.items()}, others), **secret}
        for label in longer:
            label.depth += 1


def looks_like_path(name: str) -> bool:
    """Whether a name can be nothing but a path, of any system, or the address of a file."""
    starts = name.startswith((".", "~", "\\", "/"))
    return starts or bool(_DRIVE.match(name) or _FILE_URL.match(name)) or os.path.isabs(name)


def is_path_of(name: str, source: str) -> bool:
    """Whether a model is named by a path, by where its configuration is from."""
    of_file = source == "own code" and _OF_CODE.fullmatch(name) is not None
    return source == "folder" or of_file or looks_like_path(name)


def has_folders(name: str) -> bool:
    """Whether a path has more than its last part."""
    return "/" in name or "\\" in name


def own_name(path: str) -> str:
    """The last part of a path."""
    return _label(path).text


def last_part(name: str) -> str:
    """The last part of a name, which need be no path, and that of a folder for its config.json."""
    return _Label(_parts(name, at_hand=False) or (name,), _function(name)[1]).text


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in which a folder that it was read from has no path, but its own name."""
    return {key: _without_folders(key, value) for key, value in config.items()}


def _without_folders(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_folders(value)
    if isinstance(value, list | tuple):
        return type(value)([_without_folders(key, item) for item in value])
    is_path = key.endswith(_PATH_KEY) and isinstance(value, str) and _is_folder(value)
    return own_name(value) if is_path else value


def _is_folder(name: str) -> bool:
    """Whether it is no name on the Hub: these have one slash at most, and no other separator."""
    return looks_like_path(name) or name.count("/") > 1 or "\\" in name


def _label(name: str, *, at_hand: bool = True) -> _Label:
    return _Label(_parts(name, at_hand=at_hand) or ("root",), _function(name)[1])


def _function(name: str) -> tuple[str, str]:
    """A name's path, and the function behind a file of code."""
    found = _OF_CODE.fullmatch(name)
    return (name, "") if found is None else (found["path"], found["function"])


def _parts(name: str, *, at_hand: bool) -> tuple[str, ...]:
    """The parts of a path; one that is not of this machine's files stands for itself."""
    path = _FILE_URL.sub("", _function(name)[0], count=1)
    if _DRIVE.match(path) or path.startswith("\\\\"):
        path = ntpath.normpath(path)
    elif at_hand:
        path = os.path.abspath(os.path.expanduser(path))
    parts = tuple(part for part in re.split(r"[/\\]+", without_private(path)) if part)
    parts = parts if at_hand else tuple(part for part in parts if part not in (".", ".."))
    return parts[:-1] if len(parts) > 1 and parts[-1].lower() == _CONFIG else parts


def _numbered(names: Mapping[str, str], others: Collection[str]) -> dict[str, str]:
    """The names, with a number behind each that was given to another one before."""
    taken, found = set(others), dict[str, str]()
    for given, name in names.items():
        number, text = 1, name
        while text in taken:
            number += 1
            text = f"{name} ({number})"
        taken.add(text)
        found[given] = text
    return found
