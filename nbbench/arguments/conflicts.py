"""What arguments cannot be together, and what each of them wants beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..machine.processors import too_many_threads
from ..text import shortened
from .searched import refuse_search

BELONGS_TO: dict[str, tuple[str, Any]] = {
    "optimizer": ("training", True),
    "new_tokens": ("generation", True),
    "caches": ("generation", True),
    "compile_modes": ("executions", "compile"),
    "compile_dynamic": ("executions", "compile"),
    "compile_backend": ("executions", "compile"),
    "eager_mode": ("frameworks", "tensorflow"),
    "use_xla": ("frameworks", "tensorflow"),
    "ranks": ("parallels", ("tensor", "data")),
    "address": ("executor", "ray"),
    "num_cpus": ("executor", "ray"),
    "num_gpus": ("executor", "ray"),
    "accelerator_type": ("executor", "ray"),
    "resources": ("executor", "ray"),
}
"""Arguments that are a part of what another one asks for, with its name and what it must have.

Of several values in a tuple it must have one.
"""


def problem_of(arguments: Any, usual: Callable[[str], Any]) -> str:
    """Why these arguments cannot be together, in one sentence; empty where they can.

    ``usual`` gives an argument's default.
    """
    return next(
        filter(
            None,
            (
                nothing_to_measure(arguments),
                elsewhere_than_this_process(arguments),
                fork_off_linux(arguments),
                two_executions(arguments),
                part_without_whole(arguments, usual),
                two_paddings(arguments),
                more_threads_than_can_run(arguments),
                refuse_search(arguments),
                other_number_of_configs(arguments),
            ),
        ),
        "",
    )


def nothing_to_measure(arguments: Any) -> str:
    """Why there is nothing to do."""
    if not arguments.models and not arguments.configs:
        return "no model was named; name at least one, like bert-base-uncased"
    if not arguments.modes():
        return "inference, training and generation are all off, which leaves nothing to measure"
    if not (arguments.speed or arguments.memory or arguments.trace_memory_line_by_line):
        return "speed and memory are both off, which leaves nothing to measure"
    return ""


def elsewhere_than_this_process(arguments: Any) -> str:
    """Why isolation none cannot be had."""
    if arguments.isolation != "none":
        return ""
    if not set(arguments.environments) <= {"auto", "kernel"}:
        return "isolation none runs cases in this process, and environments names another; keep one"
    if arguments.executor != "local":
        return "isolation none runs cases in this process, and executor ray on other ones; keep one"
    if arguments.parallels != ["none"]:
        return "isolation none runs cases in this process, and parallels asks for several; keep one"
    return ""


def fork_off_linux(arguments: Any) -> str:
    """Why isolation fork cannot be had: a server's children are ended by means of Linux's alone."""
    if arguments.isolation != "fork" or arguments.executor != "local" or sys.platform == "linux":
        return ""
    return f"isolation fork is for Linux, and this system is {sys.platform}; give auto or process"


def two_executions(arguments: Any) -> str:
    """Why a call would be executed in two ways at once."""
    if arguments.eager_mode and arguments.use_xla:
        return "eager_mode and use_xla exclude each other; keep one"
    if (arguments.eager_mode or arguments.use_xla) and arguments.executions != ["default"]:
        return "eager_mode and use_xla mean what executions says; keep one of them"
    return ""


def part_without_whole(arguments: Any, usual: Callable[[str], Any]) -> str:
    """Which argument is given in vain, since what it is a part of is not asked for."""
    for name, (whole, part) in BELONGS_TO.items():
        if getattr(arguments, name) == usual(name):
            continue
        if part is True and not getattr(arguments, whole):
            return f"{name} is a part of {whole}, which is off; switch {whole} on"
        parts = part if isinstance(part, tuple) else (part,)
        if part is not True and not any(each in getattr(arguments, whole) for each in parts):
            asked = " or ".join(parts)
            return f"{name} is for {whole} {asked}, not asked for; ask for that, or omit {name}"
    return ""


def two_paddings(arguments: Any) -> str:
    """Why rows would be of two lengths."""
    if arguments.lengths is not None and arguments.paddings != [0.0]:
        return "padding and lengths both say how long rows are; keep one"
    return ""


def more_threads_than_can_run(arguments: Any) -> str:
    """Why these threads would wait for each other; of a cluster's nodes nothing is known here."""
    if arguments.threads is None or arguments.executor != "local":
        return ""
    problem = too_many_threads(arguments.threads)
    return f"threads: {problem}" if problem else ""


def other_number_of_configs(arguments: Any) -> str:
    """Why names and configurations do not belong together."""
    models, configs = arguments.models, arguments.configs
    if not configs or not models or len(configs) == len(models):
        return ""
    types = shortened(", ".join(config["model_type"] for config in configs), 200)
    return (
        f"models has {len(models)} names ({shortened(', '.join(models), 200)}) but configs has "
        f"{len(configs)} ({types}); give one config for each model, in the same order"
    )
