"""Workers that stay warm: servers that fork a child for every case."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..frameworks import BackendFile
from ..worker.messages import CaseFinished, StopCase
from .worker import Worker
from .worker_process import WorkerProcess, current_folder, worker_environ

_STOP_GRACE_S = 2.0
"""Seconds that a server has to end its case before it is ended itself."""


class ForkServer(WorkerProcess):
    """A process that has imported the framework, and forks a child for every case."""

    isolation = "fork"
    serves_many = True
    introduces_itself = True

    def stop(self) -> None:
        """Have the server end its child; the server stays."""
        if not self.runs_case:  # it is still importing
            self.interrupt()
            return
        self.send(StopCase())
        deadline = time.monotonic() + _STOP_GRACE_S
        while time.monotonic() < deadline:
            try:
                event = self.receive(deadline - time.monotonic())
            except queue.Empty:
                break
            if event is None or isinstance(event, CaseFinished):
                self.runs_case = False
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
        self._inherited = Inherited.now(python)

    def take(self) -> Worker:
        """A warm server, or a new one."""
        python, backend, idle_limit = self._key
        its = self._inherited
        warm = _pool.take(self._key, its)
        return warm or ForkServer(python, backend, its.environ, its.folder, idle_limit)

    def give_back(self, worker: Worker, *, idle: bool) -> None:
        """Keep a server warm that runs no case; end any other."""
        if idle and worker.alive:
            _pool.keep(self._key, self._inherited, worker)
        else:
            worker.close()


_Key = tuple[str, BackendFile, float]


@dataclass(frozen=True)
class Inherited:
    """What a worker has from this process and keeps, whatever changes here later."""

    environ: Mapping[str, str]
    cores: frozenset[int]
    niceness: int
    folder: str | None

    @classmethod
    def now(cls, python: str) -> Inherited:
        """What a worker that is started now would inherit."""
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        niceness = os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0
        return cls(worker_environ(python), frozenset(cores), niceness, current_folder())


class _Pool:
    """The warm servers of this process, each with what it has inherited."""

    def __init__(self) -> None:
        self._warm: dict[_Key, tuple[Inherited, Worker]] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def take(self, key: _Key, inherited: Inherited) -> Worker | None:
        """The warm server with this key; one that has inherited something else is ended."""
        with self._lock:
            its, worker = self._warm.pop(key, (inherited, None))
        if worker is None or (worker.alive and its == inherited):
            return worker
        worker.close()
        return None

    def keep(self, key: _Key, inherited: Inherited, worker: Worker) -> None:
        """Keep a server warm, in the stead of another with this key."""
        with self._lock:
            displaced = self._warm.pop(key, None)
            self._warm[key] = inherited, worker
        if displaced is not None:
            displaced[1].close()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            warm, self._warm = list(self._warm.values()), {}
        for _, worker in warm:
            worker.close()


_pool = _Pool()


def close_workers() -> None:
    """End the workers that are kept warm, at once rather than at their idle limit."""
    _pool.close()
