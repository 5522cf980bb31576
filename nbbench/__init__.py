"""Benchmarks of models in notebooks: how fast, how much memory, which should I take.

In a notebook ``%load_ext nbbench`` and ``%%tfbench``; in Python `run`; in a shell ``nbbench run``.
"""

import importlib as _importlib  # underscored: jedi completes from this file, not from __dir__
import typing as _typing

from ._version import __version__ as __version__

_HOMES = {
    "ArgumentError": "errors",
    "BenchmarkArguments": "arguments.schema",
    "Case": "worker.case",
    "ModelNotFound": "errors",
    "NbbenchError": "errors",
    "Job": "execution.job",
    "Outcome": "worker.case",
    "OutputError": "errors",
    "Report": "report.report",
    "Result": "plan.result",
    "Status": "worker.case",
    "arun": "api",
    "cancel": "execution.job",
    "catalogue": "plan.catalogue",
    "Comparison": "report.comparison",
    "compare": "api",
    "close_workers": "execution.fork_server",
    "form": "notebook.form",
    "gather": "report.gather",
    "History": "history_database.query",
    "history": "history_database.query",
    "latest": "execution.job",
    "Predictions": "report.predictions",
    "predict": "api",
    "run": "api",
    "submit": "api",
}

__all__ = [*sorted(_HOMES), "__version__"]

if _typing.TYPE_CHECKING:
    from .api import arun as arun
    from .api import compare as compare
    from .api import predict as predict
    from .api import run as run
    from .api import submit as submit
    from .arguments.schema import BenchmarkArguments as BenchmarkArguments
    from .errors import ArgumentError as ArgumentError
    from .errors import ModelNotFound as ModelNotFound
    from .errors import NbbenchError as NbbenchError
    from .errors import OutputError as OutputError
    from .execution.fork_server import close_workers as close_workers
    from .execution.job import Job as Job
    from .execution.job import cancel as cancel
    from .execution.job import latest as latest
    from .history_database.query import History as History
    from .history_database.query import history as history
    from .notebook.form import form as form
    from .plan.catalogue import catalogue as catalogue
    from .plan.result import Result as Result
    from .report.comparison import Comparison as Comparison
    from .report.gather import gather as gather
    from .report.predictions import Predictions as Predictions
    from .report.report import Report as Report
    from .worker.case import Case as Case
    from .worker.case import Outcome as Outcome
    from .worker.case import Status as Status


def __getattr__(name: str) -> _typing.Any:
    """Import a public name when it is first used: pydantic and pandas can wait until then."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nbbench' has no attribute {name!r}")
    value = getattr(_importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def load_ipython_extension(ipython: _typing.Any) -> None:
    """Register ``%tfbench`` and ``%%tfbench``; called by ``%load_ext nbbench``."""
    from .notebook.magic import register

    register(ipython)
