"""Where cases run."""

from __future__ import annotations

from ..arguments import BenchmarkArguments
from ..environments import Environment
from .base import Executor
from .inline import InlineExecutor
from .local import LocalExecutor


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
