"""What is known of an environment and of the machine: one typed object, merged once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..machine.gpus import GpuFacts
from ..machine.machine import MachineFacts
from ..plan.result import Result
from ..worker.case import Case

EnvironmentKey: TypeAlias = tuple[str, str]
"""A framework, and the label of an environment that it ran in."""

_OF_THE_WORKER = ("settings", "preloaded")
"""Facts of the machine that a worker may have otherwise than this process has them now."""


@dataclass(frozen=True)
class WorkerFacts:
    """An environment, as the worker in it has reported it; files call it ``environment``.

    ``values`` are versions and settings by name, and ``gpu`` is the one that its cases ran on.
    ``machine`` is where it ran, if that is another one than the report's.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    gpu: GpuFacts = field(default_factory=GpuFacts)
    machine: MachineFacts | None = None


def with_gpu_of(worker: WorkerFacts, before: WorkerFacts | None) -> WorkerFacts:
    """The later facts of an environment, with the GPU that it met before where it now met none.

    The last case of several devices may have run on the CPU.
    """
    if before is None or worker.gpu.gpu is not None:
        return worker
    return dataclasses.replace(worker, gpu=before.gpu)


def environment_key(case: Case, node: str) -> EnvironmentKey:
    """The framework, and its environment by its label; with the node, where there are several."""
    label = f"{case.environment} on {node}" if node else case.environment
    return case.framework, label


@dataclass(frozen=True)
class EnvironmentFacts:
    """A framework's environment, the machine, and what its cases ran with.

    ``values`` are the versions and settings that the worker gave, by name; ``environment`` is
    the environment's label. ``threads`` is the number that was asked for, else the framework's own.
    """

    framework: str
    environment: str
    machine: MachineFacts
    values: Mapping[str, Any]
    gpu: GpuFacts
    devices: tuple[str, ...]
    executions: frozenset[str]
    dtypes: frozenset[str]
    model_classes: frozenset[str]
    config_sources: str
    threads: int | None

    @classmethod
    def merged(
        cls,
        key: EnvironmentKey,
        machine: MachineFacts,
        worker: WorkerFacts,
        results: Sequence[Result],
    ) -> EnvironmentFacts:
        """The facts of one environment; ``results`` are those of the cases that ran in it."""
        cases = [result.case for result in results]
        outcomes = [result.outcome for result in results]
        sources = {case.model: case.config_source for case in cases if case.config_source}
        threads = [case.threads for case in cases if case.threads is not None]
        machine = worker.machine or machine
        own = {name: worker.values[name] for name in _OF_THE_WORKER if name in worker.values}
        return cls(
            *key,
            machine=dataclasses.replace(machine, **own),
            values={name: value for name, value in worker.values.items() if name not in own},
            gpu=worker.gpu,
            devices=tuple(sorted({outcome.device for outcome in outcomes if outcome.device})),
            executions=frozenset(outcome.execution for outcome in outcomes if outcome.execution),
            dtypes=frozenset(case.dtype for case in cases),
            model_classes=frozenset(case.model_class for case in cases),
            config_sources=", ".join(f"{model}: {source}" for model, source in sources.items()),
            threads=threads[0] if threads else worker.values.get("threads"),
        )

    @property
    def framework_name(self) -> str:
        """The framework as it calls itself: PyTorch; empty where no worker came up."""
        return str(self.values.get("framework") or "")

    @property
    def framework_version(self) -> str:
        """The framework's version; empty where no worker came up."""
        return str(self.values.get("framework_version") or "")

    @property
    def transformers_version(self) -> str:
        """The version of Transformers; empty where there is none."""
        return str(self.values.get("transformers_version") or "")

    @property
    def uses_gpu(self) -> bool:
        """Whether a case ran on a GPU."""
        return any(device != "cpu" for device in self.devices)

    @property
    def own_process(self) -> bool:
        """Whether cases ran in processes of their own, rather than in the kernel."""
        return bool(self.values.get("own_process", True))

    def rows(self) -> dict[str, Any]:
        """All of it by name, in the order in which a person reads it."""
        return {
            **self.values,
            "environment": self.environment,
            "own_process": self.own_process,
            "threads": self.threads,
            "device": ", ".join(self.devices),
            "use_gpu": self.uses_gpu,
            **dataclasses.asdict(self.gpu),
            **dataclasses.asdict(self.machine),
            "config_sources": self.config_sources,
        }


def merge_facts(
    results: Sequence[Result],
    machine: MachineFacts,
    workers: Mapping[EnvironmentKey, WorkerFacts],
) -> tuple[EnvironmentFacts, ...]:
    """The facts of every environment that the results' cases were to run in, in their order."""
    by_key: dict[EnvironmentKey, list[Result]] = {}
    for result in results:
        key = environment_key(result.case, result.outcome.node)
        by_key.setdefault(key, []).append(result)
    return tuple(
        EnvironmentFacts.merged(key, machine, workers.get(key, WorkerFacts()), members)
        for key, members in by_key.items()
    )


def environment_differences(
    now: tuple[Result, EnvironmentFacts], before: tuple[Result, EnvironmentFacts]
) -> tuple[list[str], bool]:
    """What differs in the environments of two results, and whether their times can be compared.

    Each is given with the facts of the environment, and so of the machine, that it ran in.
    """
    notes, comparable = [], True
    for (name, decides, mine), (_, _, theirs) in zip(
        _telling(*now), _telling(*before), strict=True
    ):
        if mine != theirs:
            comparable = comparable and not decides
            notes.append(f"{name}: {theirs or 'none'} before, {mine or 'none'} now")
    return notes, comparable


def _telling(result: Result, facts: EnvironmentFacts) -> list[tuple[str, bool, Any]]:
    """What times depend on: its name, whether times can be compared without it, and its value."""
    machine, threads = facts.machine, result.case.threads or facts.threads
    return [
        ("processor", True, machine.cpu),
        ("cores", True, machine.cpu_cores_usable),
        ("GPU", True, facts.gpu.gpu),
        ("device", True, result.outcome.device or ", ".join(facts.devices)),
        ("threads", True, threads),
        ("framework version", False, facts.framework_version),
        ("transformers", False, facts.transformers_version),
        ("Python", False, facts.values.get("python_version")),
        ("settings", False, machine.settings),
    ]
