"""The ceilings of the devices that a run uses: those of the day, and what is missing of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from ..machine.kept_ceilings import keep_ceilings, read_ceilings
from ..machine.reference_level import level_key
from ..report.roofline import NO_CEILINGS
from ..worker.case import Case, Outcome
from ..worker.ceilings import Ceilings
from .events import Event
from .supervise import Supervisor

_NOT_COUNTED = (
    f"{NO_CEILINGS}what a call does is not counted; measure memory, too, with frameworks pytorch "
    f"and executions eager, and with max_time at least twice a call"
)


_NO_FORMULA = (
    f"{NO_CEILINGS}an operation of the model makes products by no formula that is known; measure "
    f"without ceilings"
)


class CeilingsOfRun:
    """Measures what no run of the day has measured, and keeps it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Ceilings | None, str]] = {
            key: (found, "") for key, found in read_ceilings().items()
        }

    def of(
        self, case: Case, outcome: Outcome, key: str, supervisor: Supervisor
    ) -> Generator[Event, None, Outcome]:
        """Yield the events of measuring, if need be; the outcome with its device's ceilings.

        ``outcome`` is that of the case's first visit, which says in which dtype it runs, and
        ``key`` what else its reference kernel depends on. Where there are no ceilings to be had,
        the outcome's reason says why.
        """
        if outcome.count is None:
            return _with_reason(outcome, _NOT_COUNTED)
        if outcome.count.flops is None:
            return _with_reason(outcome, _NO_FORMULA)
        key = level_key(key, outcome.dtype, "ceilings")
        if key not in self._known:
            measured = yield from supervisor.ceilings(case, outcome.dtype)
            found = measured.ceilings
            self._known[key] = found, "" if found else f"{NO_CEILINGS}{measured.reason}"
            if found is not None:
                keep_ceilings(key, found)
        found, reason = self._known[key]
        return _with_reason(replace(outcome, ceilings=found), reason)


def _with_reason(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, reason="; ".join(filter(None, [outcome.reason, reason])))
