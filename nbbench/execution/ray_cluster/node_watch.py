"""Whether a cluster has a node that can run cases, while they wait for one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ...errors import NbbenchError
from ..events import Notice
from .connection import of_ray
from .demand import Demand, may_grow

_LOOK_AT_NODES_S = 2.0
_NO_NODE_S = 10.0
"""Seconds that cases wait for a node in a cluster that no autoscaler is known to enlarge."""

_HEAD_S = 15.0
"""Seconds that the cluster's head has to answer; after 60 s Ray ends this process."""

MAX_STEP_S = 1.0
"""Seconds between two looks that count at most: this process may have been stopped itself."""

_NO_ROOM_S = 15.0
"""Seconds after which a notice says that nodes are in use."""

_Answer: TypeAlias = tuple[list[Any], bool | None] | None
"""The nodes, and whether more may come by themselves; None where Ray could not say."""


class NodeWatch:
    """Whether the cluster has a node that can run cases, looked at from time to time.

    ``problem`` says that none has come for too long, or that the head is gone that would know;
    ``room`` how many groups of cases its nodes can run at a time.
    """

    def __init__(
        self, ray: Any, demand: Demand, timeout: float, nodes: Sequence[Mapping[str, Any]]
    ) -> None:
        self.problem = ""
        self.has_head = True
        self.room = demand.room(nodes)
        self._nodes = nodes
        self._ray, self._demand, self._timeout = ray, demand, timeout
        self._begun = self._looked = self._passed = time.monotonic()
        self._answers: queue.Queue[_Answer] | None = None
        self._unanswered_s = 0.0
        self._answered = self._begun
        self._lacks_since: float | None = None
        self._has_run = self._has_said_in_use = False

    def check_at_start(self) -> None:
        """Raise `NbbenchError` if no node has what cases ask for, and none will come."""
        lack = self._demand.lack(self._nodes)
        if lack and may_grow(self._ray) is False:
            raise NbbenchError(f"{lack}; ask for less, or add a node that has it")

    def look(self, runs: bool) -> Iterator[Notice]:
        """Give notice that no node can run cases, or that those that can are in use."""
        now = time.monotonic()
        step, self._passed = min(now - self._passed, MAX_STEP_S), now
        self._has_run = self._has_run or runs
        if self._answers is None:
            if now - self._looked >= _LOOK_AT_NODES_S:
                self._ask()
            return
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            self._unanswered_s += step
            if self._unanswered_s > _HEAD_S:
                self.has_head = False
                self.problem = f"the head of the cluster has not answered for {_HEAD_S:g} s"
            return
        self._answers, self._looked, self._unanswered_s = None, now, 0.0
        if answer is not None:
            self._answered = now
            yield from self._judge(*answer, now)
        elif now - self._answered > _HEAD_S:
            self.has_head = False
            self.problem = f"the head of the cluster has answered with errors for {_HEAD_S:g} s"

    def _ask(self) -> None:
        """Ask for the nodes in a thread: Ray waits for a head that is gone, for good."""
        answers: queue.Queue[_Answer] = queue.Queue()
        self._answers = answers

        def ask() -> None:
            try:
                nodes = of_ray(self._ray, "nodes")()
                answers.put((nodes, may_grow(self._ray)))
            except Exception:  # it is asked again; silence alone means that it is gone
                answers.put(None)

        threading.Thread(target=ask, daemon=True, name="nbbench-ray-nodes").start()

    def _judge(self, nodes: list[Any], grows: bool | None, now: float) -> Iterator[Notice]:
        self.room = self._demand.room(nodes)
        lack = self._demand.lack(nodes)
        if lack and self._lacks_since is None:
            self._lacks_since = now
            yield Notice(f"{lack}; cases wait for a node that has it")
        elif lack and self._lacks_since is not None:
            limit = self._timeout if grows else _NO_NODE_S
            if now - self._lacks_since > limit:
                self.problem = f"{lack}, and none has come within {limit:g} s"
        else:
            self._lacks_since = None
        says_in_use = not (self._has_run or self._has_said_in_use or lack)
        if says_in_use and now - self._begun > _NO_ROOM_S:
            self._has_said_in_use = True
            yield Notice(f"nodes that have {self._demand} are in use; cases wait until one is free")
