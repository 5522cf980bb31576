"""How any interpreter gets to know the worker's package, whether or not it has nbbench."""

from __future__ import annotations

from pathlib import Path

_WORKER = Path(__file__).parent

_BOOT = """
import sys
sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]
import importlib.util, types
root = types.ModuleType("nbbench")
root.__path__ = []
sys.modules["nbbench"] = root
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location(
    "nbbench.worker", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["nbbench.worker"] = worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
"""
"""Loads the worker's folder as the package nbbench.worker and nothing else of nbbench, whether or
not the interpreter has nbbench installed. The current folder leaves the path before anything is
imported (``sys`` is built in): a file of a downloaded model's folder must not run."""


def boot_command(python: str, code: str, *argv: str) -> list[str]:
    """The command that runs code with ``argv``, in an interpreter that knows nbbench.worker."""
    return [python, "-c", _BOOT + code, str(_WORKER), *argv]
