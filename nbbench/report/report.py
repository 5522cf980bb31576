"""What was measured: DataFrames, and what a person does with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.metadata import EntryPoint
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..text import quoted
from ..worker.case import Status
from .atomic_write import write_csv, write_parquet, write_text
from .best import best, pareto
from .budget import Budget
from .choice import COLUMNS, Choice
from .comparison import Comparison
from .dataframes import (
    environment_frame,
    lines_frame,
    memory_frame,
    memory_row,
    speed_frame,
    speed_row,
)
from .differences import (
    Differences,
    compare_by,
    differences_from,
    is_of_axis,
    usual_differences,
)
from .earlier_run import compare_runs
from .environment import EnvironmentFacts, EnvironmentKey, WorkerFacts, merge_facts
from .html_page import report_html
from .markup import as_latex, as_markdown, markdown_text
from .overwriting import remove_tables
from .own_columns import COST_HEADS, NOTHING, Added, columns_of, own_column, price_of
from .plots import Plots
from .quantities import FRAME_COLUMNS, LIMITS, NAMES
from .saved_json import Content, as_saved, as_values, read_content, write_content
from .shared_page import Compared, page
from .tables import as_text, row_of_texts, summary
from .verdict import MATTERS
from .width import output_width

if TYPE_CHECKING:
    import pandas as pd

_FORMER_TABLES = EntryPoint("former", "nbbench.hf.tables:former_tables", "nbbench.tables")
"""The layout of Transformers' former benchmark, which is built on this package: it is loaded by its
name when it is asked for."""

RESERVED = {*NAMES, *LIMITS, *COLUMNS, *FRAME_COLUMNS, *COST_HEADS, "ratio", "verdict"}
"""Names of columns that no report has in its frames, but a table or a choice."""

FRAMES = ("speed", "memory", "environment", "lines")
"""What a report has a table file of, each under its name."""


class Report:
    """The results of one benchmark, one row a case in each frame.

    ``results`` are the cases with their outcomes, raw samples included; ``facts`` what is known of
    each environment, and of the machine. Columns carry their unit: ``_s`` seconds, ``_mib`` MiB. A
    figure that could not be had is missing, never 0.
    """

    def __init__(
        self,
        results: Sequence[Result],
        machine: MachineFacts,
        workers: Mapping[EnvironmentKey, WorkerFacts],
        baseline: str | None = None,
        added: Added = NOTHING,
    ) -> None:
        self.results = tuple(results)
        self._content = Content(self.results, machine, dict(workers), baseline, added)
        self._budget: Budget | None = None
        self.facts: tuple[EnvironmentFacts, ...] = merge_facts(self.results, machine, workers)

    @classmethod
    def of(cls, content: Content) -> Report:
        """The report of all that one keeps."""
        return cls(
            content.results, content.machine, content.workers, content.baseline, content.added
        )

    @property
    def summary(self) -> pd.DataFrame:
        """The table that is shown, as texts with their units: the columns that matter.

        Those that are the same for all rows stay out; `speed` and `memory` have all, as numbers.
        """
        import pandas as pd

        table = summary(self.results, self._differences(), self._content.added)
        return pd.DataFrame(table.rows, columns=table.heads)

    @property
    def speed(self) -> pd.DataFrame:
        """Time of each case: median with its 95 % interval, spread, and throughput."""
        return speed_frame(self.results, self._content.added)

    @property
    def memory(self) -> pd.DataFrame:
        """Memory of each case in MiB; ``method`` names how the peak was read."""
        return memory_frame(self.results, self._content.added)

    @property
    def lines(self) -> pd.DataFrame:
        """What each line added to memory, where ``trace_memory_line_by_line`` was asked for.

        One row for each line that a case ran, in order: ``cpu_mib`` and ``gpu_mib`` are what it
        added (or freed: negative), ``held_cpu_mib`` and ``held_gpu_mib`` what was held after it.
        """
        return lines_frame(self.results)

    @property
    def environment(self) -> pd.DataFrame:
        """Machine, versions and settings: one row a key, one column a framework.

        A framework that was run in several environments has a column for each.
        """
        return environment_frame(self.facts)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are not ok; ``outcome.detail`` has the traceback or the log's end."""
        return tuple(r for r in self.results if r.outcome.status is not Status.OK)

    def compare(
        self,
        other: Report | None = None,
        *,
        by: str = "",
        baseline: Any = None,
        matters: float = MATTERS,
    ) -> Comparison:
        """Say what differs, by how much, and how surely.

        Parameters
        ----------
        other
            An earlier report: its cases are compared with the same ones of this report. Without it
            the cases of this report are compared with each other.
        by
            The axis to compare by, such as ``execution``, ``framework`` or ``model``; not needed
            where cases differ in one alone.
        baseline
            The value of that axis that others are compared with; by default the first.
        matters
            The smallest difference that matters, as a part of the time; what surely lies below it
            is called the same.

        Raises `ArgumentError` where nothing can be compared so.
        """
        _check_comparison(other, by, baseline, matters)
        if other is not None:
            if by or baseline is not None:
                raise ArgumentError("another report was given, and by or baseline too; keep one")
            new, old = (  # by names that are no paths
                self._of(as_saved(each._content, keeps_relative=True)) for each in (self, other)
            )
            return Comparison(compare_runs(new.results, new.facts, old.results, old.facts, matters))
        usual = self._content.baseline
        if baseline is None and usual and (not by or is_of_axis(self.results, by, usual)):
            baseline = usual
        return Comparison(compare_by(self.results, by, baseline, matters))

    def best(
        self,
        by: str = "throughput",
        *,
        latency: object = None,
        memory: object = None,
        ttft: object = None,
        tpot: object = None,
        **where: Any,
    ) -> Choice:
        """Say which case to take: the best within limits, and what ties with it.

        Parameters
        ----------
        by
            What is best: ``throughput`` (samples per second), ``latency``, ``memory`` (the peak),
            ``ttft``, ``tpot``, ``decode_tokens_per_s``, ``cost_per_million_tokens``,
            ``cost_per_thousand_samples``, or a column that `with_column` has added.
        latency
            The longest that a call may take, like ``"50 ms"``; in generation the whole call. A
            number is seconds.
        memory
            The highest peak, like ``"4 GB"`` (4 × 10^9 bytes) or ``"4 GiB"``.
        ttft, tpot
            The longest time to the first token, and of each after it.
        **where
            Values of axes that a case must have, like ``mode="inference", sequence_length=128``.

        A case whose interval meets the best one's is a tie with it. Raises `ArgumentError` for what
        is not one of these, or was not measured.
        """
        limits = {"latency": latency, "memory": memory, "ttft": ttft, "tpot": tpot}
        return self.best_within(Budget.of(by, limits, where))

    def best_within(self, budget: Budget) -> Choice:
        """`best` for what was read from flags or a form."""
        return best(self.results, self._content.added, budget)

    def pareto(
        self, *names: str, x: str | None = None, y: str | None = None, **where: Any
    ) -> Choice:
        """The cases that no other one beats in all of these quantities at once.

        ``names`` are two quantities of `best` or more; without them they are ``x`` and ``y``, by
        default latency and memory. One case beats another if it is no worse in any, and surely
        better in one.
        """
        if names and (x or y):
            raise ArgumentError("quantities are given by position, and as x or y too; keep one")
        asked = names or (x or "latency", y or "memory")
        return pareto(self.results, self._content.added, asked, Budget.of("", {}, where))

    def with_column(
        self, name: str, values: Mapping[str, Any], *, higher_is_better: bool = True
    ) -> Report:
        """A report with a column of yours: numbers or texts by the model's name.

        Say ``higher_is_better=False`` where less is better; `best`, `pareto` and
        ``plot.tradeoff`` go by it. Models without a value have none. A column of the same name is
        replaced. Raises `ArgumentError`, also for a model that the report does not have.
        """
        models = [result.case.model for result in self.results]
        taken = set(RESERVED)
        for result in self.results[:1]:
            taken |= {*speed_row(result), *memory_row(result), *row_of_texts(result)}
        column = own_column(name, values, models, higher_is_better, taken)
        return self._with(self._content.added.with_column(column))

    def join(self, other: Any, name: str = "quality", *, higher_is_better: bool = True) -> Report:
        """A report with the columns of a DataFrame, a Series or a mapping, by the model's name.

        A DataFrame has the models in its column ``model``, or as its index, and each other column
        becomes one. ``name`` is for a mapping, or a Series without one. Rows of models that the
        report does not have are left out with a warning. Raises `ArgumentError`.
        """
        report, models = self, [result.case.model for result in self.results]
        for head, values in columns_of(other, name, models).items():
            report = report.with_column(head, values, higher_is_better=higher_is_better)
        return report

    def with_price(self, per_hour: float) -> Report:
        """A report with what an hour of the machine costs, in whatever money."""
        added = self._content.added
        return self._with(Added(added.columns, price_of(per_hour)))

    def with_best(self, budget: Budget | None) -> Report:
        """A report that shows the best within a budget below its table; it is not saved."""
        report = self._with(self._content.added)
        report._budget = budget
        return report

    def _with(self, added: Added) -> Report:
        return self._of(dataclasses.replace(self._content, added=added))

    def _as_saved(self) -> Report:
        """The report as files have it: models go by the names of their folders, not by paths."""
        return self._of(as_saved(self._content))

    def _of(self, content: Content) -> Report:
        report = Report.of(content)
        report._budget = self._budget
        return report

    @property
    def plot(self) -> Plots:
        """Plots, with Matplotlib.

        ``latency()``, ``memory()``, ``scaling()``, ``generation()``, ``tradeoff()`` and
        ``roofline()``.
        """
        named = [result.by_own_name() for result in self.results]  # pictures are shared
        return Plots(named, as_saved(self._content).added)

    def print_tables(self) -> None:
        """Print the report in the layout of Transformers' former benchmark."""
        print(_FORMER_TABLES.load()(self.results, self.facts), end="")

    def to_html(self, file: str | Path, title: str = "Benchmark") -> Path:
        """Write a page that stands by itself, for sharing: its tables sort and filter.

        It has the results, plots, what the cases differ in compared, reasons and environments.
        Without Matplotlib the page has no plots. Raises `OutputError`, and
        `ArgumentError` for a title that is no text.
        """
        if not isinstance(title, str):
            raise ArgumentError(f"title: {quoted(title)} is no text; give one, like 'Benchmark'")
        return self._as_saved()._write_page(file, title)

    def _write_page(self, file: str | Path, title: str) -> Path:
        plots = [*self.plot.pngs(), *self.plot.tradeoff_pngs()]
        usual, compared = usual_differences(self.results, self._content.baseline), None
        if usual is not None:
            compared = Compared(usual, Comparison(usual).pngs())
        rest = (self._differences(), self._content.added, self._best_html(), compared)
        return write_text(file, page(self.results, self.facts, plots, title, *rest))

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Write speed.csv, memory.csv and environment.csv into a folder, made if need be.

        And lines.csv where memory was traced line by line; where it was not, one of an earlier
        report goes. Raises `OutputError`.
        """
        return self._write_tables(folder, write_csv, ".csv")

    def to_parquet(self, folder: str | Path) -> list[Path]:
        """Write what `to_csv` writes, as Parquet: types and what is missing survive.

        The environment's values are text there. Raises `MissingParquet` where pyarrow is not
        installed, and `OutputError`.
        """
        return self._write_tables(folder, write_parquet, ".parquet")

    def _write_tables(
        self,
        folder: str | Path,
        write: Callable[[str | Path, Mapping[str, pd.DataFrame]], list[Path]],
        ending: str,
    ) -> list[Path]:
        frames = self._as_saved().frames(FRAMES)
        files = write(folder, frames)
        remove_tables(folder, {*FRAMES} - frames.keys(), ending)
        return files

    def to_markdown(self, file: str | Path | None = None) -> str:
        """The table that is shown as Markdown, for an issue or a README; written to a file, too.

        Raises `OutputError`.
        """
        text = self._as_saved()._markdown()
        if file is not None:
            write_text(file, f"{text}\n")
        return text

    def _markdown(self) -> str:
        text = as_markdown(self.results, self.facts, self._differences(), self._content.added)
        return "\n\n".join(filter(None, [text, self._best_as(Choice.to_markdown, markdown_text)]))

    def frames(self, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        """The frames of these names, without ``lines`` where no memory was traced."""
        frames = {name: getattr(self, name) for name in names}
        return {name: frame for name, frame in frames.items() if name != "lines" or len(frame)}

    def save(self, file: str | Path) -> Path:
        """Write all of the report, raw samples included, as JSON; conventionally ``.nbbench.json``.

        Tracebacks and logs are omitted, since they name folders. Raises `OutputError`.
        """
        return write_content(file, self._content)

    def to_dict(self) -> dict[str, Any]:
        """All of the report as JSON values, as `save` writes them."""
        return as_values(self._content)

    @classmethod
    def load(cls, file: str | Path) -> Report:
        """Read a report that `save` wrote; raises `OutputError` for any other file."""
        return cls.of(read_content(file))

    def _differences(self) -> Differences | None:
        """What differs from the baseline that the run was given; None without one."""
        return differences_from(self.results, self._content.baseline)

    def __repr__(self) -> str:
        added = self._content.added
        text = as_text(self.results, self.facts, self._differences(), output_width(), added)
        return "\n\n".join(filter(None, [text, self._best_as(repr, str)]))

    def _repr_html_(self) -> str:
        return self.to_fragment()

    def to_fragment(self, plots: Sequence[bytes] = ()) -> str:
        """The report as HTML for a notebook, with PNG images below its table."""
        added, below = self._content.added, self._best_html()
        return report_html(self.results, self.facts, plots, self._differences(), added, below)

    def _best_html(self) -> str:
        return self._best_as(Choice._repr_html_, lambda text: f"<div>{escape(text)}</div>")

    def _best_as(self, form: Callable[[Choice], str], plain: Callable[[str], str]) -> str:
        """The best within the budget that was asked for, or why there is none; empty without."""
        if self._budget is None or not self.results:
            return ""
        try:
            return form(self.best_within(self._budget))
        except ArgumentError as error:
            return plain(f"no best: {error}")

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_latex_(self) -> str:
        return as_latex(self.results, self._content.added)

    def __eq__(self, other: object) -> bool:
        """Equal results, raw samples included, and equal facts, as files have them."""
        if not isinstance(other, Report):
            return False
        return as_saved(self._content) == as_saved(other._content)

    __hash__ = None  # type: ignore[assignment]


def _check_comparison(other: Any, by: Any, baseline: Any, matters: Any) -> None:
    """Raise `ArgumentError` for what `Report.compare` cannot be given."""
    if not isinstance(other, Report | None):
        raise ArgumentError(f"other: {quoted(other)} is no report; give nbbench.Report.load(file)")
    if not isinstance(by, str):
        raise ArgumentError(f"by: {quoted(by)} is not the name of an axis, like execution")
    if not isinstance(baseline, str | Number | None):
        raise ArgumentError(f"baseline: {quoted(baseline)} is not a value of an axis, like eager")
    if type(matters) not in (int, float) or not 0 <= matters < 10:
        raise ArgumentError(f"matters: {quoted(matters)} is not a part of the time, like 0.02")
