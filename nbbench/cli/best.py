"""``nbbench best``: which case of a saved report to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.flags import FlagParser
from ..errors import ArgumentError, OutputError
from ..paths import special_kind
from ..report.budget import WITHIN_HELP, Budget, budget_of_texts
from ..report.report import Report
from ..text import quoted

if TYPE_CHECKING:
    import pandas as pd

_ABOUT = """\
Say which case of a saved report to take: the best within limits, and what ties with it.

    nbbench run bert-tiny all-MiniLM-L6-v2 -b 1 8 --save models.nbbench.json
    nbbench best models.nbbench.json --by throughput --within latency=50ms memory=4GB

Exit code 0: a case keeps to the limits, surely or perhaps; 1: none does, and the nearest is shown;
2: bad usage."""


def command(argv: list[str]) -> int:
    """Choose, and print."""
    parser = _parser()
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    files = values.get("file", [])
    if len(files) != 1:
        raise ArgumentError(f"nbbench best takes one saved report, and {len(files)} were given")
    if "pareto" in values and "by" in values:
        raise ArgumentError("--by and --pareto do not go together; keep one")
    budget = budget_of_texts(values.get("by"), values.get("within", [])) or Budget()
    report = _completed(Report.load(files[0]), values)
    if "pareto" in values:
        if budget.limits:
            raise ArgumentError("--pareto has no limits; give axes alone, like mode=inference")
        choice = report.pareto(*values["pareto"], **budget.where)
    else:
        choice = report.best_within(budget)
    print(choice.to_markdown() if values.get("markdown") else repr(choice))
    return 0 if choice.met else 1


def _parser() -> FlagParser:
    parser = FlagParser("nbbench best", _ABOUT)
    parser.add_argument("file", nargs="*", metavar="FILE", help="a report that --save wrote")
    parser.add_argument(
        "--by", metavar="QUANTITY", help="what is best: throughput, latency, memory, … or a column"
    )
    parser.add_argument("--within", nargs="+", action="extend", metavar="LIMIT", help=WITHIN_HELP)
    parser.add_argument(
        "--pareto",
        nargs="+",
        metavar="QUANTITY",
        help="show instead what no other case beats in two quantities or more, like latency memory",
    )
    parser.add_argument(
        "--price-per-hour", metavar="N", help="what an hour of the machine costs, for --by cost_…"
    )
    parser.add_argument(
        "--join",
        metavar="FILE.csv",
        help="columns of your own, higher being better, beside a column model",
    )
    parser.add_argument("--markdown", action="store_true", default=None, help="print Markdown")
    return parser


def _completed(report: Report, values: dict[str, Any]) -> Report:
    """The report with what the flags add to it."""
    if "price_per_hour" in values:
        text = values["price_per_hour"]
        try:
            report = report.with_price(float(text))
        except ValueError:  # ArgumentError is one
            raise ArgumentError(f"--price-per-hour: {quoted(text)} is no price above 0") from None
    return report.join(_table(values["join"])) if "join" in values else report


def _table(file: str) -> pd.DataFrame:
    import pandas as pd

    kind = special_kind(Path(file))
    if kind:
        raise OutputError(f"{quoted(file)} cannot be read as a table: it is {kind}; give a file")
    try:
        frame = pd.read_csv(file, dtype={"model": str})
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{quoted(file)} cannot be read as a table: {reason}") from None
    if "model" not in frame.columns:
        raise ArgumentError(f"{quoted(file)} has no column model; name the models in one")
    return frame
