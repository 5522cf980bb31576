"""Benchmarks of models in notebooks: how fast, how much memory, which should I take.

In a notebook ``%load_ext nbbench`` and ``%%tfbench``; in Python `run`; in a shell ``nbbench run``.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ArgumentError": "errors",
    "BenchmarkArguments": "arguments",
    "Case": "case",
    "ModelNotFound": "errors",
    "NbbenchError": "errors",
    "Job": "job",
    "Outcome": "case",
    "OutputError": "errors",
    "Report": "report",
    "Result": "case",
    "Status": "case",
    "arun": "run",
    "cancel": "job",
    "catalogue": "models",
    "close_workers": "executor.local",
    "form": "notebook.form",
    "latest": "job",
    "run": "run",
    "submit": "run",
}

__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from .arguments import BenchmarkArguments as BenchmarkArguments
    from .case import Case as Case
    from .case import Outcome as Outcome
    from .case import Result as Result
    from .case import Status as Status
    from .errors import ArgumentError as ArgumentError
    from .errors import ModelNotFound as ModelNotFound
    from .errors import NbbenchError as NbbenchError
    from .errors import OutputError as OutputError
    from .executor.local import close_workers as close_workers
    from .job import Job as Job
    from .job import cancel as cancel
    from .job import latest as latest
    from .models import catalogue as catalogue
    from .notebook.form import form as form
    from .report import Report as Report
    from .run import arun as arun
    from .run import run as run
    from .run import submit as submit


class _Package(ModuleType):
    """Keeps ``nbbench.run`` the function, though importing it binds its module by that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "run" and isinstance(value, ModuleType):
            value = value.run
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pydantic and pandas can wait until then."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nbbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%tfbench`` and ``%%tfbench``; called by ``%load_ext nbbench``."""
    from .notebook.magic import register

    register(ipython)
