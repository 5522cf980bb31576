"""What a user is given of a comparison: frames, text, pages and a plot."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..worker.case import AXES
from .differences import Differences
from .differences_text import differences_html, differences_markdown, differences_text
from .drawing import MissingPlots, Plot
from .plots import DPI_IN_PAGE, forest
from .verdict import Difference, Verdict
from .width import output_width

if TYPE_CHECKING:
    import pandas as pd


class Comparison:
    """What differs between cases, by how much, and how surely.

    ``frame`` has a row for each compared case: ``ratio`` is its time over the baseline's, with the
    ends of its 95 % interval, ``verdict`` is "faster", "slower", "same" (surely within 2 %) or
    "cannot tell", and ``memory_verdict`` "larger", "smaller" or "same".
    """

    def __init__(self, differences: Differences) -> None:
        self._differences = differences

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The compared cases."""
        return self._differences.each

    @property
    def notes(self) -> tuple[str, ...]:
        """What differs in the environments, and names of several models, a sentence each."""
        return (*self._differences.notes, *self._differences.of_models)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The labels of cases that stand on one side alone."""
        return self._differences.unmatched

    @property
    def vanished(self) -> tuple[str, ...]:
        """The labels of cases that went well in the earlier report, and are not in this one."""
        return self._differences.vanished

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a compared case."""
        return self._differences.frame

    @property
    def mean(self) -> tuple[float, float, float] | None:
        """The geometric mean of the ratios with its 95 % interval; None for fewer than two."""
        return self._differences.mean

    def count(self, verdict: str) -> int:
        """How many cases have this verdict."""
        return self._differences.count(Verdict(verdict))

    def plot(self, ax: object = None) -> Plot:
        """A forest plot of the ratios with their intervals; of many, those that differ most."""
        rows = [
            (self._label(d), d.ratio, d.low, d.high, d.verdict)
            for d in self.differences
            if d.ratio is not None and d.low is not None and d.high is not None
        ]
        return forest(rows, ax)

    def _label(self, difference: Difference) -> str:
        """The model, and what else distinguishes the case from the others that were compared."""
        case, varying = difference.case, self._differences.varying
        parts = [axis.alone(case) for axis in AXES if axis.name in ("model", *varying)]
        return ", ".join(filter(None, [*parts, difference.node]))

    def pngs(self) -> list[bytes]:
        """The plot as a PNG image, for a page; none without ratios, or without Matplotlib."""
        if not any(d.ratio is not None and d.low is not None for d in self.differences):
            return []
        try:
            return [self.plot().png(DPI_IN_PAGE)]
        except MissingPlots:
            return []

    def to_markdown(self) -> str:
        """The comparison as Markdown."""
        return differences_markdown(self._differences)

    def __repr__(self) -> str:
        return differences_text(self._differences, output_width())

    def _repr_html_(self) -> str:
        return differences_html(self._differences)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()
