"""What runs on a node of a cluster: the cases of one group, in a task of Ray."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import psutil

from ...machine.machine import MachineFacts, describe_machine
from ...plan.plan import Plan
from ...worker.messages import SamplingProgress
from ..events import CaseEnded, CaseEvent, CaseVisited, Event, SizeMeasured
from ..fork_server import close_workers
from ..measure import measure

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


def measured_on_node(plan: Plan, predict_s: float) -> Iterator[tuple[Event | None, Sender]]:
    """Measure cases on this node; yields each event with where it is from, and at first None.

    Without ``num_cpus`` they wait until no others are measured here. ``predict_s`` is what
    predicting each may take, which depends on how many the whole run has.
    """
    with nullcontext() if plan.arguments.num_cpus else _alone_on_node():
        yield from _measured(plan, predict_s)


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


def _measured(plan: Plan, predict_s: float) -> Iterator[tuple[Event | None, Sender]]:
    context = importlib.import_module("ray").get_runtime_context()
    own = psutil.Process()
    unknown = Sender(context.get_node_id(), own.pid, own.create_time(), MachineFacts())
    yield None, unknown
    known = dataclasses.replace(unknown, machine=describe_machine())
    local = {"executor": "local", "resume": False, "idle_limit": _IDLE_S, "history": False}
    plan = dataclasses.replace(plan, arguments=plan.arguments.model_copy(update=local))
    try:
        for event in _thinned(measure(plan, lambda: False, predict_s)):
            yield event, known if isinstance(event, (CaseEnded, CaseVisited)) else unknown
    except BaseException:  # an interrupt: what is warm on the node would outlive the benchmark
        close_workers()
        raise


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
