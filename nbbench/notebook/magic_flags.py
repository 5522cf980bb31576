"""The flags of ``%tfbench``: the arguments', and a few of its own."""

from __future__ import annotations

from ..arguments.flags import FlagParser, benchmark_parser
from ..report.budget import add_flags

_ABOUT = """\
Measure speed and memory of models, and return the report.

    %tfbench bert-base-uncased distilbert-base-uncased -b 1 8 -s 32 128

As a cell magic the body assigns the arguments in Python; it sees your variables and leaves none:

    %%tfbench --out report
    models = ["small", "large"]
    configs = [{"model_type": "bert", "num_hidden_layers": 2}, my_config]
    batch_sizes = [1, 8]"""

_EPILOG = """\
The report is also in _, and its tables are report.speed, report.memory and report.environment. A
semicolon at the end leaves the report unshown. Defaults of your own: %config Nbbench, the
environment variable NBBENCH_DEFAULTS, and [tool.nbbench] in pyproject.toml."""


def magic_parser() -> FlagParser:
    """A parser of the magic's line."""
    parser = benchmark_parser("%tfbench", _ABOUT, _EPILOG)
    parser.add_argument("-v", "--out", metavar="NAME", help="variable to put the report in, too")
    parser.add_argument("--against", metavar="FILE", help="a saved report to compare with")
    parser.add_argument(
        "--device-memory",
        metavar="SIZE",
        help="with --plan: what the cases shall fit in, a size like 16GB or a card like T4",
    )
    for flags, help_text in (
        (["--plan"], "predict what the cases need and whether they fit, and measure nothing"),
        (["-q", "--quiet"], "show neither progress nor the report"),
        (["--form"], "show a form that begins with these arguments, and run nothing yet"),
        (
            ["--background"],
            "return at once, a job: results fill in below, other cells run meanwhile",
        ),
    ):
        parser.add_argument(*flags, action="store_true", default=None, help=help_text)
    add_flags(parser)
    return parser
