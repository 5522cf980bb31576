"""Cases on a cluster of Ray: it places them on nodes, where they are measured as they are here.

A task of Ray measures a group of cases on one node, round by round, and yields its events as they
happen. Ray decides where each runs; a group whose node dies is given to Ray once more.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from ...errors import NbbenchError
from ...plan.plan import Plan
from ...text import counted
from ...worker.case import Case, Outcome, Phase, Status
from ..events import CaseEnded, CaseVisited, Event, Notice
from ..predictions import seconds_to_predict
from ..resume import history_to_resume
from ..turn import MEASURES_BESIDE
from .connection import connected, lose_head, of_ray, shutdown_waits
from .demand import Demand
from .groups import Group, groups_of
from .loss import Loss, loss_of
from .machines import Machines
from .node import (
    NodeIntroduced,
    NodeWaits,
    Sender,
    end_process,
    introduced_on_node,
    measured_on_node,
    of_any_gpu,
)
from .node_watch import MAX_STEP_S, NodeWatch

_MAX_TRIES = 3
"""How often cases are begun whose node dies."""

_MIN_AT_ONCE = 200
"""How many groups Ray is given to run, at least; every event looks at all of them."""

_WAIT_S = 0.05
_CANCEL_S = 2.0
"""Seconds that a task has to end its cases before its process is ended."""

_SILENT_S = 20.0
"""Seconds beyond ``timeout`` that a node may be silent: its own worker times a case out before."""

_ENVIRONMENT_S = 3600.0
"""Seconds that a node may be silent while it makes an environment, which ``timeout`` is not for."""

_IN_USE_S, _BEGUN_S = 30.0, 300.0
"""Seconds that a node has to say what it is before cases begin: while others use it, or once it has
begun to make its environment."""

_SHUT_DOWN = Outcome(
    Status.CANCELLED, "Ray was shut down in this process (ray.shutdown) before it had ended"
)


def measure_on_ray(plan: Plan, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Run every case of a plan on the cluster; yields what happens, and the end of each case.

    Raises `NbbenchError` where Ray is not installed, the cluster cannot be reached, or no node of
    it has what cases ask for.
    """
    ray = connected(plan.arguments.address, cancelled)
    if ray is None:  # cancelled before there was a cluster
        yield from (CaseEnded(case, Outcome.skipped()) for case in plan.cases)
        return
    with shutdown_waits(ray) as turn:
        yield from _measured(ray, plan, cancelled, turn)


def _measured(
    ray: Any, plan: Plan, cancelled: Callable[[], bool], turn: AbstractContextManager[Any]
) -> Iterator[Event]:
    try:
        cluster = _Cluster(ray, plan, turn)
    except NbbenchError:
        raise
    except Exception:
        if ray.is_initialized():
            raise
        yield from (CaseEnded(case, _SHUT_DOWN) for case in plan.cases)
        return
    yield from cluster.measured(cancelled)


class _Cluster:
    """The groups of one benchmark on their way through a cluster.

    Ray is asked in ``turn`` with what shuts it down.
    """

    def __init__(self, ray: Any, plan: Plan, turn: AbstractContextManager[Any]) -> None:
        self._ray, self._plan, self._turn = ray, plan, turn
        self._job = ray.get_runtime_context().get_job_id()
        self._nodes: dict[str, str] = {}
        self._seen_waiting = set[str]()
        nodes = of_ray(ray, "nodes")()
        self._demand, self._nodes_at_start = Demand.of(plan.arguments, nodes), nodes
        self._task = self._demand.task(ray, measured_on_node)
        self._predict_s = seconds_to_predict(plan.arguments.predict, len(plan.cases))
        self._running: dict[Any, Group] = {}
        self._waiting: deque[Group] = deque()
        self._watch = NodeWatch(ray, self._demand, plan.arguments.timeout, nodes)
        self._begun = self._looked_at = time.monotonic()
        self._machines: Machines | None = None

    def measured(self, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Have all groups measured; yields their events."""
        asked = self._plan.arguments
        if asked.resume:
            self._machines = Machines(history_to_resume(self._plan))
        found = yield from self._with_a_model()
        if found and self._machines is None:
            self._watch.check_at_start()
        groups = groups_of(found, asked.baseline is not None)
        self._waiting.extend(Group(cases) for cases in groups)
        try:
            if self._machines is not None:
                self._introduce_nodes(found, self._machines)
            yield from self._measured(cancelled)
        except Exception:
            if self._is_connected():
                raise
            yield from self._all_end(_SHUT_DOWN)
        finally:
            self._end_all()
            if self._machines is not None:
                self._machines.earlier.close()

    def _measured(self, cancelled: Callable[[], bool]) -> Iterator[Event]:
        while self._running or self._waiting:
            if cancelled():
                yield from self._arrived()
                yield from self._cancelled()
                return
            yield from self._watch.look(any(g.sender for g in self._running.values()))
            if self._watch.problem:
                yield from self._without_nodes()
                return
            if self._machines is not None and not self._introduces(self._machines):
                yield from self._resume(self._machines, cancelled)
            if self._machines is None:
                self._begin_waiting()
            for stream in self._ready(_WAIT_S):
                yield from self._received(stream)
            yield from self._silent()

    def _begin_waiting(self) -> None:
        while self._waiting and len(self._running) < self._at_once():
            self._begin(self._waiting.popleft())

    def _at_once(self) -> int:
        """How many groups Ray is given: twice what all nodes run, so that none waits for this."""
        return max(_MIN_AT_ONCE, 2 * self._watch.room)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Raise where Ray was shut down, which is not done meanwhile: that would end this process.

        So does whatever asks a Ray for a task that was shut down.
        """
        with self._turn:
            if not self._is_connected():
                raise NbbenchError("Ray was shut down while cases ran; run them again with resume")
            yield

    def _is_connected(self) -> bool:
        """Whether Ray still has the tasks of this benchmark."""
        if not self._watch.has_head:
            return False
        with suppress(Exception):
            is_initialized = self._ray.is_initialized()
            return bool(
                is_initialized and self._ray.get_runtime_context().get_job_id() == self._job
            )
        return False

    def _with_a_model(self) -> Generator[Event, None, list[Case]]:
        """The cases that are to be measured; those that have no model end here."""
        left = []
        for case in self._plan.cases:
            problem = self._plan.problems.get(case.model)
            if problem:
                yield CaseEnded(case, Outcome(Status.ERROR, problem, Phase.RESOLVING))
            else:
                left.append(case)
        return left

    def _introduce_nodes(self, cases: Sequence[Case], machines: Machines) -> None:
        """Ask every node that can run cases what it is, by a task like those that measure there."""
        first = {(case.framework, case.environment): case for case in reversed(cases)}
        plan = dataclasses.replace(self._plan, cases=[*first.values()])
        task = self._demand.task(self._ray, introduced_on_node)
        for node in self._nodes_at_start if cases else ():
            if self._demand.fits(node):
                with self._connected():
                    stream = task.options(scheduling_strategy=_at(node["NodeID"])).remote(plan)
                self._running[stream] = Group([])
                machines.asked += 1

    def _introduces(self, machines: Machines) -> bool:
        """Whether a node is waited for that has not said yet what it is.

        Where another is known, one in use is not waited for longer than a while, nor one that has
        begun than a longer while: its environment may take long, and all others wait.
        """
        groups = [group for group in self._running.values() if not group.cases]
        waited_s = time.monotonic() - self._begun if machines.are_known else 0.0
        return any(waited_s <= (_BEGUN_S if group.sender else _IN_USE_S) for group in groups)

    def _resume(self, machines: Machines, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """End the cases that machines of this cluster have measured before."""
        for group in self._waiting:
            for case in group.left:
                if cancelled():
                    return
                own_process = self._plan.arguments.isolation != "none"
                ended = machines.find(case, own_process=own_process)
                if ended is not None:
                    group.ended.add(case)
                    yield ended
        machines.earlier.close()
        yield from machines.earlier.notices()
        self._machines = None
        self._waiting = deque(group for group in self._waiting if group.left)
        for stream in [*self._running]:  # to nodes that are in use
            del self._running[stream]
            self._cancel(stream, force=False)
        if self._waiting:
            self._watch.check_at_start()

    def _arrived(self) -> Iterator[Event]:
        """What has arrived before all ends; nodes that go on sending are not read for good."""
        deadline = time.monotonic() + _CANCEL_S
        while self._running and time.monotonic() < deadline:
            ready = self._ready(0.0)
            if not ready:
                return
            for stream in ready:
                yield from self._received(stream)

    def _ready(self, wait_s: float) -> list[Any]:
        """The tasks that have something to say; none after ``wait_s`` in which nothing came.

        The wait is not Ray's, which ends this process if it is shut down meanwhile.
        """
        streams = [*self._running]
        if not streams:
            return []
        with self._connected():
            ready, _ = of_ray(self._ray, "wait")(
                streams, num_returns=len(streams), timeout=0, fetch_local=True
            )
        if not ready:
            time.sleep(wait_s)
        return list(ready)

    def _begin(self, group: Group) -> None:
        plan = dataclasses.replace(self._plan, cases=group.left)
        try:
            with self._connected():
                stream = self._task.remote(plan, self._predict_s)
        except BaseException:
            self._waiting.appendleft(group)  # it ends with those that wait
            raise
        group.begin()
        self._running[stream] = group

    def _received(self, stream: Any) -> Iterator[Event]:
        """What a task has to say next, its end included."""
        group = self._running[stream]
        group.silent_s = 0.0
        try:
            with self._connected():
                event, sender = of_ray(self._ray, "get")(next(stream))
        except StopIteration:
            del self._running[stream]
            yield from self._lost(group, Loss(f"the task on {group.node} ended early"))
            return
        except self._ray.exceptions.RayError as error:
            if not self._is_connected():
                raise
            del self._running[stream]
            yield from self._lost(group, loss_of(error, group.node))
            return
        number = len(self._nodes) + 1
        group.node = self._nodes.setdefault(sender.node, f"node {number}")
        if isinstance(event, NodeWaits):  # which may take long: it has not begun
            yield from self._in_use(group.node)
            return
        group.sender = sender
        if isinstance(event, NodeIntroduced):
            if self._machines is not None:
                self._machines.add(group.node, event)
        elif event is not None:
            yield from self._of_node(event, group, sender)

    def _in_use(self, node: str) -> Iterator[Notice]:
        """Give notice, once, of a node on whose machine another benchmark measures."""
        if node not in self._seen_waiting:
            self._seen_waiting.add(node)
            yield Notice(f"{node} waits for another benchmark on its machine ({MEASURES_BESIDE})")

    def _of_node(self, event: Event, group: Group, sender: Sender) -> Iterator[Event]:
        """An event with the name of the node that it comes from."""
        if isinstance(event, (CaseEnded, CaseVisited)):
            outcome = dataclasses.replace(event.outcome, node=group.node)
            worker = event.worker and dataclasses.replace(
                of_any_gpu(event.worker), machine=sender.machine
            )
            event = dataclasses.replace(event, outcome=outcome, worker=worker)
        group.follow(event)
        yield event

    def _lost(self, group: Group, loss: Loss) -> Iterator[Event]:
        """Have what is left of a group begin again, or end where that was tried enough."""
        if not group.left:  # it was about to end
            return
        group.lost_with.append(group.current)
        if group.tries >= _MAX_TRIES:
            reason = f"{loss.reason}, after {group.tries} tries on nodes of the cluster"
            for case in group.give_up():
                yield group.end(case, Outcome(loss.status, reason, loss.phase))
        if group.left:
            label = f"{len(group.left)} of {counted(len(self._plan.cases), 'case')}"
            begin = "begins" if len(group.left) == 1 else "begin"
            yield Notice(f"{loss.reason}; {label} {begin} again, where Ray finds a node")
            self._waiting.appendleft(group)

    def _silent(self) -> Iterator[Event]:
        """End the case of each node that has sent nothing for too long, and begin the rest anew."""
        now = time.monotonic()
        step, self._looked_at = min(now - self._looked_at, MAX_STEP_S), now
        limit = self._plan.arguments.timeout + _SILENT_S
        for stream, group in [*self._running.items()]:
            if group.sender is None:
                continue
            group.silent_s += step
            if group.silent_s <= (_ENVIRONMENT_S if group.makes_environment else limit):
                continue
            del self._running[stream]
            self._end_silent(stream, group.sender)
            if group.left:
                yield group.end_silent()
            if group.left:
                group.tries -= 1
                self._begin(group)

    def _end_silent(self, stream: Any, sender: Sender) -> None:
        """End a task's process, which may not answer Ray either; nothing waits for it."""
        with suppress(Exception), self._connected():
            of_ray(self._ray, "cancel")(stream, force=True, recursive=True)
            end = self._ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=_at(sender.node))
            end(end_process).remote(sender.process, sender.begun)

    def _cancelled(self) -> Iterator[Event]:
        groups = [*self._running.values(), *self._waiting]
        self._end_all()
        for group in groups:
            for case in group.left:
                yield group.cancel(case)

    def _without_nodes(self) -> Iterator[Event]:
        """End every case, now that the watch has found a problem."""
        if self._watch.has_head:
            yield from self._arrived()
        else:
            lose_head()
        yield Notice(self._watch.problem)
        yield from self._all_end(Outcome(Status.ERROR, self._watch.problem, Phase.STARTING))

    def _all_end(self, outcome: Outcome) -> Iterator[Event]:
        """End every case with one outcome, except what was measured of it."""
        groups = [*self._running.values(), *self._waiting]
        self._waiting.clear()
        self._end_all()
        for group in groups:
            for case in group.left:
                yield group.end(case, outcome)

    def _end_all(self) -> None:
        """Interrupt every task, which ends its workers; one that does not end is ended."""
        streams = [*self._running]
        self._running.clear()
        unended: dict[Any, Any] = {}
        try:
            for stream in streams:
                self._cancel(stream, force=False)
                unended[stream.completed()] = stream
            deadline = time.monotonic() + _CANCEL_S
            while unended and time.monotonic() < deadline:
                with self._connected():
                    ended, _ = of_ray(self._ray, "wait")(
                        [*unended], num_returns=len(unended), timeout=0, fetch_local=False
                    )
                for ref in ended:
                    del unended[ref]
                time.sleep(_WAIT_S if unended else 0.0)
            for stream in unended.values():
                self._cancel(stream, force=True)
            with self._connected():
                pass
        except NbbenchError:
            _left_behind.extend([*streams, *unended])

    def _cancel(self, stream: Any, *, force: bool) -> None:
        with self._connected():
            of_ray(self._ray, "cancel")(stream, force=force, recursive=True)


def _at(node: str) -> Any:
    """What has Ray run a task on a node, by Ray's id, and on no other."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node, soft=False)


_left_behind: list[Any] = []
"""Tasks of a Ray that was shut down: to let go of one while Ray ends would end this process."""
