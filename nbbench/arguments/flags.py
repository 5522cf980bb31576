"""The arguments as flags, for the command line and for the magic: made from the schema's fields.

argparse is the one parser in reach that takes ``-b 1 8 32`` as well as it serves a shell and a
cell alike. It only splits a line into flags; types and values are `BenchmarkArguments`' to check.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, Literal, NoReturn, get_args, get_origin

from pydantic.fields import FieldInfo

from ..errors import ArgumentError, did_you_mean
from ..text import quoted, shortened
from .schema import BenchmarkArguments

_Formatter = argparse.RawDescriptionHelpFormatter


class FlagParser(argparse.ArgumentParser):
    """A parser that raises `ArgumentError` where argparse would end the process."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_Formatter,
            add_help=False,  # which would end the process
        )
        self.add_argument(
            "-h", "--help", action="store_true", default=None, help="show this help and exit"
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise ArgumentError(shortened(message.replace("argument ", "", 1), 400))

    def read(self, argv: list[str]) -> dict[str, Any]:
        """The values that flags give, by the arguments' names; only those that were given."""
        normal = [_with_dashes(word) for word in argv]
        values, unknown = self.parse_known_intermixed_args(normal)
        for wrong in unknown:
            if not wrong.startswith("-"):
                raise ArgumentError(
                    f"{quoted(wrong)} belongs to no option; give it after one that takes it"
                )
            known = [option for option in self._option_string_actions if option.startswith("--")]
            hint = did_you_mean(wrong.partition("=")[0], known)
            raise ArgumentError(f"there is no option {quoted(wrong)}{hint}")
        if values.help:  # it is looked for before: this one stands in a word with others
            raise ArgumentError("-h shows help, and is given by itself")
        return {name: value for name, value in vars(values).items() if value not in (None, [])}


def benchmark_parser(prog: str, description: str, epilog: str = "") -> FlagParser:
    """A parser with a flag for every argument that can be one; the models are positional."""
    parser = FlagParser(prog, description, epilog)
    for name, field in BenchmarkArguments.model_fields.items():
        extra = field.json_schema_extra
        extra = extra if isinstance(extra, dict) else {}
        if extra.get("flag") is False:
            continue
        described = _help(field)
        if name == "models":
            parser.add_argument(name, nargs="*", metavar="MODEL", help=described)
            continue
        options = [f"-{extra['short']}"] if "short" in extra else []
        options.append("--" + name.replace("_", "-"))
        if "also" in extra:
            options.append(f"--{str(extra['also']).replace('_', '-')}")
        if field.annotation is bool:
            parser.add_argument(
                *options, action=argparse.BooleanOptionalAction, default=None, help=described
            )
        elif get_origin(field.annotation) is list:
            parser.add_argument(
                *options,
                dest=name,
                nargs="+",
                action="extend",
                metavar=_metavar(field),
                help=described,
            )
        else:
            parser.add_argument(*options, metavar=_metavar(field), help=described)
    return parser


def _with_dashes(word: str) -> str:
    """Let ``--batch_sizes`` stand for ``--batch-sizes``."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("_", "-") + equals + value


def _help(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    text = (field.description or "").replace("%", "%%")
    if default in ([], {}, None):
        return text
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    shown = {True: "yes", False: "no"}.get(shown, shown) if isinstance(shown, bool) else shown
    return f"{text} [default: {shown}]"


def _metavar(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "metavar" in extra:
        return str(extra["metavar"])
    annotation: Any = field.annotation
    if get_origin(annotation) is list:
        annotation = get_args(annotation)[0]
        if hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
    if get_origin(annotation) is dict:
        return "JSON"
    if type(None) in get_args(annotation):  # one that may be left open
        annotation = get_args(annotation)[0]
    if annotation is bool:
        return "{yes,no}"
    if annotation in (int, float):
        return "N"
    choices = get_args(annotation)
    if choices and get_origin(choices[-1]) is Literal and get_args(choices[0])[:1] == (int,):
        return "N"  # or a name: the help says which
    return "{" + ",".join(map(str, choices)) + "}" if choices else "NAME"


def reference() -> str:
    """The arguments as a Markdown table, for the docs."""
    lines = ["| argument | flag | default | what it is |", "| --- | --- | --- | --- |"]
    for name, field in BenchmarkArguments.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        flag = "--" + name.replace("_", "-")
        if field.annotation is bool:
            flag = f"{flag}, --no-{flag[2:]}"
        if "short" in extra:
            flag = f"-{extra['short']}, {flag}"
        if name == "models":
            flag = "MODEL …"
        default = json.dumps(field.get_default(call_default_factory=True))
        names = f"`{name}`, `{extra['also']}`" if "also" in extra else f"`{name}`"
        shown = "" if extra.get("flag") is False else f"`{flag}`"
        lines.append(f"| {names} | {shown} | `{default}` | {field.description} |")
    return "\n".join(lines) + "\n"
