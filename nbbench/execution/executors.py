"""Where cases run."""

from __future__ import annotations

from ..arguments.schema import BenchmarkArguments
from ..environments import Environment
from .events import Executor
from .supervise import LocalExecutor
from .this_kernel import InlineExecutor


def executor_for(arguments: BenchmarkArguments, environment: Environment) -> Executor:
    """The executor that the arguments ask for, in an environment that is ready."""
    if arguments.isolation == "none":
        return InlineExecutor(arguments.timeout, environment.facts())
    return LocalExecutor(
        python=environment.python,
        isolation=arguments.isolation,
        timeout=arguments.timeout,
        idle_limit=arguments.idle_limit,
        about=environment.facts(),
    )
