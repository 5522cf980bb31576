"""The environment by the keys that Transformers' former benchmark had, in its order."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..report.environment import EnvironmentFacts

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
