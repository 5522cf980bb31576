"""A line of flags as words, as a shell makes them."""

from __future__ import annotations

import shlex
import sys


def split_words(text: str, separators: str = "") -> list[str]:
    """Words that blanks and these separators part, quotes taken off; raises ``ValueError``.

    In paths of Windows a backslash is what it is; elsewhere it takes the meaning from what follows.
    """
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace += separators
    lexer.whitespace_split = True
    lexer.commenters = ""
    if sys.platform == "win32":
        lexer.escape = ""
    return list(lexer)


def quoted_word(word: str, separators: str = "") -> str:
    """A word as `split_words` reads it back."""
    found = shlex.quote(word)
    return f"'{word}'" if found == word and set(separators) & set(word) else found
