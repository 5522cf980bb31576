"""Where a requirement's package comes from, where that is not an index.

A requirement may name its source: the URL of a wheel or an archive, a repository (``git+https``),
a file or a folder, editable or not. What is written without a name, or as a path, is brought into
the one form that PEP 508 has for it: ``name @ URL``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from ..errors import ArgumentError
from ..masked_urls import has_mask, without_secrets
from ..paths import read_text
from ..text import quoted, shortened

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ARCHIVES = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_SCHEMES = ("http", "https", "file", "git+https", "git+http", "git+ssh", "git+file")
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?\s*@\s*(.+)", re.DOTALL)
_LOCAL = re.compile(
    r"(?:git\+)?file:(?://[^\s/]*)?(?P<url>/\S*)|(?P<other>[A-Za-z][\w+.-]*://\S*)|"
    r"(?<![\w.~/-])(?P<path>(?:~[\w-]*|\.{1,2})?/\S+)"
)


class Editable(Requirement):
    """A requirement for a folder whose package is used where it lies."""

    def __str__(self) -> str:
        return f"-e {super().__str__()}"


def is_source(text: str) -> bool:
    """Whether text is a requirement that names a source, rather than a path to a Python."""
    text = text.strip()
    if _is_url(text) or re.match(r"(-e|--editable)\b", text):
        return True
    path = _existing(_without_extras(text)) if _has_separator(text) else None
    if path is not None and path.is_dir():
        return _is_project(path) and not _is_environment(path)
    return text.lower().endswith(_ARCHIVES) or (path is None and bool(_NAMED.fullmatch(text)))


def parse_requirement(word: str, editable: bool = False) -> Requirement:
    """A requirement from one word; raises `ArgumentError`.

    ``word`` may lack the name where its source tells it, and be a path.
    """
    masked = without_secrets(word)
    bare, semicolon, marker = word.partition(" ;")
    named = _NAMED.fullmatch(bare) if not _is_url(bare) else None
    source = named[3].strip() if named else bare
    extras = (named[2] if named else None) or ""
    is_path = not _is_url(source) and bool(named or editable or _is_path(source))
    if is_path and not named:
        source, extras = _without_extras(source), source[len(_without_extras(source)) :]
    try:
        if not (_is_url(source) or is_path):
            return Requirement(word)
        url = _file_url(source, masked) if is_path else source
        _check(url, masked, editable)
        name = named[1] if named else _name_in(url, masked)
        kind = Editable if editable else Requirement
        return kind(f"{name}{extras} @ {url}{semicolon and ' ;'}{marker}")
    except ArgumentError:
        raise
    except (InvalidRequirement, ValueError, OSError) as error:  # of a URL or a path, too
        first = shortened(without_secrets(next(iter(str(error).splitlines()), "")), 200)
        raise ArgumentError(
            f"environments: {quoted(masked, 200)} is no requirement ({first}); write it like "
            f"transformers==4.57.6 or name @ https://…"
        ) from None


def kept_requirement(text: str) -> Requirement:
    """A requirement from the text that `str` made of one."""
    bare = text.removeprefix("-e ")
    return parse_requirement(bare, editable=bare != text)


def split_requirements(text: str) -> Iterator[tuple[str, bool]]:
    """The requirements in a text, and whether each is editable; there are spaces between them."""
    text = text.strip()
    bare = re.sub(r"^(-e|--editable)[ =]\s*", "", text)
    if _has_separator(bare) and not _is_url(bare) and _existing(bare) is not None:
        yield bare, bare != text  # a path with spaces
        return
    joined = re.sub(r"(?<=[\w.\]-])\s*@\s+|(?<=[\w.\]-])\s+@\s*", "@", text)
    joined = re.sub(r"\s+;\s*", "\0;", joined)
    joined = re.sub(r"(?:(?<=\s)|^)(?:-e|--editable)(?:\s+|=)", "\0-e", joined)
    for word in joined.split():
        editable = word.startswith("\0-e")
        word = word[3:] if editable else word
        if word in ("-e", "--editable"):
            raise ArgumentError("environments: -e has no folder behind it; write it like -e ./name")
        if word.startswith("-"):
            raise ArgumentError(
                f"environments: {quoted(without_secrets(word), 200)} is an option, and "
                f"requirements are expected; indexes and folders of wheels are set for uv: "
                f"UV_INDEX, UV_DEFAULT_INDEX, UV_FIND_LINKS"
            )
        yield word.replace("\0", " "), editable


def has_secret_query(requirement: Requirement) -> bool:
    """Whether there may be a token behind the ``?`` of a requirement's URL."""
    return "?" in without_secrets(requirement.url or "")


def shown(text: str) -> str:
    """The text for a report: no secret, and of a local path the last part alone."""
    path = _existing(text) if not _is_url(text) and _has_separator(text) else None
    return (
        path.resolve().name if path is not None else _LOCAL.sub(_last_part, without_secrets(text))
    )


def local_path(requirement: Requirement) -> Path | None:
    """The file or folder that a requirement is for; None where its source is elsewhere."""
    url = requirement.url or ""
    return _path_of(url) if url.startswith("file:") else None


def identity(requirement: Requirement) -> list[str]:
    """What tells this source from others: no password, but what a local file or folder holds."""
    parts = [without_secrets(str(requirement))]
    if requirement.url and "?" in requirement.url and not has_mask(requirement.url):
        parts.append(re.sub(r"//[^/?]*@", "//", requirement.url))
    path = local_path(requirement)
    if path is not None:
        parts += _stamps(path, isinstance(requirement, Editable))
    return parts


def _last_part(found: re.Match[str]) -> str:
    """Of a local path the last part; all of another URL."""
    if found["other"]:
        return found["other"]
    path, mark, fragment = (found["url"] or found["path"]).partition("#")
    return Path(unquote(path)).name + mark + fragment


def _is_url(text: str) -> bool:
    return re.match(r"[A-Za-z][\w+.-]*://|file:|git\+", text.strip()) is not None


def _has_separator(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(("~", "."))


def _existing(text: str) -> Path | None:
    """The path that a text names, if there is one; texts are anything that a user may write."""
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _is_path(text: str) -> bool:
    """Whether text is the path of an archive, or of anything that exists."""
    text = _without_extras(text)
    return text.lower().endswith(_ARCHIVES) or (
        _has_separator(text) and _existing(text) is not None
    )


def _without_extras(path: str) -> str:
    """A path without extras in brackets, as in ``./folder[dev]``."""
    return path if _existing(path) is not None else re.sub(r"\[[\w, .-]*\]$", "", path)


def _is_project(path: Path) -> bool:
    return any((path / name).is_file() for name in ("pyproject.toml", "setup.py"))


def _is_environment(path: Path) -> bool:
    return (path / "pyvenv.cfg").is_file() or (path / "bin" / "python").exists()


def _path_of(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _file_url(source: str, masked: str) -> str:
    path = _existing(source)
    if path is None:
        raise _missing(masked)
    return path.resolve().as_uri()


def _missing(masked: str) -> ArgumentError:
    return ArgumentError(
        f"environments: there is no file or folder for {quoted(masked, 200)}; check the path, "
        f"which is taken from the current folder where it is relative"
    )


def _check(url: str, masked: str, editable: bool) -> None:
    """Raise `ArgumentError` for a source that nothing can be installed from."""
    scheme = urlsplit(url).scheme  # raises ValueError for what is no URL
    if scheme not in _SCHEMES:
        raise ArgumentError(
            f"environments: {quoted(masked, 200)} is of a kind that cannot be installed from; give "
            f"a URL that begins with one of {', '.join(_SCHEMES)} (a repository over SSH "
            f"as git+ssh://git@host/name)"
        )
    if editable and scheme != "file":
        raise ArgumentError(
            f"environments: {quoted(masked, 200)} is editable, which a local folder alone can be; "
            f"omit -e"
        )
    if scheme != "file":
        return
    path = _path_of(url)
    if not path.exists():
        raise _missing(masked)
    if path.is_dir() and not _is_project(path):
        raise ArgumentError(
            f"environments: the folder of {quoted(masked, 200)} has no pyproject.toml or setup.py; "
            f"give the folder of a package"
        )
    if editable and not path.is_dir():
        raise ArgumentError(
            f"environments: {quoted(masked, 200)} is editable, which a local folder alone can be; "
            f"omit -e"
        )


def _name_in(url: str, masked: str) -> str:
    """The name of the package that a URL without a name is of."""
    parts = urlsplit(url)
    egg = re.search(r"(?:^|&)egg=([\w.-]+)", parts.fragment)
    if egg:
        return egg.group(1)
    file = unquote(parts.path.rstrip("/").rpartition("/")[2])
    try:
        if file.endswith(".whl"):
            return str(parse_wheel_filename(file)[0])
        return str(parse_sdist_filename(file)[0])
    except (InvalidWheelFilename, InvalidSdistFilename):
        pass
    if parts.scheme == "file":
        name = _name_of_project(_path_of(url))
        if name is not None:
            return name
    raise ArgumentError(
        f"environments: {quoted(masked, 200)} does not name the package; write name @ {masked[:80]}"
    )


def _name_of_project(folder: Path) -> str | None:
    try:
        content = tomllib.loads(read_text(folder / "pyproject.toml"))
        return str(content["project"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamps(path: Path, editable: bool) -> list[str]:
    """Size and time of a file, or of all the files that a folder's package is made from.

    Of an editable folder's files those alone count that decide what is installed.
    """
    if not path.is_dir():
        files = [path]
    elif editable:
        files = [path / name for name in ("pyproject.toml", "setup.py", "setup.cfg")]
    else:
        files = [file for file in sorted(path.rglob("*")) if _counts(file.relative_to(path))]
    stamps = []
    for file in files:
        with suppress(OSError):  # one that is not there, or is removed meanwhile
            stat = file.stat()
            if not file.is_dir():
                stamps.append(f"{file.relative_to(path)} {stat.st_size} {stat.st_mtime_ns}")
    return stamps


def _counts(file: Path) -> bool:
    """Whether a folder's package is made from this file, rather than the file from it."""
    made = any(
        part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info")
        for part in file.parts
    )
    return not made and file.parts[0] not in ("build", "dist")
