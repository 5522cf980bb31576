"""Tables as Markdown, as LaTeX and as HTML; texts are escaped, so that they read as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from ..plan.result import Result
from ..text import one_line
from ..worker.case import Status
from .differences import Differences
from .environment import EnvironmentFacts
from .own_columns import NOTHING, Added
from .tables import EMPTY, TEXT_COLUMNS, caution, failures, footer, remarks, summary


def as_markdown(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    differences: Differences | None = None,
    added: Added = NOTHING,
) -> str:
    """The report as a Markdown table, with what failed below it."""
    if not results:
        return EMPTY
    table = summary(results, differences, added)
    lines = [
        f"- **{markdown_text(label)}**: {markdown_text(reason)}"
        for label, reason in remarks(results)
    ]
    parts = [
        markdown_text(caution(facts)),
        markdown_table(table.heads, table.rows) if table.rows else "",
        "\n".join(lines),
        markdown_text(footer(facts)),
    ]
    return "\n\n".join(filter(None, parts))


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown."""
    lines = [list(map(markdown_text, heads)), ["---"] * len(heads)]
    lines += [list(map(markdown_text, row)) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in HTML."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_MARKS = re.compile(r"[\\`*<|~$&]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|(?<=!)\[")
"""What Markdown, GitHub's and Jupyter's, takes for a mark; an underscore within a name is none."""

_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def markdown_text(text: str) -> str:
    """Text of which nothing is taken for a mark or for HTML, or breaks out of its cell."""
    return _MARKS.sub(lambda found: _ENTITIES.get(found[0], rf"\{found[0]}"), one_line(text))


def as_latex(results: Sequence[Result], added: Added = NOTHING) -> str:
    """The report as a LaTeX table, for the package booktabs."""
    if not results:
        return EMPTY
    table = summary(results, added=added)
    rest = failures(r for r in results if r.outcome.status is Status.SKIPPED)
    below = [f"{line}\n" for line in map(_latex, map(": ".join, rest))]
    if not table.rows:
        return "\n".join(below)
    align = "".join("l" if head in TEXT_COLUMNS else "r" for head in table.heads)
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in [table.heads, *table.rows]]
    body = [lines[0], r"\midrule", *map(_no_argument, lines[1:])]
    return "\n".join(
        [
            *(rf"\begin{{tabular}}{{{align}}}", r"\toprule", *body, r"\bottomrule"),
            *(r"\end{tabular}", *([""] if below else []), *below),
        ]
    )


_LATEX = {
    "\\": r"\textbackslash{}", "±": r"$\pm$", "µ": r"$\mu$", "×": r"$\times$",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "…": r"\ldots{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def _latex(text: str) -> str:
    """A cell with what LaTeX would take for a command, or draw as another sign, escaped."""
    literal = "".join(_LATEX.get(sign, sign) for sign in one_line(text))
    return literal.replace("--", "-{}-").replace("--", "-{}-")


def _no_argument(line: str) -> str:
    """A row that is no argument of the line end before it, as ``[`` or ``*`` would begin one."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line
