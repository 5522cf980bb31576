"""The ceilings of the devices that a run uses: those of the day, and what is missing of them."""

from __future__ import annotations

from collections.abc import Generator

from ..machine.kept_ceilings import keep_ceilings, read_ceilings
from ..machine.reference_level import level_key
from ..plan.cases import Case, Ceilings, Outcome, Status
from .events import Event
from .supervise import Supervisor


class CeilingsOfRun:
    """Measures what no run of the day has measured, and keeps it."""

    def __init__(self) -> None:
        self._known: dict[str, Ceilings | None] = {**read_ceilings()}

    def of(
        self, case: Case, outcome: Outcome, key: str, supervisor: Supervisor
    ) -> Generator[Event, None, Ceilings | None]:
        """Yield the events of measuring, if need be; None where there are none to be had.

        ``outcome`` is that of the case's first visit, which says in which dtype it runs, and
        ``key`` what else its reference kernel depends on.
        """
        if outcome.count is None:
            return None
        key = level_key(key, outcome.dtype, "ceilings")
        if key not in self._known:
            measured = yield from supervisor.ceilings(case, outcome.dtype)
            self._known[key] = found = measured.ceilings
            if found is not None and measured.status is Status.OK:
                keep_ceilings(key, found)
        return self._known[key]
