"""``nbbench.form()``: arguments filled in, checked as one types, run, and watched."""

from __future__ import annotations

import json
import threading
from collections.abc import Sized
from contextlib import suppress
from typing import Annotated, Any

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import Javascript, display
from pydantic import TypeAdapter

from ..api import start
from ..arguments.schema import BenchmarkArguments, with_models, with_plural_names
from ..display.cell_output import escaped_note
from ..errors import ArgumentError, ModelNotFound, NbbenchError
from ..execution.job import Job
from ..execution.listeners import recent_results
from ..plan.estimate import estimate
from ..plan.models import find_here
from ..report.budget import Budget, check_against, check_before_run
from ..report.report import Report
from ..report.width import in_notebook
from ..text import counted, duration, quoted
from .budget_fields import BudgetFields
from .cell import as_cell, is_variable
from .config import own_defaults
from .fields import BoolField, Field, make_field, row_label
from .live import LiveResults, watch

_FIRST = ("models", "frameworks", "batch_sizes", "sequence_lengths")
_MODES = ("inference", "training", "generation", "speed", "memory")
"""Arguments that are always seen; the others are folded away."""


class Form:
    """A form for `BenchmarkArguments`, and the run that it starts.

    The report of a run is also put into the notebook's variable that the form names. Runs go on
    beside the notebook: other cells can be run meanwhile. ``defaults`` are arguments to begin
    with; raises `ArgumentError` for one that is none.
    """

    def __init__(
        self, out: str = "report", *, budget: Budget | None = None, **defaults: Any
    ) -> None:
        if _name_problem(out):
            raise ArgumentError(_name_problem(out))
        check_before_run(budget)
        defaults = with_plural_names(defaults)
        self._configs = _as_dicts(defaults.pop("configs", None))
        self._defaults = _defaults()
        unknown = next((name for name in defaults if name not in self._defaults), None)
        if unknown is not None:
            BenchmarkArguments(**{unknown: defaults[unknown]})  # has the sentence for it
        completed = _completed(defaults, self._configs)
        given = {**self._defaults, **completed}
        self._job: Job | None = None
        self._running = self._cancelled = False
        self._results: list[LiveResults] = []
        self._fields: dict[str, Field] = {}
        for name, value in given.items():
            self._fields[name] = make_field(name, value, self._check)
        self._left_alone = {
            name: field.read() for name, field in self._fields.items() if name not in completed
        }
        self._budget = BudgetFields(budget, self._check)
        self._ran_within: Budget | None = None
        self._make_controls(out)
        self._check()

    @property
    def report(self) -> Report | None:
        """What the last run has measured so far; None before it, or if it could measure nothing."""
        with suppress(NbbenchError):
            return None if self._job is None else self._job.report()
        return None

    def arguments(self) -> BenchmarkArguments:
        """What is filled in; raises `ArgumentError` where it makes no sense."""
        return BenchmarkArguments(**self._values(), configs=self._configs)

    def run(self) -> None:
        """Begin what is filled in, as the button does."""
        if self._running:
            return
        try:
            arguments, self._ran_within = self.arguments(), self._budget.read()
        except ArgumentError:
            self._check()
            return
        self._set_running(True)
        threading.Thread(
            target=self._run, args=(arguments,), daemon=True, name="nbbench-form"
        ).start()

    def cancel(self) -> None:
        """End the run; what was measured stays."""
        self._cancelled = True
        if self._running and self._job is not None:
            self._job.cancel()

    def cell(self) -> str:
        """The ``%%tfbench`` cell that does the same."""
        out = self._out.value.strip()
        return as_cell(self._changed_values(), self._configs, out, self._budget.read())

    def _ipython_display_(self) -> None:
        if not in_notebook():
            print("a form needs a notebook; in a terminal use %tfbench or nbbench.run")
            return
        display(self.box)
        self._results.append(LiveResults())
        if self._job is not None and not self._running:
            self._results[-1].end(self._job, self._ran_within)

    def _make_controls(self, out: str) -> None:
        button = widgets.Layout(width="auto", min_width="max-content")
        self._run_button = widgets.Button(
            description="Run", button_style="primary", tooltip="Measure", layout=button
        )
        self._cancel_button = widgets.Button(
            description="Cancel", disabled=True, tooltip="End the run", layout=button
        )
        self._copy_button = widgets.Button(
            description="Copy as cell",
            tooltip="Copy the %%tfbench cell that does the same",
            layout=button,
        )
        self._out = widgets.Text(
            out,
            description="report in",
            style={"description_width": "5em"},
            layout=widgets.Layout(width="14em"),
        )
        self._out_message = widgets.HTML()
        self._out.observe(lambda _: self._check(), "value")
        self._estimate = widgets.HTML()
        self._status = widgets.HTML()
        self._cell_text = widgets.Textarea(
            rows=6,
            description="cell",
            layout=widgets.Layout(width="44em", max_width="calc(100% - 4px)", display="none"),
        )
        self._scripts = widgets.Output()
        self._run_button.on_click(lambda _: self.run())
        self._cancel_button.on_click(lambda _: self.cancel())
        self._copy_button.on_click(lambda _: self._copy())
        seen = (*_FIRST, *_MODES)
        rest = [field.box for name, field in self._fields.items() if name not in seen]
        options = widgets.VBox(rest, layout=widgets.Layout(display="none"))
        fold = widgets.ToggleButton(
            description="Options",
            icon="caret-right",
            layout=widgets.Layout(width="auto", align_self="flex-start"),
        )

        def folded(change: Any) -> None:  # an accordion would be out of a keyboard's reach
            options.layout.display = "" if change["new"] else "none"
            fold.icon = "caret-down" if change["new"] else "caret-right"

        fold.observe(folded, "value")
        buttons = [
            self._run_button,
            self._cancel_button,
            self._copy_button,
            self._out,
            self._out_message,
        ]
        self.box = widgets.VBox(
            [
                *(self._fields[name].box for name in _FIRST),
                self._modes_in_a_row(),
                self._budget.box,
                fold,
                options,
                self._estimate,
                widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap")),
                self._status,
                self._cell_text,
                self._scripts,
            ]
        )

    def _modes_in_a_row(self) -> Any:
        """What to measure, in one row."""
        row = []
        for name in _MODES:
            field = self._fields[name]
            if isinstance(field, BoolField):
                field.be_compact()
            row.append(field.box)
        return widgets.HBox(
            [row_label("measure"), *row], layout=widgets.Layout(flex_flow="row wrap")
        )

    def _values(self) -> dict[str, Any]:
        """What is filled in, without what nobody has given or changed."""
        values = {name: field.read() for name, field in self._fields.items()}
        alone = self._left_alone
        return {name: v for name, v in values.items() if name not in alone or v != alone[name]}

    def _changed_values(self) -> dict[str, Any]:
        """The arguments that are other than they are by default, in their own types."""
        arguments, own = self.arguments(), own_defaults(get_ipython())
        values = {name: getattr(arguments, name) for name in self._fields}
        own |= {"sequence_lengths"} & {*arguments.model_fields_set}
        return {n: value for n, value in values.items() if n in own or value != self._defaults[n]}

    def _check(self) -> None:
        """Show beside each field what is wrong with it, and below how much there is to do."""
        problems: dict[str, str] = {}
        try:
            arguments = self.arguments()
            if self._budget.check():
                check_against(self._budget.read(), arguments)
            count, seconds = estimate(arguments, list(recent_results))
            takes = (
                "each found by many runs" if arguments.searched else f"about {duration(seconds)}"
            )
            self._estimate.value = escaped_note(
                f"{counted(count, 'case')}, {takes}", alarming=False
            )
            problems = _unfound(arguments.models) if not self._configs else {}
        except ArgumentError as error:
            problems = error.problems
            self._estimate.value = escaped_note(problems.get("", ""))
        for name, field in self._fields.items():
            field.show_message(problems.get(name, ""))
        name_told = _name_problem(self._out.value.strip())
        self._out_message.value = escaped_note(name_told)
        can_choose = self._budget.check()
        wrong = bool(problems or name_told) or not can_choose
        self._run_button.disabled = wrong or self._running

    def _set_running(self, running: bool) -> None:
        self._running, self._cancelled = running, False
        self._cancel_button.disabled = not running
        self._check()

    def _run(self, arguments: BenchmarkArguments) -> None:
        """The run, in a thread: what waits for a hub or a case must not hold up the notebook."""
        try:
            self._status.value = escaped_note("starting", alarming=False)
            job = self._job = start(arguments)
            if self._cancelled:
                job.cancel()
            self._status.value = ""  # the results below say how it goes
            watch(job, self._results, self._ran_within)
            self._keep(job.report().with_best(self._ran_within))
        except NbbenchError as error:
            self._status.value = escaped_note(str(error))
        except Exception as error:
            self._status.value = escaped_note(f"{type(error).__name__}: {error}")
        finally:
            self._set_running(False)

    def _keep(self, report: Report) -> None:
        """Put the report into the notebook's variable."""
        name, shell = self._out.value.strip(), get_ipython()
        if shell is not None:
            shell.push({name: report})

    def _copy(self) -> None:
        """Show the cell's text, and put it on the clipboard where the browser lets us."""
        try:
            text = self.cell()
        except ArgumentError as error:
            self._status.value = escaped_note(str(error))
            return
        self._cell_text.value, self._cell_text.layout.display = text, ""
        self._scripts.clear_output()
        with self._scripts:
            literal = json.dumps(text).replace("<", r"\u003c")  # which could end the script
            display(Javascript(f"navigator.clipboard && navigator.clipboard.writeText({literal})"))


def form(*models: str, out: str = "report", **defaults: Any) -> Form:
    """A `Form` that begins with these arguments; its report goes to the variable ``out``, too."""
    return Form(out, **with_models(models, defaults))


def _name_problem(name: str) -> str:
    """What is wrong with a variable's name; nothing if it is one."""
    return "" if is_variable(name) else f"report in: {quoted(name)} is no name for a variable"


def _unfound(models: list[str]) -> dict[str, str]:
    """What is wrong with models, as far as it is known without asking the hub."""
    for name in models:
        try:
            find_here(name)
        except ModelNotFound as error:
            return {"models": str(error)}
    return {}


def _defaults() -> dict[str, Any]:
    fields = BenchmarkArguments.model_fields.items()
    values = {name: field.get_default(call_default_factory=True) for name, field in fields}
    del values["configs"]  # which a form cannot be typed into, but may be given
    return values


def _as_dicts(configs: Any) -> list[dict[str, Any]]:
    """Configurations of any kind as dicts, which a cell can have; raises `ArgumentError`."""
    is_empty = configs is None or (isinstance(configs, Sized) and not len(configs))
    return [] if is_empty else BenchmarkArguments(configs=configs).configs


def _completed(defaults: dict[str, Any], configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Defaults in their own types where they make sense, and as they are where they do not."""
    try:
        named = {"models": ["bert-base-uncased"]} if not configs else {}
        arguments = BenchmarkArguments(**{**named, **defaults}, configs=configs)
    except ArgumentError as error:
        if error.problems.keys() & set(defaults):
            raise
        return {name: _in_own_type(name, value) for name, value in defaults.items()}
    given = {name: getattr(arguments, name) for name in defaults}
    return {"models": arguments.model_names(), **given} if configs else given


def _in_own_type(name: str, value: Any) -> Any:
    """A value that its argument takes, as the argument has it, whatever else is given."""
    field = BenchmarkArguments.model_fields[name]
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[(kind, *field.metadata)]
    return TypeAdapter(kind).validate_python(value)
