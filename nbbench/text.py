"""Texts for a person: the one home of units and number formats, and of what a line can hold."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, set_cell_size

MIB = 2**20


def counted(count: int | str, noun: str) -> str:
    """A number with its noun: 1 case, 2 cases, 0.5 cores."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """How long something takes: 8 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def rounded(value: float) -> str:
    """Three significant digits, or the whole number where it has more."""
    if abs(value) >= 99.95:  # which three digits make 100 of
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def time_unit(seconds: float) -> tuple[str, float]:
    """The unit that a time reads best in, and its length in seconds."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return unit, scale
    return "µs", 1e-6


def mebibytes(size: int | None) -> str:
    """A size in bytes as MiB with one decimal; empty where it is unknown."""
    return "" if size is None else f"{size / MIB:,.1f}"


_CONTROLS = re.compile(r"[^ -~]")


def one_line(text: str) -> str:
    """Text as one line of what can be printed: a terminal is given no command by it.

    Line ends become spaces; control characters, those that turn the direction of writing, and
    halves of characters are written by their numbers, as Python writes them.
    """
    return _CONTROLS.sub(_printable, text)


def _printable(found: re.Match[str]) -> str:
    sign = found[0]
    if sign in "\n\r\t\x0b\x0c\x85\u2028\u2029":
        return " "
    joins = sign in "\u200c\u200d"  # parts of some scripts' letters, and of emoji
    if unicodedata.category(sign) in ("Cc", "Cf", "Cs") and not joins:
        return sign.encode("unicode_escape").decode("ascii")
    return sign


def cell_text(value: object) -> str:
    """A value as a cell of a table, in one line; empty for None."""
    return "" if value is None else one_line(str(value))


def printed_width(text: str) -> int:
    """How many columns of a terminal a text takes: two for a Chinese character."""
    return len(text) if text.isascii() else cell_len(text)


def shortened(text: str, width: int) -> str:
    """Text that takes at most ``width`` columns: what is too long loses its middle."""
    if printed_width(text) <= width:
        return text
    behind = (width - 1) // 2
    tail = set_cell_size(text[::-1], behind)[::-1].strip()
    return f"{set_cell_size(text, width - 1 - behind).strip()}…{tail}"


def error_text(error: BaseException, longest: int = 300) -> str:
    """An error as its type and its text; the type alone where its own code fails."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = ""
    return shortened(one_line(f"{kind}: {text[: 4 * longest]}" if text else kind), longest)


def quoted(value: object, longest: int = 80) -> str:
    """A value as Python writes it, for a message; what is long is shortened in the middle.

    What cannot be written, since its own code fails, is named by its type.
    """
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    if len(text) > 4 * longest:
        text = text[: 2 * longest] + text[-2 * longest :]
    return shortened(one_line(text), longest)
