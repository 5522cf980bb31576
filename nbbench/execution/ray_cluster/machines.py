"""The machines of a cluster, and what became on them of cases in earlier runs."""

from __future__ import annotations

import dataclasses

from ...history_database.store import environment_hash, machine_hash
from ...machine.machine import MachineFacts
from ...report.environment import EnvironmentKey, WorkerFacts
from ...worker.case import Case
from ..events import CaseEnded
from ..resume import EarlierRuns, FoundOnNode, found_case, is_whole
from .node import NodeIntroduced


class Machines:
    """The machines that are in a cluster now, by what their workers report.

    What an earlier run has measured on such a machine, with the same versions, is not measured
    again. Two machines of one run keep two names, however much they are alike.
    """

    def __init__(self, earlier: EarlierRuns) -> None:
        self.earlier = earlier
        self.asked = 0
        """How many nodes are asked what they are."""
        self._nodes: dict[str, list[str]] = {}
        self._workers: dict[EnvironmentKey, dict[tuple[str, ...], WorkerFacts]] = {}
        self._names: dict[tuple[str, str], str] = {}

    @property
    def are_known(self) -> bool:
        """Whether a node has introduced itself."""
        return bool(self._nodes)

    def add(self, node: str, introduced: NodeIntroduced) -> None:
        """Count a node, by its name in this run."""
        hashed = _hash(introduced.machine)
        self._nodes.setdefault(hashed, []).append(node)
        for key, worker in introduced.workers.items():
            alike = hashed, environment_hash(worker), worker.gpu.gpu or ""
            self._workers.setdefault(key, {})[alike] = worker

    def find(self, case: Case, *, own_process: bool) -> CaseEnded | None:
        """The end of a case that such a machine has measured wholly; None if none has."""
        workers = self._workers.get((case.framework, case.environment), {}).values()
        found = self.earlier.find_on_nodes(case, [*workers], own_process=own_process)
        if found is None or not is_whole(case, found.result, own_process=own_process):
            return None
        outcome = dataclasses.replace(found.result.outcome, node=self._name(found))
        sized = found_case(case, found.result.case) if case.searched else None
        return CaseEnded(case, outcome, found.worker, is_old=True, found=sized)

    def _name(self, found: FoundOnNode) -> str:
        """What the node of an earlier run is called in this one.

        It is the node that is the same machine, where that can be no other: neither was another
        one like it in the earlier run, nor is one in this, among the nodes that have not said yet
        what they are. Else it is one of before.
        """
        before = found.run, found.result.outcome.node
        if before not in self._names:
            now = self._nodes.get(_hash(found.worker.machine), [])
            number = sum(name.startswith(_EARLIER) for name in self._names.values()) + 1
            is_same = len(now) == 1 and self._are_all_known and self.earlier.has_one_node(found.run)
            self._names[before] = now[0] if is_same else f"{_EARLIER}{number}"
        return self._names[before]

    @property
    def _are_all_known(self) -> bool:
        """Whether every node has introduced itself that is asked."""
        return sum(map(len, self._nodes.values())) >= self.asked


_EARLIER = "earlier node "


def _hash(machine: MachineFacts | None) -> str:
    """What tells one machine from another, as the history has it of a node."""
    return machine_hash(machine or MachineFacts(), ())
