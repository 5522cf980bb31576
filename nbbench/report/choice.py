"""Cases that were chosen, best first, as frame, text and page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from ..plan.result import Result
from ..text import cell_text, one_line
from ..worker.case import AXES
from .differences_text import left_aligned
from .estimates import Estimate
from .layout import Table, fit
from .markup import html_table, markdown_table, markdown_text
from .quantities import Quantity
from .width import output_width

if TYPE_CHECKING:
    import pandas as pd

_IDENTITY = ("model", "batch_size", "sequence_length")

COLUMNS = ("choice", "limits", "missed")
"""What is added to a case's own columns."""


@dataclass(frozen=True)
class Chosen:
    """A case that was chosen.

    ``choice`` is what as: "best", "tie" (as good as the best, as far as is known), "perhaps" (as
    good or better, but it may not keep to the limits), "nearest" where none keeps to them, or
    "front". ``limits`` says whether it keeps to the limits "surely", "perhaps" or "no"; empty
    without any. ``missed`` says by how much it does not.
    """

    result: Result
    choice: str
    estimates: tuple[Estimate | None, ...]
    limits: str = ""
    missed: str = ""


@dataclass(frozen=True)
class Choice:
    """Cases that were chosen from a report, best first.

    ``frame`` has a row for each: its axes, the quantities with the ends of their intervals, and
    the columns ``choice``, ``limits`` and ``missed`` of `Chosen`. ``notes`` are what has to be
    known of it, a sentence each.
    """

    title: str
    rows: tuple[Chosen, ...]
    quantities: tuple[Quantity, ...] = field(repr=False)
    varying: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """The results, best first."""
        return tuple(row.result for row in self.rows)

    @property
    def met(self) -> bool:
        """Whether a case keeps to the limits, at least perhaps."""
        return any(row.limits != "no" for row in self.rows)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a case."""
        return self.to_frame()

    def to_frame(self) -> pd.DataFrame:
        """One row a case, best first; units are in the columns' names, as in a report's frames."""
        import pandas as pd

        frame = pd.DataFrame([self._record(row) for row in self.rows])
        if "sequence_length" in frame.columns:
            frame["sequence_length"] = frame["sequence_length"].astype("Int64")
        return frame

    def to_markdown(self) -> str:
        """The choice as Markdown."""
        table = self._table()
        text = markdown_table(table.heads, table.rows) if table.rows else ""
        return "\n\n".join(
            filter(None, [markdown_text(self.title), text, *map(markdown_text, self.notes)])
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Chosen]:
        return iter(self.rows)

    def __repr__(self) -> str:
        layout = fit(self._table(), output_width(), gap=2)
        tables = "\n\n".join(map(left_aligned, layout.tables))
        return "\n".join(filter(None, [one_line(self.title), tables, layout.note, *self.notes]))

    def _repr_html_(self) -> str:
        table = self._table()
        shown = html_table(table.heads, table.rows)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
        title = f"<div><b>{escape(one_line(self.title))}</b></div>"
        return f'<div class="nbbench">{title}<div class="scroll">{shown}</div>{notes}</div>'

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _record(self, row: Chosen) -> dict[str, Any]:
        names = (*_IDENTITY, *(name for name in self.varying if name not in _IDENTITY))
        axes = {axis.name: axis for axis in AXES}
        record: dict[str, Any] = {name: row.result.value(axes[name]) for name in names}
        if row.result.outcome.node:
            record["node"] = row.result.outcome.node
        for quantity, estimate in zip(self.quantities, row.estimates, strict=True):
            record.update(_columns(quantity, estimate))
        return {**record, "choice": row.choice, "limits": row.limits, "missed": row.missed}

    def _table(self) -> Table:
        shown = ("model", *self.varying)
        axes = [axis for axis in AXES if axis.name in shown]
        of_nodes = any(row.result.outcome.node for row in self.rows)
        keys = (*(axis.head for axis in axes), *(["node"] if of_nodes else []))
        heads = ["choice", *keys, *(one_line(each.name) for each in self.quantities)]
        rows = [
            [
                row.choice,
                *(cell_text(row.result.value(axis)) for axis in axes),
                *([one_line(row.result.outcome.node)] if of_nodes else []),
                *(q.shown(e) for q, e in zip(self.quantities, row.estimates, strict=True)),
            ]
            for row in self.rows
        ]
        for head, cells in (
            ("limits", [row.limits for row in self.rows]),
            ("missed", [row.missed for row in self.rows]),
        ):
            if any(cells):
                heads.append(head)
                rows = [[*row, cell] for row, cell in zip(rows, cells, strict=True)]
        return Table(heads, rows, ("choice", *keys))


def _columns(quantity: Quantity, estimate: Estimate | None) -> dict[str, float | None]:
    """The value and the ends of its interval, by their columns; without ends for exact ones."""
    ends = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    values = [None if each is None else each / quantity.scale for each in ends]
    record = dict(zip(quantity.columns(), values, strict=True))
    return dict(list(record.items())[:1]) if quantity.is_exact else record
