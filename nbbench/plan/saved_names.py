"""What models are called in files: by the name of their folder or file, and never by its path."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .reasons import without_private

_OF_CODE = re.compile(r"(?P<path>.*\.py)(?P<function>:\w+)", re.IGNORECASE | re.DOTALL)

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


def saved_names(models: Sequence[tuple[str, bool]]) -> dict[str, str]:
    """What files call those models whose names are paths, or have a password, by the names given.

    ``models`` are names, and whether each is known to be a path. Folders of one name get as many
    folders before it as it takes to differ, and a number where none do; a home folder is ``~``.
    """
    paths = {name: _label(name) for name, is_path in models if is_path or looks_like_path(name)}
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
    """Whether a name can be nothing but a path."""
    return os.path.isabs(name) or name.startswith((".", "~", "\\", "/"))


def own_name(path: str) -> str:
    """The last part of a path."""
    return _label(path).text


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in which a folder that it was read from has no path, but its own name."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found[key] = without_folders(value)
        elif key.endswith(_PATH_KEY) and isinstance(value, str) and looks_like_path(value):
            found[key] = own_name(value)
        else:
            found[key] = value
    return found


def _label(name: str) -> _Label:
    found = _OF_CODE.fullmatch(name)
    path, function = (name, "") if found is None else (found["path"], found["function"])
    known = without_private(os.path.abspath(os.path.expanduser(path)))
    parts = tuple(part for part in re.split(r"[/\\]+", known) if part)
    return _Label(parts or ("root",), function)


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
