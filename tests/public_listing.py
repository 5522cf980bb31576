"""What a user can name, type and read: public names, flags, columns, and printed forms.

``python -m tests.public_listing`` writes it to ``golden/version_1``, where the listing of version
0.1.0 is kept, made before the modules were laid out in folders.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import nbbench
import nbbench.hf
from nbbench.cli import main as command_line

FOLDER = Path(__file__).parent / "golden" / "version_1"
FIXTURE = FOLDER / "report.nbbench.json"


def public_names():
    """Each public name with its signature, and for a class those of its public methods."""
    names = {}
    for module in (nbbench, nbbench.hf):
        for name in module.__all__:
            value = getattr(module, name)
            names[f"{module.__name__}.{name}"] = signature(value)
            if inspect.isclass(value) and value.__module__.startswith("nbbench"):
                for member in sorted(vars(value)):
                    if not member.startswith(("_", "model_")):
                        key = f"{module.__name__}.{name}.{member}"
                        names[key] = signature(getattr(value, member))
    return names


def signature(value):
    try:
        text = str(inspect.signature(value)) if callable(value) else ""
    except ValueError:
        return ""
    return re.sub(r" at 0x\w+", "", text)


def flags(capsys_or_none, *words):
    """The options that a command's help names."""
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        command_line([*words, "--help"])
    return sorted(set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text.getvalue())))


def listing():
    report = nbbench.Report.load(FIXTURE)
    return {
        "names": public_names(),
        "flags": {
            " ".join(words): flags(None, *words)
            for words in (["run"], ["hf", "pytorch"], ["hf", "tensorflow"], ["env"], ["models"])
        },
        "columns": {
            name: list(getattr(report, name).columns) for name in ("speed", "memory", "lines")
        },
        "environment": list(report.environment.index),
        "arguments": list(nbbench.BenchmarkArguments.model_fields),
    }


def printed(capsys):
    """The fixture in every form in which it is printed."""
    report = nbbench.Report.load(FIXTURE)
    capsys.readouterr()
    report.print_tables()
    return {
        "tables.txt": capsys.readouterr().out,
        "report.txt": repr(report),
        "report.md": report._repr_markdown_(),
        "report.tex": report._repr_latex_(),
        "report.html": report._repr_html_(),
    }


if __name__ == "__main__":
    (FOLDER / "listing.json").write_text(json.dumps(listing(), indent=1) + "\n")
