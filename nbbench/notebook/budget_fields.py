"""The form's section on which case to take: what is best, within which limits."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from ..display.cell_output import escaped_note
from ..errors import ArgumentError
from ..report.budget import Budget, budget_of_texts
from ..report.quantities import NAMES
from .fields import row_label

_NONE = "nothing"
"""What stands for no choice."""


class BudgetFields:
    """What is best, and limits as a text like ``latency=50 ms, memory=4 GB``.

    ``box`` is what is shown.
    """

    def __init__(self, budget: Budget | None, changed: Callable[[], None]) -> None:
        flags = [] if budget is None else budget.flags
        self._by = widgets.Dropdown(
            options=[_NONE, *NAMES],
            value=_NONE if budget is None else budget.by,
            layout=widgets.Layout(width="14em"),
        )
        self._within = widgets.Text(
            ", ".join(flags[3:]),
            description="within",
            placeholder="latency=50 ms, memory=4 GB",
            style={"description_width": "4em"},
            layout=widgets.Layout(width="24em"),
        )
        self._message = widgets.HTML()
        for each in (self._by, self._within):
            each.observe(lambda _: changed(), "value")
        self.box = widgets.HBox(
            [row_label("best by"), self._by, self._within, self._message],
            layout=widgets.Layout(flex_flow="row wrap"),
        )

    def read(self) -> Budget | None:
        """What is filled in; raises `ArgumentError`."""
        by = None if self._by.value == _NONE else self._by.value
        return budget_of_texts(by, [self._within.value])

    def check(self) -> bool:
        """Whether it makes sense; shows what does not."""
        try:
            self.read()
        except ArgumentError as error:
            self._message.value = escaped_note(str(error))
            return False
        self._message.value = ""
        return True
