"""Workers that stay warm: servers that fork a child for every case."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from ..frameworks import BackendFile
from ..worker.messages import CaseFinished, StopCase
from .worker import Worker
from .worker_process import WorkerProcess

_STOP_GRACE_S = 2.0
"""Seconds that a server has to end its case before it is ended itself."""


class ForkServer(WorkerProcess):
    """A process that has imported the framework, and forks a child for every case."""

    isolation = "fork"
    serves_many = True

    def stop(self) -> None:
        """Have the server end its child; the server stays."""
        if self.case_pid is None:  # it is still importing
            self.interrupt()
            self.close()
            return
        self.send(StopCase())
        deadline = time.monotonic() + _STOP_GRACE_S
        while time.monotonic() < deadline:
            try:
                event = self.receive(deadline - time.monotonic())
            except queue.Empty:
                break
            if event is None or isinstance(event, CaseFinished):
                self.case_pid = None
                return
        self.close()


class ForkServers:
    """Fork servers for one framework in one interpreter, warm ones first."""

    own_process = True

    def __init__(
        self, python: str, backend: BackendFile, idle_limit: float, facts: Mapping[str, Any]
    ) -> None:
        self.facts = facts
        self._key = (python, backend, idle_limit)
        self._environ = frozenset(os.environ.items())

    def take(self) -> Worker:
        """A warm server, or a new one."""
        return _pool.take((*self._key, self._environ)) or ForkServer(*self._key)

    def give_back(self, worker: Worker, *, idle: bool) -> None:
        """Keep a server warm that runs no case; end any other."""
        if idle and worker.alive:
            _pool.keep((*self._key, self._environ), worker)
        else:
            worker.close()


_Key = tuple[str, BackendFile, float, frozenset[tuple[str, str]]]
"""What a warm server must have been started with; its variables among it, which it keeps."""


class _Pool:
    """The warm servers of this process."""

    def __init__(self) -> None:
        self._warm: dict[_Key, Worker] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def take(self, key: _Key) -> Worker | None:
        with self._lock:
            worker = self._warm.pop(key, None)
        return worker if worker is not None and worker.alive else None

    def keep(self, key: _Key, worker: Worker) -> None:
        with self._lock:
            displaced = self._warm.pop(key, None)
            self._warm[key] = worker
        if displaced is not None:
            displaced.close()

    def close(self) -> None:
        with self._lock:
            workers, self._warm = list(self._warm.values()), {}
        for worker in workers:
            worker.close()


_pool = _Pool()


def close_workers() -> None:
    """End the workers that are kept warm, at once rather than at their idle limit."""
    _pool.close()
