"""What the supervisor asks of a worker, whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..worker.case import Outcome, Phase
from ..worker.messages import Event, Request


class Worker(Protocol):
    """Something that measures cases, one at a time.

    ``facts`` is what it reported of itself when it was ready, empty before; ``where`` names its
    interpreter in messages, ``serves_many`` says whether it takes more than one case, and
    ``introduces_itself`` whether it reports before it is asked for anything.
    """

    facts: Mapping[str, Any]
    where: str
    serves_many: bool
    introduces_itself: bool

    @property
    def alive(self) -> bool:
        """Whether it can be asked for anything."""

    def begin_case(self) -> None:
        """Have `log_tail` show no more than is printed from now on."""

    def send(self, request: Request) -> None:
        """Ask for something; a worker that is gone is noticed by `receive`."""

    def receive(self, timeout: float) -> Event | None:
        """The next event, None when the worker is gone; ``queue.Empty`` after ``timeout`` s."""

    def stop(self) -> None:
        """End the running case, and the worker too if it does not do so in time."""

    def close(self) -> None:
        """End the worker and the case that it runs, at once."""

    def outcome_of_death(self, phase: Phase) -> Outcome:
        """What comes of a case in this phase, now that the worker is gone."""

    def log_tail(self) -> str:
        """The end of what the framework has printed."""


class Workers(Protocol):
    """Where the supervisor gets workers of one kind, for one framework in one interpreter."""

    facts: Mapping[str, Any]
    """What is known of the interpreter besides what its workers report."""
    own_process: bool
    """Whether each visit runs in a process of its own."""

    def take(self) -> Worker:
        """A worker that takes a case; raises ``OSError`` where no interpreter can be started."""

    def give_back(self, worker: Worker, *, idle: bool) -> None:
        """Return a worker; ``idle`` says that it runs no case."""
