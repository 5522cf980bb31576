"""Whether a cluster has a node that can run cases, while they wait for one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from ..errors import NbbenchError
from .events import Notice
from .ray_connection import of_ray
from .ray_demand import Demand, may_grow

_LOOK_AT_NODES_S = 2.0
_NO_NODE_S = 10.0
"""Seconds that cases wait for a node in a cluster that no autoscaler is known to enlarge."""

_NO_ROOM_S = 15.0
"""Seconds after which a notice says that nodes are in use."""


class NodeWatch:
    """Whether the cluster has a node that can run cases, looked at from time to time.

    ``problem`` says that none has come for too long.
    """

    def __init__(self, ray: Any, demand: Demand, timeout: float) -> None:
        self.problem = ""
        self._ray, self._demand, self._timeout = ray, demand, timeout
        self._begun = self._looked = time.monotonic()
        self._lacks_since: float | None = None
        self._has_run = False

    def check_at_start(self) -> None:
        """Raise `NbbenchError` if no node has what cases ask for, and none will come."""
        lack = self._demand.lack(self._ray.nodes())
        if lack and may_grow(self._ray) is False:
            raise NbbenchError(f"{lack}; ask for less, or add a node that has it")

    def look(self, runs: bool) -> Iterator[Notice]:
        """Give notice that no node can run cases, or that those that can are in use."""
        now = time.monotonic()
        if now - self._looked < _LOOK_AT_NODES_S:
            return
        self._looked = now
        lack = self._demand.lack(of_ray(self._ray, "nodes")())
        if lack and self._lacks_since is None:
            self._lacks_since = now
            yield Notice(f"{lack}; cases wait for a node that has it")
        elif lack and self._lacks_since is not None:
            limit = self._timeout if may_grow(self._ray) else _NO_NODE_S
            waited = now - self._lacks_since
            if waited > limit:
                self.problem = f"{lack}, and none has come within {limit:g} s"
        else:
            self._lacks_since = None
        if not (self._has_run or runs or lack) and now - self._begun > _NO_ROOM_S:
            yield Notice(f"nodes that have {self._demand} are in use; cases wait until one is free")
            runs = True
        self._has_run = self._has_run or runs
