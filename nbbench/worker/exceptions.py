"""What an exception says: its text, and the line of it that a reason has room for."""

import re

_RAISED = re.compile(r"^\s*\w+(?:Error|Exception): (.+)$", re.MULTILINE)


def text_of(error: BaseException) -> str:
    """The text of an exception; empty where its own code fails."""
    try:
        return str(error)
    except Exception:
        return ""


def opening(error: BaseException) -> str:
    """The first line of an exception's text, whole."""
    return text_of(error).strip().partition("\n")[0]


def first_line(error: BaseException) -> str:
    """What an exception says, cut to one line of at most 300 characters."""
    first, _, rest = text_of(error).strip().partition("\n")
    raised = _RAISED.findall(rest)
    if first == "in user code:" and raised:  # TensorFlow's graphs: what went wrong stands last
        first, rest = raised[-1], ""
    if first.endswith(":") or first.startswith("Exception encountered when calling layer"):
        # it only announces what comes
        first += " " + rest.strip().partition("\n")[0]
    text = first or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
