"""What was predicted of cases, before any of them ran: frame, text and page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..plan.result import Result
from ..text import MIB, cell_text, mebibytes, one_line, rounded, time_unit
from ..worker.case import AXES, Axis, Status, varying_axes
from ..worker.prediction import Prediction
from .differences_text import left_aligned
from .fit import DeviceMemory
from .layout import Table, fit
from .markup import html_table, markdown_table, markdown_text
from .tables import failures
from .width import output_width

if TYPE_CHECKING:
    import pandas as pd

_PARTS = {
    "weights": "weights", "gradients": "gradients", "optimizer": "optimizer",
    "KV cache": "cache", "activations": "activations",
}  # fmt: skip
"""The head of each part's column in a table, and its field of a prediction."""

_IDENTITY = ("model", "batch_size", "sequence_length")

_NOTE = "predicted from the models' code, nothing was run; sizes are those of tensors, in MiB"


class Predictions:
    """What was predicted of each case; no part of it was measured.

    ``frame`` has a row for each: ``predicted_peak_mib`` and the parts that it is made of, which
    need not be there at the same time; ``peak_phase`` and ``peak_operation`` when the peak is
    reached; ``flops`` and ``moved_mib`` of a call. With a ``device_memory`` that is a size or a
    card's name ``fit`` says "fits", "within the margin" or "does not fit", and for a card
    ``at_least_s`` is the roofline's bound: no call can take less there.
    """

    def __init__(self, results: Sequence[Result], memory: DeviceMemory | None = None) -> None:
        self.results = tuple(results)
        self._memory = memory

    @property
    def frame(self) -> pd.DataFrame:
        """One row a case; sizes in MiB, times in seconds; what could not be predicted missing."""
        import pandas as pd

        axes = {axis.name: axis for axis in AXES}
        names = [*_IDENTITY, *(name for name in axes if name not in _IDENTITY)]
        frame = pd.DataFrame(
            [
                {
                    **{name: result.value(axes[name]) for name in names[:3]},
                    **_columns(result.outcome.prediction, self._memory),
                    **{name: result.value(axes[name]) for name in names[3:]},
                    "status": result.outcome.status.value,
                    "reason": result.outcome.reason,
                }
                for result in self.results
            ]
        )
        for name in frame.columns:
            if name in ("sequence_length", "new_tokens", "parameters"):
                frame[name] = frame[name].astype("Int64")
            elif name.endswith(("_mib", "_s", "flops")):
                frame[name] = frame[name].astype("float64")
        return frame

    def to_markdown(self) -> str:
        """The predictions as Markdown."""
        table = self._table()
        shown = markdown_table(table.heads, table.rows) if table.rows else ""
        return "\n\n".join(filter(None, [shown, *map(markdown_text, self._notes())]))

    def __repr__(self) -> str:
        layout = fit(self._table(), output_width(), gap=2)
        shown = "\n\n".join(left_aligned(part) for part in layout.tables if part.rows)
        return "\n".join(filter(None, [shown, layout.note, *self._notes()]))

    def _repr_html_(self) -> str:
        table = self._table()
        shown = html_table(table.heads, table.rows)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes())
        return f'<div class="nbbench"><div class="scroll">{shown}</div>{notes}</div>'

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _predicted(self) -> list[tuple[Result, Prediction]]:
        known = ((result, result.outcome.prediction) for result in self.results)
        return [(result, prediction) for result, prediction in known if prediction is not None]

    def _table(self) -> Table:
        rows = self._predicted()
        if not rows:
            return Table([], [])
        axes = _shown_axes([result for result, _ in rows])
        cells = [
            {
                **{axis.head: cell_text(result.value(axis)) for axis in axes},
                **_cells(prediction, self._memory),
            }
            for result, prediction in rows
        ]
        heads = [head for head in cells[0] if any(row[head] for row in cells)]
        keys = tuple(axis.head for axis in axes)
        return Table(heads, [[row[head] for head in heads] for row in cells], keys)

    def _notes(self) -> list[str]:
        listed = [f"{label}: {reason}" for label, reason in failures(self.results)]
        listed += dict.fromkeys(one_line(p.note) for _, p in self._predicted() if p.note)
        notes = [_NOTE] if self._predicted() else []
        if self._memory is not None and notes:
            dtypes = {prediction.dtype for _, prediction in self._predicted()}
            notes += filter(None, [self._memory.sentence, self._memory.warning(dtypes)])
        return [*listed, *notes]


def _shown_axes(results: Sequence[Result]) -> list[Axis]:
    varying = {axis.name for axis in varying_axes(result.case for result in results)}
    return [axis for axis in AXES if axis.name in (*_IDENTITY, "mode") or axis.name in varying]


def _columns(prediction: Prediction | None, memory: DeviceMemory | None) -> dict[str, Any]:
    """A prediction as numbers; all missing where there is none."""
    sizes = {f"{_column(head)}_mib": name for head, name in {**_PARTS, "inputs": "inputs"}.items()}
    call = None if prediction is None else prediction.call
    row: dict[str, Any] = {"predicted_peak_mib": None if call is None else call.peak / MIB}
    if memory is not None:
        row["fit"] = "" if call is None else memory.fit(call.peak).value
        row["at_least_s"] = None if prediction is None else memory.at_least_s(prediction)
    for column, name in sizes.items():
        size = None if prediction is None else getattr(prediction, name)
        row[column] = None if size is None else size / MIB
    for name in ("peak_phase", "peak_operation"):
        row[name] = "" if prediction is None else getattr(prediction, name)
    row["parameters"] = None if prediction is None else prediction.parameter_count
    row["flops"] = None if call is None else call.flops
    row["moved_mib"] = None if call is None else call.moved / MIB
    row["predicting_s"] = None if prediction is None else prediction.seconds
    return row


def _column(head: str) -> str:
    return head.lower().replace(" ", "_")


def _cells(prediction: Prediction, memory: DeviceMemory | None) -> dict[str, str]:
    """A prediction as texts."""
    cells = {"predicted peak": mebibytes(prediction.call.peak)}
    if memory is not None:
        cells["fit"] = memory.fit(prediction.call.peak).value
    cells |= {head: mebibytes(getattr(prediction, name)) for head, name in _PARTS.items()}
    cells["peak in"] = prediction.peak_phase
    cells["GFLOPs a call"] = rounded(prediction.call.flops / 1e9) if prediction.call.flops else ""
    at_least_s = None if memory is None else memory.at_least_s(prediction)
    if at_least_s is not None:
        unit, scale = time_unit(at_least_s)
        cells["at least"] = f"{rounded(at_least_s / scale)} {unit}"
    return cells


def any_unfit(predictions: Predictions, memory: DeviceMemory | None) -> bool:
    """Whether a case could not be predicted, or does not fit."""
    if any(result.outcome.status is not Status.OK for result in predictions.results):
        return True
    known = [r.outcome.prediction for r in predictions.results if r.outcome.prediction]
    return memory is not None and any(memory.fit(p.call.peak).value != "fits" for p in known)
