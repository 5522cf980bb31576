"""URLs without what is secret in them, for whatever is shown or saved."""

from __future__ import annotations

import re

MASK = "****"
"""What stands for a password or a token."""

_URL = re.compile(r"(?P<start>[A-Za-z][\w+.-]*://|[A-Za-z][\w+.-]+:/)(?P<rest>\S*)")
"""One slash is what a path keeps of the two, where a URL was given for a file."""
_QUOTE_BEHIND = re.compile(r"""(?P<quote>['"])[)\]}.,;:]*$""")
"""The end of a text in quotes, and what a sentence has behind it."""
_KNOWN_FRAGMENT = re.compile(
    r"(?:(?:md5|sha\d+)[=:][0-9a-f]+|(?:egg|subdirectory)=[^&]*)"
    r"(?:&(?:(?:md5|sha\d+)[=:][0-9a-f]+|(?:egg|subdirectory)=[^&]*))*"
)
_VARIABLE = r"\$\{[A-Z0-9_]+\}"
_USER_OF_VARIABLES = re.compile(rf"(?:{_VARIABLE}|[\w.-]+:{_VARIABLE}|{_VARIABLE}:{_VARIABLE})?")
_QUERY_OF_VARIABLES = re.compile(rf"(?:[\w.-]+={_VARIABLE}&?)*")


def without_secrets(text: str) -> str:
    """The text with the user's name, password, query and odd fragment of each URL masked.

    What is made of variables, as in ``https://${TOKEN}@host``, is no secret and stays.
    """
    return _URL.sub(_without_its_secrets, text)


def has_mask(text: str) -> bool:
    """Whether text has lost a password or a token."""
    return MASK in text


def _without_its_secrets(url: re.Match[str]) -> str:
    """A URL without what is secret in it; quotes that it stands in are no part of it."""
    rest, behind = url["rest"], ""
    end = _QUOTE_BEHIND.search(rest)
    if end and url.string[: url.start()].endswith(end["quote"]):
        rest, behind = rest[: end.start()], rest[end.start() :]
    return url["start"] + _masked(url["start"], rest) + behind


def _masked(start: str, rest: str) -> str:
    """All of a URL behind its scheme and slashes, ``start``, without secrets."""
    rest, hash_mark, fragment = rest.partition("#")
    rest, question, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if not at and re.search(r"^[^\[]*:(?!\d*$)", authority):
        return MASK  # a password with a character that ends the URL's first part
    keeps_user = _USER_OF_VARIABLES.fullmatch(user) or ("ssh" in start and ":" not in user)
    user = user if keeps_user else MASK
    query = query if _QUERY_OF_VARIABLES.fullmatch(query) else MASK
    if re.search("[=@]", fragment) and not _KNOWN_FRAGMENT.fullmatch(fragment):
        fragment = MASK
    return f"{user}{at}{host}{slash}{without_secrets(path)}{question}{query}{hash_mark}{fragment}"
