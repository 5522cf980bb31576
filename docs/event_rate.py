"""How many events a second the process that follows a sweep on a cluster takes from its nodes.

    python docs/event_rate.py [--nodes 1 2 4] [--events 4000]

Needs the extra ray. Each node of a cluster on this machine has one case, which does nothing but
send events, as fast as they are taken. All of them share this machine's processors, so a head of
its own takes more than is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from fault_table import probe_site, ray_cluster

import nbbench
from nbbench.execution.events import CaseEnded, CaseEvent, Event
from nbbench.execution.ray_cluster import cluster
from nbbench.execution.ray_cluster.groups import Group
from nbbench.execution.ray_cluster.node import Sender
from nbbench.machine.machine import MachineFacts
from nbbench.plan.plan import Plan
from nbbench.worker.case import Outcome, Status
from nbbench.worker.messages import SamplingProgress


def flood(count: int) -> Any:
    """What a node runs in place of measuring: so many events for each of its cases."""

    def sent(plan: Plan, predict_s: float) -> Iterator[tuple[Event | None, Sender]]:
        node = importlib.import_module("ray").get_runtime_context().get_node_id()
        sender = Sender(node, os.getpid(), 0.0, MachineFacts())
        yield None, sender
        for case in plan.cases:
            for number in range(count):
                yield CaseEvent(case, SamplingProgress(number + 3, 0.001, 0.02)), sender
            yield CaseEnded(case, Outcome(Status.ERROR, "it only sends events")), sender

    return sent


def rate(nodes: int, count: int) -> float:
    """Events a second that this process takes, from the first one's coming to the last one's."""
    arrived: list[float] = []
    follow = Group.follow

    def timed(group: Group, event: Event) -> None:
        arrived.append(time.perf_counter())
        follow(group, event)

    configs = [{"model_type": "probe", "number": number} for number in range(nodes)]
    with (
        mock.patch.object(cluster, "measured_on_node", flood(count)),
        mock.patch.object(Group, "follow", timed),
    ):
        nbbench.run(
            *[f"m{number}" for number in range(nodes)], configs=configs, frameworks=["probe"],
            batch_sizes=[1], sequence_lengths=[8], executor="ray", progress=False, history=False,
        )  # fmt: skip
    assert len(arrived) == nodes * (count + 1)
    return len(arrived) / (arrived[-1] - arrived[0])


def main() -> None:
    """Print the rate for each number of nodes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--events", type=int, default=4000, help="of each node")
    given = parser.parse_args()
    with probe_site() as site:
        for nodes in given.nodes:
            with ray_cluster(site, nodes), contextlib.redirect_stderr(None):
                rate(nodes, 100)  # what is imported once
                print(f"{nodes} nodes: {rate(nodes, given.events):,.0f} events/s", flush=True)


if __name__ == "__main__":
    main()
