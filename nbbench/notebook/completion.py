"""What the Tab key offers on a ``%tfbench`` line and in a ``%%tfbench`` cell.

`suggestions` reads the text and knows nothing of IPython; `install` connects it with IPython's
completer: by a matcher from 8.6 on, by the hook ``complete_command`` before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..arguments.words import split_words

_LINE = re.compile(r"\s*(?:[\w.,\[\]\s]*=\s*%|%%?|)tfbench(?=\s)")
"""The beginning of a line that calls the magic, by automagic or assigned to a variable, too."""

_CELL = re.compile(r"\s*%%tfbench(?=\s|$)")
_BEGUN_NAME = re.compile(r"[A-Za-z_]*")
_ASSIGNMENT = re.compile(r"(\w+)\s*=(?!=)")


@dataclass(frozen=True)
class Suggestions:
    """What may follow: whole texts for the ``typed`` one that is left of the cursor.

    ``files`` says whether names of files fit as well, ``alone`` whether nothing else does.
    """

    typed: str
    texts: list[str]
    files: bool = False
    alone: bool = True

    def after(self, token: str) -> list[str]:
        """The suggestions as replacements of ``token``, what IPython takes for typed."""
        cut = len(self.typed) - len(token) if self.typed.endswith(token) else 0
        return [text[max(cut, 0) :] for text in self.texts]


def suggestions(text: str, line: int, column: int) -> Suggestions | None:
    """What may follow at a line and column of a cell; None where the magic has no say."""
    lines = text.split("\n")
    if line >= len(lines):
        return None
    before = lines[line][:column]
    first = next((number for number, found in enumerate(lines) if found.strip()), 0)
    if first < line and _CELL.match(lines[first]):
        head = lines[first].partition("tfbench")[2]
        return _in_body(head, "\n".join([*lines[first + 1 : line], before]))
    while line > 0 and lines[line - 1].endswith("\\"):
        line -= 1
        before = lines[line][:-1] + " " + before
    called = _LINE.match(before)
    return _on_line(before[called.end() :]) if called else None


def _on_line(text: str) -> Suggestions:
    """What may follow on the magic's line, of which ``text`` is left of the cursor."""
    from ..report.quantities import LIMITS, NAMES
    from .magic_flags import magic_parser

    parser = magic_parser()
    typed = re.split(r"[\s\"']", text)[-1]
    argv = _split(text[: len(text) - len(typed)])
    options: dict[str, Any] = parser._option_string_actions
    flag, equals, _ = typed.partition("=")
    if equals and flag in options:
        return _begins_with(typed, [f"{flag}={found}" for found in _values(options[flag].dest)])
    if typed.startswith("-"):
        return _begins_with(typed, sorted(_not_given(options, argv)))
    action = _open_option(options, argv)
    if action is None:
        given = {word.lower() for word in argv}
        models = [name for name in _models() if name.lower() not in given]
        return _begins_with(typed, models, files=True)
    if action.dest == "baseline":
        given_texts = [word for word in argv if not word.startswith("-")]
        return _begins_with(typed, _distinct([*_values("baseline"), *given_texts]))
    if action.dest == "best":
        return _begins_with(typed, NAMES)
    if action.dest == "within":
        limits = [f"{name}=" for name in LIMITS if not any(w.startswith(f"{name}=") for w in argv)]
        return _begins_with(typed, limits)
    if action.dest in ("against", "environments"):
        return _begins_with(typed, _values(action.dest), files=True)
    return _begins_with(typed, [value for value in _values(action.dest) if value not in argv])


def _split(text: str) -> list[str]:
    try:
        return split_words(text)
    except ValueError:  # a quotation that is still open
        return text.split()


def _open_option(options: dict[str, Any], argv: list[str]) -> Any:
    """The option whose value the next word is; None if it is a model."""
    for values, word in enumerate(reversed(argv)):
        action = options.get(word.replace("_", "-") if word.startswith("--") else word)
        if action is not None:
            takes = {None: 1, "+": len(argv)}.get(action.nargs, 0)
            return action if values < takes else None
    return None


def _not_given(options: dict[str, Any], argv: list[str]) -> Iterable[str]:
    """The long flags that can still be given, and the short ones."""
    used = {options[word].dest for word in argv if word in options}
    return (flag for flag, action in options.items() if action.dest not in used)


def _in_body(head: str, text: str) -> Suggestions | None:
    """What may follow in a cell's body, of which ``text`` is left of the cursor."""
    from ..arguments.choices import is_switch
    from ..arguments.schema import BenchmarkArguments, singular_names

    fields = [*BenchmarkArguments.model_fields]
    line = text.rpartition("\n")[2]
    if _BEGUN_NAME.fullmatch(line) and not _is_open(text[: len(text) - len(line)]):
        given = {found.group(1) for found in map(_ASSIGNMENT.match, text.split("\n")) if found}
        given |= _given_on_line(head)
        return _begins_with(line, [name for name in fields if name not in given], alone=False)
    assigned = list(re.finditer(r"^(\w+)\s*=(?!=)", text, re.MULTILINE))
    if not assigned:
        return None
    name = singular_names().get(assigned[-1].group(1), assigned[-1].group(1))
    value = text[assigned[-1].end() :]
    if name not in fields or _is_over(value):
        return None
    quote = _open_quote(value)
    if quote is not None:
        typed = value[quote + 1 :]
        texts = [found for found in _values(name) if f'"{found}"' not in value.replace("'", '"')]
        return _begins_with(typed, texts, files=name in ("models", "environments"))
    word = re.split(r"[\s,\[\](){}=]", value)[-1]
    if is_switch(name):
        return _begins_with(word, ["True", "False"], alone=False)
    if word:
        return None
    texts = [found if found.isdecimal() else f'"{found}"' for found in _values(name)]
    return _begins_with("", [found for found in texts if found not in value], alone=False)


def _given_on_line(head: str) -> set[str]:
    """The arguments that the cell's first line gives: they cannot be assigned again."""
    from .magic_flags import magic_parser

    options: dict[str, Any] = magic_parser()._option_string_actions
    return {options[word].dest for word in _split(head) if word in options}


def _is_open(text: str) -> bool:
    """Whether a bracket of Python is still open, as in a list over several lines."""
    bare = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", "", text)
    return sum(bare.count(c) for c in "([{") > sum(bare.count(c) for c in ")]}")


def _is_over(value: str) -> bool:
    """Whether what was assigned has ended, and another statement has begun."""
    head, newline, _ = value.rpartition("\n")
    return bool(newline) and not _is_open(head)


def _open_quote(value: str) -> int | None:
    """Where the string begins that the end of ``value`` is in; None if it is in none."""
    opened: int | None = None
    for number, character in enumerate(value):
        if opened is None:
            opened = number if character in "\"'" else None
        elif character == value[opened] or character == "\n":
            opened = None
    return opened


def _begins_with(
    typed: str, texts: Iterable[str], *, files: bool = False, alone: bool = True
) -> Suggestions:
    """Those of the texts that begin as ``typed`` does, in whichever case."""
    found = [text for text in texts if text.lower().startswith(typed.lower())]
    return Suggestions(typed, found, files, alone)


def _values(name: str) -> list[str]:
    from ..arguments.choices import choices
    from ..arguments.schema import BenchmarkArguments
    from ..environments import list_environments

    if name == "models":
        return _models()
    if name == "environments":
        made = sorted({record.name for record in list_environments()} - {""})
        return _distinct([*choices(name), *made])
    return choices(name) if name in BenchmarkArguments.model_fields else []


def _models() -> list[str]:
    from ..plan.catalogue import catalogue

    return sorted(catalogue())


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def install(ipython: Any) -> None:
    """Have a shell's completer ask `suggestions`, once."""
    completer = getattr(ipython, "Completer", None)
    if completer is None or getattr(completer, "nbbench_completes", False):
        return
    completer.nbbench_completes = True
    try:
        from IPython.core.completer import SimpleCompletion, context_matcher
    except ImportError:
        _install_hook(ipython, completer)
        return

    def matcher(context: Any) -> dict[str, Any]:
        found = suggestions(context.full_text, context.cursor_line, context.cursor_position)
        if found is None:
            return {"completions": []}
        texts = found.after(context.token)
        return {
            "completions": [SimpleCompletion(text=text, type="argument") for text in texts],
            "suppress": found.alone,
            "do_not_suppress": {"IPCompleter.file_matcher"} if found.files else set(),
            "ordered": True,
        }

    completer.custom_matchers.append(context_matcher(identifier="nbbench")(matcher))


def _install_hook(ipython: Any, completer: Any) -> None:
    """Before 8.6: a hook that IPython gives the line; the cell's text is what it was asked for."""
    complete: Callable[..., Any] = completer._complete
    asked: dict[str, Any] = {}

    def remembering(**arguments: Any) -> Any:
        asked.clear()
        asked.update(arguments)
        return complete(**arguments)

    completer._complete = remembering

    def hook(_: Any, event: Any) -> list[str]:
        text = asked.get("full_text")
        line, column = asked.get("cursor_line") or 0, len(event.text_until_cursor)
        if not text:
            text, line = event.line, 0
        found = suggestions(text, line, column)
        return [] if found is None else found.after(event.symbol)

    ipython.set_hook("complete_command", hook, re_key=".*")
