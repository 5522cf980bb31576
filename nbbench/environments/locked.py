"""One package of uv's lock file: where it was found, and with which hashes.

The form is that of https://packaging.python.org/en/latest/specifications/pylock-toml/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from .sources import shown

Package = Mapping[str, Any]

_PYPI = "files.pythonhosted.org"


def has_own_source(package: Package) -> bool:
    """Whether a package comes from a URL, a file, a folder or a repository of its own."""
    return any(kind in package for kind in ("archive", "directory", "vcs"))


def source_of(package: Package, wanted: bool) -> str:
    """Where a package comes from, without secrets and local paths.

    Empty for what comes from PyPI, and from any index for what the user has not asked for.
    """
    if "vcs" in package:
        vcs = package["vcs"]
        within = f", folder {vcs['subdirectory']}" if "subdirectory" in vcs else ""
        return f"{shown(_address(vcs))} at {vcs['commit-id']}{within}"
    if "archive" in package:
        archive = package["archive"]
        digests = [f" ({kind} {value})" for kind, value in archive.get("hashes", {}).items()]
        return shown(_address(archive)) + "".join(digests[:1])
    if "directory" in package:
        folder = package["directory"]
        what = "the editable folder" if folder.get("editable") else "the folder"
        return f"{what} {shown(folder['path'])}"
    return _index(package) if wanted else ""


def download_size(package: Package) -> int:
    """About how many bytes a package has: the largest of its wheels; 0 where that is unknown."""
    files = [*package.get("wheels", ()), package.get("archive", {})]
    return max(int(file.get("size", 0)) for file in files)


def line_with_hashes(line: str, packages: Mapping[str, Package]) -> str:
    """A line of requirements with the hashes that the lock file has of it."""
    package = packages.get(name_in(line), {})
    files = [package.get("archive"), package.get("sdist"), *package.get("wheels", ())]
    hashes = dict.fromkeys(
        f" --hash={kind}:{value}"
        for file in files
        if file is not None
        for kind, value in file.get("hashes", {}).items()
    )
    return line + "".join(hashes)


def name_in(line: str) -> str:
    """The canonical name that a line of requirements begins with; empty for an editable one."""
    name = re.match(r"[A-Za-z0-9][\w.-]*", line)
    return canonicalize_name(name.group()) if name else ""


def _address(source: Package) -> str:
    return str(source.get("url") or source["path"])


def _index(package: Package) -> str:
    """The host of a package's files, where that is not PyPI."""
    files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
    for file in files[:1]:
        parts = urlsplit(_address(file))
        if parts.scheme in ("http", "https"):
            return "" if parts.hostname == _PYPI else f"the index {parts.netloc.rpartition('@')[2]}"
        return "a local folder"
    return ""
