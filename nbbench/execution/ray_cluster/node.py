"""What runs on a node of a cluster: the cases of one group, in a task of Ray."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

from ...machine.gpus import GpuFacts, visible_conditions
from ...machine.machine import MachineFacts, describe_machine
from ...plan.plan import Plan
from ...report.environment import EnvironmentKey, WorkerFacts
from ...text import counted
from ...worker.messages import SamplingProgress
from ..events import CaseEnded, CaseEvent, CaseVisited, Event, SizeMeasured
from ..fork_server import close_workers
from ..measure import introduced_workers, measure
from ..turn import Turn

_PROGRESS_S = 1.0
"""How often a node tells how sampling goes: a thousand of them do."""

_LOOK_S = 0.1

_IDLE_S = 3.0
"""How long a worker stays warm on a node for the next group."""


@dataclass(frozen=True)
class Sender:
    """The process of Ray that an event comes from, by Ray's id of its node and since when it runs.

    ``machine`` is known with the end of cases alone: it is long, and events are many.
    """

    node: str
    process: int
    begun: float
    machine: MachineFacts


@dataclass(frozen=True)
class NodeIntroduced:
    """A node's machine, and what workers there report by their framework and environment."""

    machine: MachineFacts
    workers: Mapping[EnvironmentKey, WorkerFacts]


@dataclass(frozen=True)
class NodeWaits:
    """A benchmark of the node's machine that is not of this cluster has to end first."""


_Sent = TypeVar("_Sent")


def measured_on_node(
    plan: Plan, predict_s: float
) -> Iterator[tuple[Event | NodeWaits | None, Sender]]:
    """Measure cases on this node; yields each event with where it is from, and at first None.

    Without ``num_cpus`` they wait until no others are measured here. ``predict_s`` is what
    predicting each may take, which depends on how many the whole run has.
    """
    yield from _sent(plan, lambda own: _thinned(measure(own, lambda: False, predict_s)))


def introduced_on_node(
    plan: Plan,
) -> Iterator[tuple[Event | NodeIntroduced | NodeWaits | None, Sender]]:
    """Make the environments of a plan ready on this node, and say what they are and the machine.

    It is for a node's room and turn as what is measured there, of which it has the variables, too.
    """
    yield from _sent(plan, _introduced)


def _introduced(plan: Plan) -> Iterator[Event | NodeIntroduced]:
    workers = yield from introduced_workers(plan, lambda: False)
    close_workers()  # no case may follow, and one that waits for its first does not end by itself
    machine, conditions = describe_machine(), visible_conditions()
    gpu = GpuFacts(gpu=conditions[0].gpu) if conditions else GpuFacts()
    yield NodeIntroduced(
        machine,
        {
            key: dataclasses.replace(of_any_gpu(worker), gpu=gpu, machine=machine)
            for key, worker in workers.items()
        },
    )


def of_any_gpu(worker: WorkerFacts) -> WorkerFacts:
    """What a worker reports, with how many of its node's GPUs Ray has given it, and not which."""
    settings = str(worker.values.get("settings", ""))
    counts = _GIVEN_BY_RAY.sub(
        lambda found: f"{found[1]}={counted(len(found[2].split(',')), 'GPU')}", settings
    )
    if counts == settings:
        return worker
    return dataclasses.replace(worker, values={**worker.values, "settings": counts})


_GIVEN_BY_RAY = re.compile(r"\b((?:CUDA|HIP|ROCR)_VISIBLE_DEVICES)=([^ ,]+(?:,[^ ,]+)*)")
"""Variables by which a task of Ray has the GPUs that it asked for."""


@contextmanager
def _alone_on_node() -> Iterator[None]:
    """Wait for the turn on this node, as larger ones than the smallest have room for several.

    What is held is the name of a socket on Linux, which has no file and goes with its process;
    elsewhere there is no waiting.
    """
    if sys.platform != "linux":
        yield
        return
    node = importlib.import_module("ray").get_runtime_context().get_node_id()
    with socket.socket(socket.AF_UNIX) as held:
        while not _is_bound(held, f"\0nbbench on {node}"):
            time.sleep(_LOOK_S)
        yield


def _is_bound(held: socket.socket, name: str) -> bool:
    """Whether there is no need to wait: no other has the name, or the system has no such ones."""
    try:
        held.bind(name)
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def _sent(
    plan: Plan, act: Callable[[Plan], Iterator[_Sent]]
) -> Iterator[tuple[_Sent | NodeWaits | None, Sender]]:
    """What comes of a plan that is this node's own, once it is its turn here.

    That is the turn among benchmarks of this machine, too, which may be on another cluster or none.
    """
    asked = plan.arguments
    if asked.num_cpus:
        yield from _in_turn(plan, act, beside_another=False)
        return
    with _alone_on_node():
        if asked.wait and _is_in_use(asked.device):
            yield NodeWaits(), _sender()
        with _turn_taken(asked.device, asked.wait) as beside_another:
            yield from _in_turn(plan, act, beside_another)


def _is_in_use(device: str) -> bool:
    """Whether another benchmark measures on a device of this machine."""
    with _turn_taken(device, wait=False) as beside_another:
        return beside_another


@contextmanager
def _turn_taken(device: str, wait: bool) -> Iterator[bool]:
    """Hold the turn on a device of this machine; whether another measures there all the same."""
    turn = Turn(device, wait)
    with turn.taken(lambda: False, lambda _: None):
        yield turn.beside_another


def _sender() -> Sender:
    """This process; nothing is known of its machine yet."""
    context = importlib.import_module("ray").get_runtime_context()
    own = psutil.Process()
    return Sender(context.get_node_id(), own.pid, own.create_time(), MachineFacts())


def _in_turn(
    plan: Plan, act: Callable[[Plan], Iterator[_Sent]], beside_another: bool
) -> Iterator[tuple[_Sent | None, Sender]]:
    if not plan.arguments.num_cpus:
        _forget_threads_of_ray()
    unknown = _sender()
    yield None, unknown
    machine = dataclasses.replace(describe_machine(), beside_another=beside_another)
    known = dataclasses.replace(unknown, machine=machine)
    local = {"executor": "local", "resume": False, "idle_limit": _IDLE_S, "history": False}
    plan = dataclasses.replace(plan, arguments=plan.arguments.model_copy(update=local))
    try:
        for event in act(plan):
            yield event, known if isinstance(event, (CaseEnded, CaseVisited)) else unknown
    except BaseException:  # an interrupt: what is warm on the node would outlive the benchmark
        close_workers()
        raise


def _forget_threads_of_ray() -> None:
    """Leave it to libraries how many threads they take, unless this node's user has said it.

    Ray sets for each task as many as it asks for processors: those of the smallest node.
    """
    with suppress(psutil.Error, OSError):
        if "OMP_NUM_THREADS" not in psutil.Process().environ():  # as the process was started
            os.environ.pop("OMP_NUM_THREADS", None)


def end_process(number: int, begun: float) -> None:
    """End a process of this node that answers no more; not another that has got its number."""
    with suppress(psutil.Error):
        process = psutil.Process(number)
        if process.create_time() == begun and number != os.getpid():
            process.kill()


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
