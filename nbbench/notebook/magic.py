"""``%tfbench`` and ``%%tfbench``."""

from __future__ import annotations

import ast
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..execution.job import Job
    from ..report.report import Report
    from .form import Form

_ABOUT = """\
Measure speed and memory of models, and return the report.

    %tfbench bert-base-uncased distilbert-base-uncased -b 1 8 -s 32 128

As a cell magic the body assigns the arguments in Python; it sees your variables and leaves none:

    %%tfbench --out report
    models = ["small", "large"]
    configs = [{"model_type": "bert", "num_hidden_layers": 2}, my_config]
    batch_sizes = [1, 8]"""

_EPILOG = """\
The report is also in _, and its tables are report.speed, report.memory and report.environment."""


def register(ipython: Any) -> None:
    """Add the magic to a shell."""

    def tfbench(line: str, cell: str | None = None) -> Report | Job | Form | None:
        return _tfbench(ipython, line, cell)

    tfbench.getdoc = _help  # type: ignore[attr-defined]  # what %tfbench? asks, before __doc__
    ipython.register_magic_function(tfbench, magic_kind="line_cell", magic_name="tfbench")


def _help() -> str:
    return str(_parser().format_help())


def _parser() -> Any:
    from ..arguments.flags import benchmark_parser

    parser = benchmark_parser("%tfbench", _ABOUT, _EPILOG)
    parser.add_argument("--out", metavar="NAME", help="variable to put the report in, too")
    parser.add_argument("--against", metavar="FILE", help="a saved report to compare with")
    for flag, help_text in (
        ("--form", "show a form that begins with these arguments, and run nothing yet"),
        ("--background", "return at once, a job: results fill in below, other cells run meanwhile"),
    ):
        parser.add_argument(flag, action="store_true", default=None, help=help_text)
    return parser


def _tfbench(ipython: Any, line: str, cell: str | None) -> Report | Job | Form | None:
    from IPython.core.error import UsageError

    from ..errors import ArgumentError, NbbenchError
    from .cell import is_variable

    try:
        argv = _split(line)
        if "-h" in argv or "--help" in argv:
            print(_help())
            return None
        values = _parser().read(argv)
        out = values.pop("out", None)
        if out is not None and not is_variable(out):
            raise ArgumentError(f"--out: {out!r} is no name for a variable")
        if cell is not None:
            assigned = read_body(cell, ipython.user_ns)
            for name in assigned:
                if name in values:
                    raise ArgumentError(f"{name} is given on the line and in the cell; keep one")
            values.update(assigned)
        if values.pop("form", False):
            from .form import Form

            if values.pop("against", None) is not None:
                raise ArgumentError("--form and --against do not go together; keep one")
            if values.pop("background", False):
                raise ArgumentError("--form and --background do not go together; keep one")

            return Form(out or "report", **values)
        if values.pop("background", False):
            if values.pop("against", None) is not None:
                raise ArgumentError("--background and --against do not go together; keep one")
            return _begin(ipython, values, out)
        from ..api import run

        against = values.pop("against", None)
        earlier = None if against is None else _load(against)
        report = run(**values)
        if earlier is not None:
            _show(report.compare(earlier))
    except (NbbenchError, ValueError) as error:
        raise UsageError(str(error)) from None
    if out is not None:
        ipython.push({out: report})
    return report


def _load(file: str) -> Report:
    """An earlier report; read before anything is measured, so that a wrong name costs nothing."""
    from ..report.report import Report

    return Report.load(file)


def _show(comparison: object) -> None:
    from IPython.display import display

    display(comparison)


def _begin(ipython: Any, values: dict[str, Any], out: str | None) -> Job:
    """Begin a benchmark that is shown below the cell; its report ends in the variable ``out``."""
    from ..api import start
    from ..arguments.schema import BenchmarkArguments
    from ..report.width import in_notebook

    def keep(report: Report) -> None:
        if out is not None:
            ipython.push({out: report})

    job = start(BenchmarkArguments(**values), on_end=keep)
    if in_notebook():
        from .live import LiveResults, follow

        follow(job, LiveResults())
    return job


def _split(line: str) -> list[str]:
    """The words of a line, as a shell splits them."""
    try:
        return shlex.split(line)
    except ValueError as error:
        from ..errors import ArgumentError

        raise ArgumentError(f"the line cannot be read: {error}".lower()) from None


def read_body(body: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a cell's body assigns.

    The body runs on a copy of ``namespace``, so it sees the user's variables and leaves none
    behind. Names that are no arguments are refused, unless they begin with an underscore or come
    from an import or a definition. Raises `ArgumentError`, also for what goes wrong in the body.
    """
    from ..arguments.schema import BenchmarkArguments, singular_names, unknown_argument
    from ..errors import ArgumentError

    known = {*BenchmarkArguments.model_fields, *singular_names()}
    try:
        tree = ast.parse(body)
        code = compile(tree, "<%%tfbench>", "exec")
    except SyntaxError as error:
        raise ArgumentError(
            f"line {error.lineno} of the cell's body is not Python: {error.msg}"
        ) from None
    names = [
        node.id
        for statement in tree.body
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    inner = _comprehension_names(tree)
    for name in names:
        if name not in known and not name.startswith("_") and name not in inner:
            raise ArgumentError(
                f"{unknown_argument(name)} (a name for your own use begins with an underscore)"
            )
    own = {name: value for name, value in namespace.items() if name not in known}
    try:
        exec(code, own)
    except Exception as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != "<%%tfbench>":
            frames = frames.tb_next
        where = "" if frames is None else f"line {frames.tb_lineno} of "
        raise ArgumentError(
            f"{where}the cell's body failed with {type(error).__name__}: {error}"
        ) from None
    return {name: own[name] for name in names if name in own and name in known}


def _comprehension_names(tree: ast.Module) -> set[str]:
    """Names that live in a comprehension alone."""
    kinds = (ast.comprehension,)
    return {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }
