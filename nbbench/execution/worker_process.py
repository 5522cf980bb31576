"""One worker process, seen from the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

from ..frameworks import BackendFile
from ..worker.boot import boot_command
from ..worker.case import Outcome, Phase, Status
from ..worker.deaths import memory_kills, outcome_of_death
from ..worker.messages import (
    MAX_MESSAGE_BYTES,
    CaseFinished,
    CaseStarted,
    Event,
    ProtocolError,
    Request,
    decode,
    encode,
)

_LOG_TAIL_BYTES = 4000

_GENTLE = ("SIGINT", "SIGTERM")
_GENTLE_STEP_S = 0.2
_GUARDS_S = 6.0
"""Seconds that a worker's guards have to end it, all that it has started, and themselves."""

_MAIN = """
if sys.platform == "linux":
    from nbbench.worker.guard import guard_twice
    guard_twice()
from nbbench.worker.server import main
main()
"""


class WorkerProcess:
    """A worker that is a process of its own; started on construction.

    ``isolation`` says how it runs cases; ``environ`` are its environment variables, and ``folder``
    its current folder: that of this process where it is None, or gone. ``runs_case`` is true from
    the start of a case to its end.
    """

    isolation: ClassVar[str]
    serves_many: bool
    introduces_itself: bool

    def __init__(
        self,
        python: str,
        backend: BackendFile,
        environ: Mapping[str, str],
        folder: str | None = None,
        idle_limit: float = 300.0,
    ) -> None:
        here = python == sys.executable
        self.where = "this interpreter" if here else "the interpreter that environments names"
        self.facts: Mapping[str, Any] = {}
        self.runs_case = False
        self._problem = ""
        self._memory_kills = memory_kills()
        self._log_start = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        weakref.finalize(self, self._log.close)
        settings = {
            "framework": backend.framework,
            "backend_file": backend.file,
            "backend_class": backend.class_name,
            "isolation": self.isolation,
            "idle_limit": idle_limit,
        }
        self._process = subprocess.Popen(
            boot_command(python, _MAIN, json.dumps(settings)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environ,
            cwd=folder if folder is not None and os.path.isdir(folder) else None,
            start_new_session=True,  # an interrupt of the notebook is for the notebook alone
        )
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        for act in (self._read, self._write):
            threading.Thread(target=act, daemon=True, name=f"nbbench-worker{act.__name__}").start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline(MAX_MESSAGE_BYTES)
            if not line.endswith(b"\n") and len(line) < MAX_MESSAGE_BYTES:
                break  # it is gone, perhaps amid a message
            try:
                self._events.put(decode(line.rstrip(b"\n"), Event))
            except ProtocolError as error:  # nothing that it sends can be relied on any more
                self._problem = str(error)
                self._end()
                break
        self._process.stdout.close()
        self._wait()
        self._requests.put(None)
        self._events.put(None)

    def _write(self) -> None:
        """Write requests; a long one waits in the pipe for a worker that still imports."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdin:
            while (request := self._requests.get()) is not None:
                self._process.stdin.write(request)
                self._process.stdin.flush()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def begin_case(self) -> None:
        """Have `log_tail` show no more than is printed from now on."""
        self._log_start = os.fstat(self._log.fileno()).st_size if self.facts else 0
        self._memory_kills = memory_kills()

    def send(self, request: Request) -> None:
        """Ask for something, without waiting: `receive` notices a worker that hangs or is gone."""
        self._requests.put(encode(request))

    def receive(self, timeout: float) -> Event | None:
        """The next event, or None when the worker is gone; ``queue.Empty`` after ``timeout`` s."""
        event = self._events.get(timeout=max(timeout, 0.0))
        if isinstance(event, CaseStarted):
            self.runs_case = True
        elif isinstance(event, CaseFinished):
            self.runs_case = False
        return event

    def interrupt(self) -> None:
        """End the worker, gently at first (elsewhere than POSIX: at once)."""
        for name in () if sys.platform == "win32" else _GENTLE:
            with contextlib.suppress(OSError):
                self._process.send_signal(getattr(signal, name))  # its guards pass it on
            deadline = time.monotonic() + _GENTLE_STEP_S
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.01)
        self.close()

    def close(self) -> None:
        """End the worker and the case it runs, at once."""
        self._end()
        self._wait()
        self._requests.put(None)

    def _end(self) -> None:
        """Have the guards end it with all that it has started; without guards, its group."""
        if sys.platform == "linux":
            self._process.send_signal(signal.SIGUSR1)
            self._process.send_signal(signal.SIGCONT)
        else:
            self._kill_group()

    def _wait(self) -> None:
        """Wait for its end, which it may need help with."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GUARDS_S)
        self._kill_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GUARDS_S)

    def _kill_group(self) -> None:
        if self.alive:
            with contextlib.suppress(OSError):
                if sys.platform != "win32":
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()

    def outcome_of_death(self, phase: Phase) -> Outcome:
        """What comes of a case in this phase, now that the worker is gone."""
        if self._problem:
            reason = f"the worker was ended while {phase.doing}, since {self._problem}"
            return Outcome(Status.CRASHED, reason, phase)
        code = self._process.returncode
        return outcome_of_death("the worker", code, phase, self._memory_kills)

    def log_tail(self) -> str:
        """The end of what the framework has printed."""
        descriptor = self._log.fileno()
        size = os.fstat(descriptor).st_size
        start = max(self._log_start, size - _LOG_TAIL_BYTES)
        return _read(descriptor, start, size).decode(errors="replace")


def _read(descriptor: int, start: int, end: int) -> bytes:
    """Bytes of a file that others go on writing to."""
    if sys.platform != "win32":
        return os.pread(descriptor, end - start, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # there they share the place, so it is put back
    try:
        return os.read(descriptor, end - start)
    finally:
        os.lseek(descriptor, 0, os.SEEK_END)


def current_folder() -> str | None:
    """This process's current folder; None where that was deleted."""
    with contextlib.suppress(OSError):
        return os.getcwd()
    return None


def worker_environ(python: str) -> dict[str, str]:
    """This process's variables for a worker; without what is meant for this interpreter alone.

    An empty entry of a path means the current folder, of which nothing may run.
    """
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    environ.pop("PYTEST_CURRENT_TEST", None)  # one worker serves many tests
    for name in ("PYTHONPATH", "PATH", "LD_LIBRARY_PATH"):
        if name in environ:
            entries = environ[name].split(os.pathsep)
            environ[name] = os.pathsep.join(entry for entry in entries if entry not in ("", "."))
    if not environ.get("PYTHONPATH"):
        environ.pop("PYTHONPATH", None)
    if python != sys.executable:
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"):
            environ.pop(name, None)
    return environ
