"""Workers that run one case: a fresh interpreter each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..frameworks import BackendFile
from .worker import Worker
from .worker_process import WorkerProcess, current_folder, worker_environ


class FreshProcess(WorkerProcess):
    """A process that runs one case itself, and ends."""

    isolation = "process"
    serves_many = False
    introduces_itself = True

    def stop(self) -> None:
        """End the process, which is the case."""
        self.interrupt()


class FreshProcesses:
    """Fresh processes for one framework in one interpreter."""

    own_process = True

    def __init__(self, python: str, backend: BackendFile, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self._python, self._backend = python, backend
        self._environ, self._folder = worker_environ(python), current_folder()

    def take(self) -> Worker:
        """A new process."""
        return FreshProcess(self._python, self._backend, self._environ, self._folder)

    def give_back(self, worker: Worker, *, idle: bool) -> None:
        """End it: it has run its case."""
        worker.close()
