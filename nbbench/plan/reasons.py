"""Reasons without what is private: home folders, and passwords and tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache

_PERHAPS_KEY = re.compile(r"\bsk-[\w-]{20,}")
"""A key of some service, or a model's name that begins so."""

_KIND_CHANGES = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[0-9]|(?<=[0-9])[A-Za-z]|(?<=[A-Z])[a-z]")
_MIN_KIND_CHANGES = 8
"""How often letters, capitals and digits change in what was drawn, and not in a name."""

_SECRETS = (
    re.compile(r"(?<=://)[^\s/?#]*@"),  # https://user:password@host
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]+|(?<=basic )[\w+/=-]{8,}"),
    # Tokens in their issuers' own forms: names of models begin with hf- and sk-, too.
    re.compile(r"\b(?:hf_(?:(?:oauth|jwt)_[\w.-]{20,}|[A-Za-z0-9]{30,})|gh[pousr]_[\w.-]{30,}"
               r"|github_pat_\w{30,}|glpat-[\w-]{20,}(?:\.\w+)*|pypi-AgE[\w-]{40,}"
               r"|sk-[A-Za-z0-9]{32,}|sk-(?:proj|svcacct|admin|ant|or|lf)-[\w-]{20,}"
               r"|sk_(?:live|test)_[A-Za-z0-9]{20,})"),
    _PERHAPS_KEY,
    re.compile(r"(?i)(?<=[?&;])(?:[\w-]*(?:token|key|sig|signature|auth|secret))=[^\s&;#'\"]+"),
    re.compile(r"(?i)\b[\w-]*(?:password|passwd|passphrase|secret|api_?key|access_token)"
               r"[\"']?\s*[=:]\s*(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)"),
)  # fmt: skip

_USERS_HOME = re.compile(
    r"(?<![\w.-])(?:/home|/Users|/export/home|/var/home)/+[^/\s'\":,;]+"
    r"|\b[A-Za-z]:(?:\\+|/)(?:Users|Documents and Settings)(?:\\+|/)[^\\/\n'\":,;]+(?=[\\/'\"]|$)",
    re.IGNORECASE,
)


_ROOT = r"(?:~?/|[A-Za-z]:[\\/]+|\\\\|[Ff][Ii][Ll][Ee]:/{1,3})"
_PARTS = r"(?:[^\s'\"`:,;()\[\]<>\\/]+[\\/]+)+"
_FOLDERS = (
    re.compile(rf"()(?<=['\"`]){_ROOT}[^'\"`\n]*[\\/](?=[^'\"`\n\\/]*['\"`])"),  # may have spaces
    re.compile(rf"()(?<![\w.~/\\:-]){_ROOT}{_PARTS}"),
    re.compile(rf"()(?<=:)(?:~?/(?!/)|[A-Za-z]:[\\/]+){_PARTS}"),  # in a list, as PATH is one
    re.compile(rf"((?:^|(?<=[\s='\"`(,]))-[A-Za-z]{{1,12}}){_ROOT}{_PARTS}"),  # behind a flag: -I
)
"""The folders before a file's name in an absolute path, behind what stays."""

_CODE = re.compile(r"(\((?:[^()\n]|\([^()\n]*\))+, line \d+): (?:.*\)|.*)", re.DOTALL)
"""Where an error of the user's code was raised, and behind the colon the line itself."""


def without_paths(reason: str) -> str:
    """A reason in which of each absolute path no more than the last part is left."""
    for pattern in _FOLDERS:
        reason = pattern.sub(r"\1…/", reason)
    return reason


def without_code(reason: str) -> str:
    """A reason that says in which line of the user's code it failed, without that line's text."""
    return _CODE.sub(r"\1)", reason)


def without_private(reason: str) -> str:
    """A reason with every home folder as ``~``, and every password or token as ``…``."""
    for pattern in _SECRETS:
        reason = pattern.sub(_hidden, reason)
    own = _own_home(tuple(_homes()))
    if own is not None:
        reason = own.sub("~", reason)
    return _USERS_HOME.sub("~", reason)


def _hidden(found: re.Match[str]) -> str:
    """What is found without its value: the name of a setting, or the sign behind, stays."""
    text = found[0]
    if found.re is _PERHAPS_KEY and len(_KIND_CHANGES.findall(text)) < _MIN_KIND_CHANGES:
        return text
    if text.endswith("@"):
        return "…@"
    named = re.match(r"([\w-]+[\"']?\s*[=:]\s*)", text)
    return f"{named[1]}…" if named else "…"


def _homes() -> Iterator[str]:
    """The names under which the user's home folder is known."""
    home = os.path.expanduser("~")
    yield home
    yield os.path.realpath(home)


@lru_cache(maxsize=4)
def _own_home(homes: tuple[str, ...]) -> re.Pattern[str] | None:
    """What finds the home folder, but not one whose name begins alike."""
    known = {home.rstrip("/\\") for home in homes if len(home.strip("/\\.~")) > 1}
    if not known:
        return None
    longest_first = sorted({*known, *(home.replace("\\", "\\\\") for home in known)}, key=len)[::-1]
    either = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![\w.-])(?:{either})(?![\w-]|\.\w)")
