"""Where a benchmark is carried out: on this machine, or on the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..plan.plan import Plan
from .events import Event
from .measure import measure
from .ray_cluster.cluster import measure_on_ray

EXECUTORS: dict[str, Callable[[Plan, Callable[[], bool]], Iterator[Event]]] = {
    "local": measure,
    "ray": measure_on_ray,
}
"""What yields a plan's events, by the argument ``executor``."""
