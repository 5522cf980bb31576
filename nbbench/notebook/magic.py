"""``%tfbench`` and ``%%tfbench``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from ..arguments.words import split_words
from ..errors import ArgumentError, NbbenchError
from ..text import quoted
from .cell_body import read_body
from .magic_flags import magic_parser
from .silence import SilencedCells, ends_with_semicolon, without_semicolon

if TYPE_CHECKING:
    from ..arguments.defaults import Defaults
    from ..arguments.schema import BenchmarkArguments
    from ..execution.job import Job
    from ..report.budget import Budget
    from ..report.fit import DeviceMemory
    from ..report.predictions import Predictions
    from ..report.report import Report
    from .form import Form


def register(ipython: Any) -> None:
    """Add the magic to a shell, its completion and what ``%config`` sets for it."""
    from ..arguments.defaults import naming_sources
    from .completion import install
    from .config import add_config

    config = add_config(ipython)
    silence = SilencedCells(ipython)

    def tfbench(line: str, cell: str | None = None) -> Report | Predictions | Job | Form | None:
        line, is_silent = without_semicolon(line)
        is_silent = is_silent or (cell is not None and ends_with_semicolon(cell))
        result: Report | Predictions | Job | Form | None = None
        try:
            call = _read(ipython, config, line, cell)
            if call is not None:
                with naming_sources(call.used):
                    result = _carry_out(ipython, call)
        except (NbbenchError, ValueError) as error:
            raise UsageError(str(error)) from None
        is_silent = is_silent or (call is not None and call.is_quiet)
        return silence.keep(result) if is_silent else result

    tfbench.getdoc = _help  # type: ignore[attr-defined]  # what %tfbench? asks, before __doc__
    ipython.register_magic_function(tfbench, magic_kind="line_cell", magic_name="tfbench")
    install(ipython)


def _help() -> str:
    return str(magic_parser().format_help())


@dataclass(frozen=True)
class _Call:
    """What a line and a cell ask for: arguments, and what to do with them."""

    values: dict[str, Any]
    used: list[Defaults]
    out: str | None
    against: str | None
    is_form: bool
    is_background: bool
    is_quiet: bool
    is_plan: bool
    budget: Budget | None
    memory: DeviceMemory | None


def _read(ipython: Any, config: Any, line: str, cell: str | None) -> _Call | None:
    """What is asked for, defaults included; None if it was help, which is shown."""
    from ..arguments.defaults import sentence_of, with_defaults
    from ..report.budget import take_budget
    from ..report.fit import DeviceMemory
    from .cell import is_variable
    from .config import defaults_of

    argv = _split(line)
    if "-h" in argv or "--help" in argv:
        print(_help())
        return None
    values = magic_parser().read(argv)
    out, against = values.pop("out", None), values.pop("against", None)
    budget = take_budget(values)
    is_form, is_background, is_quiet, is_plan = (
        values.pop(name, False) for name in ("form", "background", "quiet", "plan")
    )
    memory = values.pop("device_memory", None)
    if is_plan and budget is not None:
        raise ArgumentError("--plan measures nothing that --best could choose from; keep one")
    if memory is not None and not is_plan:
        raise ArgumentError("--device-memory is what a plan shall fit in; give --plan, too")
    if out is not None and not is_variable(out):
        raise ArgumentError(f"--out: {quoted(out)} is no name for a variable")
    for one, other in (
        ("form", "against"), ("form", "background"), ("form", "quiet"), ("background", "against"),
        ("plan", "against"), ("plan", "background"), ("plan", "form"),
    ):  # fmt: skip
        asked = {"form": is_form, "background": is_background, "quiet": is_quiet}
        asked |= {"plan": is_plan, "against": against is not None}
        if asked[one] and asked[other]:
            raise ArgumentError(f"--{one} and --{other} do not go together; keep one")
    if cell is not None:
        assigned = read_body(cell, ipython.user_ns)
        for name in assigned:
            if name in values:
                raise ArgumentError(f"{name} is given on the line and in the cell; keep one")
        values.update(assigned)
    values, used = with_defaults(values, defaults_of(config), is_run=not is_plan)
    if used and not is_quiet:
        print(sentence_of(used))
    return _Call(
        values, used, out, against, is_form, is_background, is_quiet, is_plan, budget,
        None if memory is None else DeviceMemory.of(memory),
    )  # fmt: skip


def _carry_out(ipython: Any, call: _Call) -> Report | Predictions | Job | Form:
    from ..api import run_arguments
    from ..arguments.defaults import arguments_of
    from ..report.budget import check_against

    if call.is_plan:
        return _predicted(ipython, call)
    if call.is_form:
        from .form import Form

        return Form(call.out or "report", budget=call.budget, **call.values)
    arguments = arguments_of(call.values, call.used)
    if call.budget is not None:
        check_against(call.budget, arguments)
    if call.is_background:
        return _begin(ipython, call, arguments)
    earlier = None if call.against is None else _load(call.against)
    report = run_arguments(arguments, progress=not call.is_quiet).with_best(call.budget)
    if earlier is not None:
        _show(report.compare(earlier))
    if call.out is not None:
        ipython.push({call.out: report})
    return report


def _predicted(ipython: Any, call: _Call) -> Predictions:
    from ..api import predict_arguments
    from ..arguments.schema import BenchmarkArguments

    arguments = BenchmarkArguments(**call.values)
    predictions = predict_arguments(arguments, call.memory, progress=not call.is_quiet)
    if call.out is not None:
        ipython.push({call.out: predictions})
    return predictions


def _load(file: str) -> Report:
    """An earlier report; read before anything is measured, so that a wrong name costs nothing."""
    from ..report.report import Report

    return Report.load(file)


def _show(comparison: object) -> None:
    from IPython.display import display

    display(comparison)


def _begin(ipython: Any, call: _Call, arguments: BenchmarkArguments) -> Job:
    """Begin a benchmark that is shown below the cell; its report ends in the variable ``out``."""
    from ..api import start
    from ..report.width import in_notebook

    def keep(report: Report) -> None:
        if call.out is not None:
            ipython.push({call.out: report.with_best(call.budget)})

    job = start(arguments, on_end=keep)
    if in_notebook() and not call.is_quiet:
        from .live import LiveResults, follow

        follow(job, LiveResults(), call.budget)
    return job


def _split(line: str) -> list[str]:
    """The words of a line, as a shell splits them."""
    try:
        return split_words(line)
    except ValueError as error:
        raise ArgumentError(f"the line cannot be read: {error}".lower()) from None
