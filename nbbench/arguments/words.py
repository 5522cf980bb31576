"""A line of flags as words, as a shell makes them."""

from __future__ import annotations

import re
import shlex
import sys

_PARTS = re.compile(r'"(?:\\"|[^"])*"|\'[^\']*\'|\\(?!")')
"""What is in quotes, and single backslashes outside of them."""


def _with_plain_backslashes(part: re.Match[str]) -> str:
    """What `shlex` reads as the part with its backslashes; those in single quotes it leaves."""
    if part[0].startswith("'"):
        return part[0]
    return re.sub(r'\\(?!")', r"\\\\", part[0])


def split_words(text: str, separators: str = "") -> list[str]:
    """Words that blanks and these separators part, quotes taken off; raises ``ValueError``.

    In paths of Windows a backslash is what it is, but before a double quote; elsewhere it takes the
    meaning from what follows.
    """
    if sys.platform == "win32":
        text = _PARTS.sub(_with_plain_backslashes, text)
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace += separators
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def quoted_word(word: str, separators: str = "") -> str:
    """A word as `split_words` reads it back."""
    found = shlex.quote(word)
    return f"'{word}'" if found == word and set(separators) & set(word) else found
