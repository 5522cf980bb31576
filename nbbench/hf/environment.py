"""The environment by the keys that Transformers' former benchmark had, in its order."""

from __future__ import annotations

import dataclasses
import platform
from typing import TYPE_CHECKING, Any

from ..arguments import schema
from ..environments.requirements import installed
from ..machine.machine import describe_machine
from ..report.environment import EnvironmentFacts, WorkerFacts

if TYPE_CHECKING:
    from .arguments import BenchmarkArguments

_KEYS = (
    "transformers_version", "framework", "use_torchscript", "eager_mode", "use_xla",
    "framework_version", "python_version", "system", "cpu", "architecture", "date", "time", "fp16",
    "use_multiprocessing", "only_pretrain_model", "cpu_ram_mb", "use_gpu", "num_gpus", "gpu",
    "gpu_ram_mb", "gpu_power_watts", "gpu_performance_state", "use_tpu",
)  # fmt: skip
"""The keys that the original had, in its order."""

_SWITCHES = {
    "pytorch": {"use_torchscript": "torchscript"},
    "tensorflow": {"eager_mode": "eager", "use_xla": "xla"},
}
"""The original's switches of each framework, and the execution that each stood for."""


def environment_before(
    args: BenchmarkArguments,
    arguments: schema.BenchmarkArguments,
    framework: str,
    version: str | None,
) -> dict[str, Any]:
    """The same before a run: what is known without starting a framework."""
    worker = WorkerFacts(
        {
            "framework": framework,
            "framework_version": version,
            "transformers_version": installed().get("transformers"),
            "python_version": platform.python_version(),
            "own_process": args.do_multi_processing,
        }
    )
    key = arguments.frameworks[0], "kernel"
    facts = dataclasses.replace(
        EnvironmentFacts.merged(key, describe_machine(), worker, []),
        devices=("cuda",) if args.is_gpu else ("cpu",),
        executions=frozenset(arguments.executions),
        dtypes=frozenset(arguments.dtypes),
        model_classes=frozenset([arguments.model_class]),
        threads=arguments.threads,
    )
    return environment_info(facts)


def environment_info(facts: EnvironmentFacts) -> dict[str, Any]:
    """The original's keys with their values, then all that it missed."""
    rows = {"environment": facts.environment, **dataclasses.asdict(facts.machine), **facts.rows()}
    rows["use_multiprocessing"] = rows.pop("own_process")
    rows["use_tpu"] = False
    rows["fp16"] = "float16" in facts.dtypes
    rows["only_pretrain_model"] = "base" in facts.model_classes
    for switch, execution in _SWITCHES.get(facts.framework, {}).items():
        rows[switch] = execution in facts.executions
    first = {key: rows[key] for key in _KEYS if rows.get(key) is not None}
    return {**first, **{key: value for key, value in rows.items() if key not in first}}
