"""What cases ask of a node of a cluster, and whether it has a node that could give it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...arguments.schema import BenchmarkArguments
from ...errors import NbbenchError
from ...text import counted, error_text, quoted, shortened

_NAMES = {"CPU": "processor", "GPU": "GPU"}
_ACCELERATOR = "accelerator_type:"
_MAX_NAMED = 200
"""Letters of the names that nodes have, in a message."""


_MANY = 1e6
"""How often a node has less than any amount that is worth counting."""


@dataclass(frozen=True)
class Demand:
    """What one group of cases has for itself on its node.

    ``amounts`` are by Ray's names: CPU, GPU and those of the user's own resources.
    """

    amounts: Mapping[str, float]
    accelerator: str | None = None

    @classmethod
    def of(cls, arguments: BenchmarkArguments, nodes: Sequence[Mapping[str, Any]]) -> Demand:
        """What arguments ask for; without ``num_cpus`` all processors of the smallest node."""
        asked = {
            "CPU": arguments.num_cpus or _cpus_of_smallest(nodes),
            "GPU": arguments.num_gpus,
            **arguments.resources,
        }
        amounts = {name: amount for name, amount in asked.items() if amount}
        return cls(amounts, arguments.accelerator_type)

    def task(self, ray: Any, function: Any) -> Any:
        """A function as what Ray is given to place; raises `NbbenchError` if Ray refuses."""
        options: dict[str, Any] = {
            "num_cpus": self.amounts.get("CPU", 0),
            "num_gpus": self.amounts.get("GPU", 0),
            "resources": {n: a for n, a in self.amounts.items() if n not in _NAMES} or None,
            "max_retries": 0,  # Ray would repeat cases that have ended
            "num_returns": "streaming",
        }
        if self.accelerator:
            options["accelerator_type"] = self.accelerator
        try:
            return ray.remote(**options)(function)
        except (ValueError, TypeError) as error:
            raise NbbenchError(
                f"Ray cannot place cases that ask for {self} ({error_text(error)}); "
                f"give other num_cpus, num_gpus or resources"
            ) from None

    def fits(self, node: Mapping[str, Any]) -> bool:
        """Whether a node, as Ray describes it, has all of it when nothing else runs there."""
        has = node["Resources"]
        kind = f"{_ACCELERATOR}{self.accelerator}"
        return (
            bool(node["Alive"])
            and all(has.get(name, 0.0) >= amount for name, amount in self.amounts.items())
            and (self.accelerator is None or kind in has)
        )

    def room(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """How many times all nodes together have it."""
        return sum(
            min(
                (int(min(node["Resources"][n] / a, _MANY)) for n, a in self.amounts.items()),
                default=1,
            )
            for node in nodes
            if self.fits(node)
        )

    def lack(self, nodes: Sequence[Mapping[str, Any]]) -> str:
        """What no node has, in a clause; empty where one has all of it."""
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        if any(self.fits(node) for node in nodes):
            return ""
        if not alive:
            return "no node of the cluster is alive"
        for name, amount in self.amounts.items():
            largest = max(has.get(name, 0.0) for has in alive)
            if largest < amount:
                return _lack_of_amount(name, amount, largest, alive)
        kind = f"{_ACCELERATOR}{self.accelerator}"
        if self.accelerator and not any(kind in has for has in alive):
            kinds = _listed(_without(has, _ACCELERATOR) for has in alive)
            known = f"nodes have {kinds}" if kinds else "nodes name no accelerator"
            return f"no node has the accelerator {quoted(self.accelerator)}; {known}"
        return f"no single node has all of {self}"

    def __str__(self) -> str:
        parts = [_amount(name, amount) for name, amount in self.amounts.items()]
        if self.accelerator:
            parts.append(f"the accelerator {quoted(self.accelerator)}")
        return shortened(" and ".join(parts) or "nothing", _MAX_NAMED)


def may_grow(ray: Any) -> bool | None:
    """Whether nodes may come by themselves, which an autoscaler starts; None if that is unknown.

    No public function of Ray says it. A cluster that has been up for some seconds does, in what
    its autoscaler writes of itself; nodes that none has started are of a type each, named node_….
    """
    try:
        if ray._private.worker._global_node.is_head():  # this process has started it
            return False
        read = importlib.import_module("ray.experimental.internal_kv")._internal_kv_get
        if read("__autoscaler_v2_enabled", namespace="__autoscaler") == b"1":
            return True
        report = json.loads(read("__autoscaling_status")).get("autoscaler_report")
        return None if report is None else not all(map(_is_unmanaged, report["active_nodes"]))
    except Exception:  # another version of Ray, or no autoscaler at all
        return None


def _is_unmanaged(node_type: str) -> bool:
    return node_type.startswith("node_")


def _cpus_of_smallest(nodes: Sequence[Mapping[str, Any]]) -> float:
    """The processors of a whole node, whichever a group comes to."""
    counts = [node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]]
    return min((count for count in counts if count), default=1.0)


def _lack_of_amount(
    name: str, amount: float, largest: float, alive: Sequence[Mapping[str, float]]
) -> str:
    if largest:
        return f"no node has {_amount(name, amount)}; the largest has {largest:g}"
    if name in _NAMES:
        return f"no node has a {_NAMES[name]}"
    own = _listed(
        [name for name in has if ":" not in name and name not in _OF_RAY] for has in alive
    )
    known = f"nodes have {own}" if own else "nodes have none of their own"
    return f"no node has the resource {quoted(name)}; {known}"


_OF_RAY = {"CPU", "GPU", "memory", "object_store_memory"}


def _amount(name: str, amount: float) -> str:
    if name in _NAMES:
        return counted(f"{amount:g}", _NAMES[name])
    return f"{amount:g} of the resource {quoted(name)}"


def _without(has: Mapping[str, float], start: str) -> list[str]:
    return [name.removeprefix(start) for name in has if name.startswith(start)]


def _listed(names: Any) -> str:
    return shortened(", ".join(sorted({name for each in names for name in each})), _MAX_NAMED)
