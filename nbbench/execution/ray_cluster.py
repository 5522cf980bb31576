"""Cases on a cluster of Ray: it places them on nodes, where they are measured as they are here.

A task of Ray measures a group of cases on one node, round by round, and yields its events as they
happen. Ray decides where each runs; a group whose node dies is given to Ray once more.
"""

from __future__ import annotations

import dataclasses
import importlib
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import NbbenchError
from ..machine.machine import MachineFacts, describe_machine
from ..plan.plan import Plan
from ..text import error_text, quoted
from ..worker.case import AXES, Case, Outcome, Phase, Status
from ..worker.messages import CaseMeasured, PhaseChanged, SamplingProgress
from .events import (
    CaseEnded,
    CaseEvent,
    CaseVisited,
    Event,
    Notice,
    SizeMeasured,
    cancelled_while,
)
from .fork_server import close_workers
from .measure import measure
from .resume import EarlierRuns, found_case, history_to_resume
from .rounds import is_measured

MAX_TRIES = 3
"""How often a case is begun whose node dies."""

_MIN_AT_ONCE = 200
"""How many groups Ray is given to run, at least; every event looks at all of them."""

_WAIT_S = 0.1
_PROGRESS_S = 1.0
"""How often a node tells how sampling goes: a thousand of them do."""

_REACH_S = 5.0
_CANCEL_S = 2.0
"""Seconds that a task has to end its cases before its process is ended."""

_IDLE_S = 3.0
"""How long a worker stays warm on a node for the next group."""

_WAYS = (
    "framework", "environment", "dtype", "quantization", "attention", "execution", "compile_mode",
    "cache", "parallel", "ranks",
)  # fmt: skip
"""Axes in which cases of one group differ where they are compared with each other."""

_ALWAYS_COMPARED = ("parallel", "ranks")
"""How well several ranks do is seen beside one rank of the same machine."""


@dataclass
class _Group:
    """Cases that are measured on one node, and how often they were begun.

    ``measured`` is what is known of cases by now; ``current`` is the one that is in ``phase``.
    """

    cases: list[Case]
    tries: int = 0
    ended: set[Case] = field(default_factory=set)
    measured: dict[Case, Outcome] = field(default_factory=dict)
    node: str = ""
    current: Case | None = None
    phase: Phase = Phase.STARTING

    @property
    def left(self) -> list[Case]:
        """The cases that have not ended."""
        return [case for case in self.cases if case not in self.ended]

    def follow(self, event: Event) -> None:
        """Follow an event of its cases."""
        if isinstance(event, CaseEvent):
            self.current = event.case
            if isinstance(event.event, PhaseChanged):
                self.phase = event.event.phase
            elif isinstance(event.event, CaseMeasured):
                self.measured[event.case] = dataclasses.replace(event.event.outcome, node=self.node)
        elif isinstance(event, (CaseEnded, CaseVisited)):
            self.current, self.measured[event.case] = None, event.outcome
            if isinstance(event, CaseEnded):
                self.ended.add(event.case)

    def cancelled(self, case: Case) -> Outcome:
        """What comes of a case that has not ended, now that all is cancelled."""
        if case in self.measured:
            return self.measured[case]
        if case != self.current:
            return Outcome.skipped()
        return dataclasses.replace(cancelled_while(self.phase), node=self.node)


def measure_on_ray(plan: Plan, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Run every case of a plan on the cluster; yields what happens, and the end of each case.

    Raises `NbbenchError` where Ray is not installed, or the cluster cannot be reached.
    """
    ray = _connected(plan.arguments)
    yield from _Cluster(ray, plan).measured(cancelled)


def groups_of(cases: Sequence[Case], compared: bool) -> list[list[Case]]:
    """Cases that belong on one node: those that are compared with each other, else each its own.

    Times of two nodes are those of two machines, which no verdict can rest on.
    """
    ways = _WAYS if compared else _ALWAYS_COMPARED
    found: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        key = tuple(axis.value(case) for axis in AXES if axis.name not in ways)
        found.setdefault(key, []).append(case)
    return list(found.values())


class _Cluster:
    """The groups of one benchmark on their way through a cluster."""

    def __init__(self, ray: Any, plan: Plan) -> None:
        self._ray, self._plan = ray, plan
        self._nodes: dict[str, str] = {}
        self._task = _task(ray, plan.arguments)
        self._running: dict[Any, _Group] = {}
        self._waiting: deque[_Group] = deque()
        self._at_once = _groups_at_once(ray, plan.arguments)

    def measured(self, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Have all groups measured; yields their events."""
        found = yield from self._unmeasured()
        try:
            compared = self._plan.arguments.baseline is not None
            self._waiting.extend(_Group(cases) for cases in groups_of(found, compared))
            while self._running or self._waiting:
                while self._waiting and len(self._running) < self._at_once:
                    self._begin(self._waiting.popleft())
                if cancelled():
                    yield from self._cancelled()
                    return
                for stream in self._ready():
                    yield from self._received(stream)
        finally:
            self._end_all()

    def _unmeasured(self) -> Generator[Event, None, list[Case]]:
        """The cases that are to be measured; those that are known, or have no model, end here."""
        asked = self._plan.arguments
        earlier = history_to_resume(asked) if asked.resume else None
        left = []
        for case in self._plan.cases:
            problem = self._plan.problems.get(case.model)
            ended = None if earlier is None or problem else self._measured_before(earlier, case)
            if problem:
                ended = CaseEnded(case, Outcome(Status.ERROR, problem, Phase.RESOLVING))
            if ended is None:
                left.append(case)
            else:
                yield ended
        if earlier is not None:
            earlier.close()
            yield from earlier.notices()
        return left

    def _measured_before(self, earlier: EarlierRuns, case: Case) -> CaseEnded | None:
        """The end of a case that any node has measured wholly; None if none has."""
        result = earlier.find_on_nodes(case)
        if result is None:
            return None
        found = found_case(case, result.case) if case.searched else None
        forks = self._plan.arguments.isolation != "none"
        if not is_measured(found or case, result.outcome, forks=forks):
            return None
        return CaseEnded(case, result.outcome, is_old=True, found=found)

    def _ready(self) -> list[Any]:
        """The tasks that have something to say, after waiting a moment for the first."""
        streams = [*self._running]
        ready, _ = self._ray.wait(streams, timeout=_WAIT_S, fetch_local=True)
        if ready:
            ready, _ = self._ray.wait(
                streams, num_returns=len(streams), timeout=0, fetch_local=True
            )
        return list(ready)

    def _begin(self, group: _Group) -> None:
        group.tries += 1
        plan = dataclasses.replace(self._plan, cases=group.left)
        self._running[self._task.remote(plan)] = group

    def _received(self, stream: Any) -> Iterator[Event]:
        """What a task has to say next, its end included."""
        group = self._running[stream]
        try:
            event, node = self._ray.get(next(stream))
        except StopIteration:
            del self._running[stream]
            if group.left:
                yield from self._lost(group, "its task ended early")
            return
        except self._ray.exceptions.RayError as error:
            del self._running[stream]
            yield from self._lost(group, _reason(error))
            return
        yield from self._of_node(event, group, node)

    def _of_node(
        self, event: Event, group: _Group, node: tuple[str, MachineFacts]
    ) -> Iterator[Event]:
        """An event with the name of the node that it comes from."""
        identity, machine = node
        group.node = self._nodes.setdefault(identity, f"node {len(self._nodes) + 1}")
        if isinstance(event, (CaseEnded, CaseVisited)):
            outcome = dataclasses.replace(event.outcome, node=group.node)
            worker = event.worker and dataclasses.replace(event.worker, machine=machine)
            event = dataclasses.replace(event, outcome=outcome, worker=worker)
        group.follow(event)
        yield event

    def _lost(self, group: _Group, reason: str) -> Iterator[Event]:
        """Begin what is left of a group elsewhere, or end its cases where that was tried enough."""
        where = group.node or "a node"
        if group.tries < MAX_TRIES:
            label = f"{len(group.left)} of {len(self._plan.cases)}"
            yield Notice(f"{where} is gone ({reason}); {label} cases begin elsewhere")
            self._begin(group)
            return
        reason = f"{where} is gone ({reason}), after {group.tries} tries on nodes of the cluster"
        for case in group.left:
            yield CaseEnded(case, Outcome(Status.CRASHED, reason, node=group.node))

    def _cancelled(self) -> Iterator[Event]:
        groups = [*self._running.values(), *self._waiting]
        self._end_all()
        for group in groups:
            for case in group.left:
                yield CaseEnded(case, group.cancelled(case))

    def _end_all(self) -> None:
        """Interrupt every task, which ends its workers; one that does not end is ended."""
        streams = [*self._running]
        self._running.clear()
        for stream in streams:
            self._ray.cancel(stream, force=False, recursive=True)
        if streams:
            done = [stream.completed() for stream in streams]
            _, left = self._ray.wait(
                done, num_returns=len(done), timeout=_CANCEL_S, fetch_local=False
            )
            for stream, ref in zip(streams, done, strict=True):
                if ref in left:
                    self._ray.cancel(stream, force=True, recursive=True)


def _connected(arguments: BenchmarkArguments) -> Any:
    """Ray, connected to the cluster that is named or that this process knows, else to a new one."""
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise NbbenchError(
            'executor ray needs Ray; pip install "nbbench[ray]", or ray itself'
        ) from None
    if ray.is_initialized():
        return ray
    _check_reachable(arguments.address)
    try:
        ray.init(address=arguments.address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = quoted(arguments.address) if arguments.address else "a cluster"
        raise NbbenchError(
            f"{where} cannot be reached ({error_text(error)}); give address as ray start prints it"
        ) from None
    return ray


def _check_reachable(address: str | None) -> None:
    """Raise `NbbenchError` where nothing listens at an address, which Ray would ask for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except (OSError, OverflowError) as error:
        raise NbbenchError(
            f"the cluster {quoted(address)} cannot be reached ({error}); give address as ray start "
            f"prints it"
        ) from None


def _task(ray: Any, arguments: BenchmarkArguments) -> Any:
    """What Ray is given to place: what a group asks for is its own while it is measured."""
    options: dict[str, Any] = {
        "num_cpus": arguments.num_cpus or _cpus_of_smallest_node(ray),
        "num_gpus": arguments.num_gpus,
        "resources": arguments.resources or None,
        "max_retries": 0,  # Ray would repeat cases that have ended
        "num_returns": "streaming",
    }
    if arguments.accelerator_type:
        options["accelerator_type"] = arguments.accelerator_type
    return ray.remote(**options)(_measured_on_node)


def _groups_at_once(ray: Any, arguments: BenchmarkArguments) -> int:
    """How many groups Ray is given: more than it can run, and no more than each look is cheap."""
    each = arguments.num_cpus or _cpus_of_smallest_node(ray)
    return max(_MIN_AT_ONCE, 2 * int(ray.cluster_resources().get("CPU", 0.0) / each))


def _cpus_of_smallest_node(ray: Any) -> float:
    """The processors of a whole node, whichever a group comes to."""
    counts = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return min((count for count in counts if count), default=1.0)


def _measured_on_node(plan: Plan) -> Iterator[tuple[Event, tuple[str, MachineFacts]]]:
    """Measure cases on this node; yields each event with the node's id and, in the end, facts."""
    context = importlib.import_module("ray").get_runtime_context()
    node, machine, unknown = context.get_node_id(), describe_machine(), MachineFacts()
    here = {"executor": "local", "resume": False, "idle_limit": _IDLE_S, "history": False}
    plan = dataclasses.replace(plan, arguments=plan.arguments.model_copy(update=here))
    try:
        for event in _thinned(measure(plan, lambda: False)):
            known = isinstance(event, (CaseEnded, CaseVisited))
            yield event, (node, machine if known else unknown)
    except BaseException:  # an interrupt: what is warm here would outlive the benchmark
        close_workers()
        raise


def _thinned(events: Iterable[Event]) -> Iterator[Event]:
    """Events without the progress of sampling that comes less than a second after the last.

    Sizes of a search are left out, too: the next run may try them on another node.
    """
    last = 0.0
    for event in events:
        if isinstance(event, SizeMeasured):
            continue
        if isinstance(event, CaseEvent) and isinstance(event.event, SamplingProgress):
            if time.monotonic() - last < _PROGRESS_S:
                continue
            last = time.monotonic()
        yield event


def _reason(error: Exception) -> str:
    """Why a task of Ray was lost, in a word or a sentence."""
    kinds = {"NodeDiedError": "the node died", "WorkerCrashedError": "its process died"}
    return kinds.get(type(error).__name__, error_text(error))
