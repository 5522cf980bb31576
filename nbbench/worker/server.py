"""The worker's process: requests come in on stdin, events go out on what was stdout.

With isolation "fork" it is a server: it imports the framework once, runs none of it, and forks a
child for every case. With isolation "process" it runs one case itself and ends. It dies with the
process that started it: at the end of its stdin, or when it finds itself with another parent. (A
parent-death signal will not do: it comes at the death of the parent's *thread*.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import platform
import select
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional

from .backend import Backend
from .case import Outcome, Phase, Status, signal_name
from .load import load_backend
from .messages import (
    CaseFinished,
    CaseStarted,
    Event,
    PhaseChanged,
    RunCase,
    StopCase,
    WorkerFailed,
    WorkerReady,
    decode,
    encode,
)
from .resident import high_water_mark_works
from .run_case import run_case

ESCALATION = (("SIGINT", 0.2), ("SIGTERM", 0.2), ("SIGKILL", 5.0))
"""How a case is ended, and the seconds each step is given."""

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Settings:
    """How the worker was started: the backend's file and class, and the way to isolate cases."""

    framework: str
    backend_file: str
    backend_class: str
    isolation: str
    idle_limit: float


def main() -> None:
    """Run until there is nothing more to do."""
    events = _claim_stdout()
    settings = Settings(**json.loads(sys.argv[1]))
    backend = load_backend(settings.framework, settings.backend_file, settings.backend_class)
    if isinstance(backend, WorkerFailed):
        _send(events, backend)
        return
    high_water_mark_works()  # proved once, for every fork
    environment = {"python_version": platform.python_version(), **backend.environment()}
    _send(events, WorkerReady(settings.framework, os.getpid(), environment))
    if settings.isolation == "fork":
        Server(backend, events, settings.idle_limit).serve()
    else:
        _serve_one(backend, events)


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for events; whatever is printed goes to stderr from now on."""
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return events


def _send(events: BinaryIO, event: Event) -> None:
    events.write(encode(event))


class Server:
    """Forks a child for every case, relays its events, and says what became of it.

    It runs one thread and waits in one place, so a fork copies nothing that is held.
    """

    def __init__(self, backend: Backend, events: BinaryIO, idle_limit: float) -> None:
        self._backend = backend
        self._events = events
        self._idle_limit = idle_limit
        self._parent = os.getppid()
        self._unread = b""
        self._open = True

    def serve(self) -> None:
        """Take cases until stdin ends, the parent changes, or nothing came for the idle limit."""
        gc.disable()  # what is imported stays; its children collect
        idle_since = time.monotonic()
        while self._open and time.monotonic() - idle_since < self._idle_limit:
            for request in self._requests(_LOOK_EVERY_S):
                if isinstance(request, RunCase):
                    self._run(request)
                    idle_since = time.monotonic()

    def _requests(self, wait: float, beside: Optional[int] = None) -> list[Any]:
        """Requests that have come; waits for one, or for ``beside`` to be readable."""
        if os.getppid() != self._parent:
            self._open = False
        watched = [0] if beside is None else [0, beside]
        ready, _, _ = select.select(watched, [], [], wait)
        if 0 not in ready:
            return []
        received = os.read(0, 1 << 16)
        if not received:
            self._open = False
        *lines, self._unread = (self._unread + received).split(b"\n")
        return [decode(line) for line in lines]

    def _run(self, request: RunCase) -> None:
        with contextlib.suppress(Exception):  # the child meets it again, and reports it
            self._backend.import_model(request.case)
        gc.freeze()  # else a child's collector walks, and so copies, all that was imported
        kills_before = _out_of_memory_kills()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._be_the_child(request, os.fdopen(writer, "wb", buffering=0))
        os.close(writer)
        with contextlib.suppress(OSError):  # the child does it too; whoever comes first
            os.setpgid(child, child)
        _send(self._events, CaseStarted(child))
        phase, finished = self._relay(child, reader)
        os.close(reader)
        _, wait_status = os.waitpid(child, 0)
        _kill_group(child, signal.SIGKILL)  # whatever the case itself has started
        if finished is None:
            oom_killed = _out_of_memory_kills() > kills_before
            finished = CaseFinished(_outcome_of_death(wait_status, phase, oom_killed))
        _send(self._events, finished)

    def _relay(self, child: int, reader: int) -> tuple[Optional[Phase], Optional[CaseFinished]]:
        """Pass the child's events on until it is gone; its last phase, and its outcome if any."""
        phase: Optional[Phase] = None
        unread = b""
        stops, next_stop = iter(ESCALATION), float("inf")
        while True:
            wait = min(_LOOK_EVERY_S, max(0.0, next_stop - time.monotonic()))
            requests = self._requests(wait, beside=reader)
            stopping = next_stop != float("inf")
            if not self._open:
                _kill_group(child, signal.SIGKILL)
            elif not stopping and any(isinstance(r, StopCase) for r in requests):
                next_stop = 0.0
            if time.monotonic() >= next_stop:
                name, seconds = next(stops, ESCALATION[-1])
                _kill_group(child, getattr(signal, name))
                next_stop = time.monotonic() + seconds
            if not select.select([reader], [], [], 0)[0]:
                if _has_ended(child):  # what it started may still hold the pipe
                    return phase, None
                continue
            received = os.read(reader, 1 << 16)
            if not received:
                return phase, None
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                event = decode(line)
                if isinstance(event, PhaseChanged):
                    phase = event.phase
                if isinstance(event, CaseFinished):
                    return phase, event
                if self._open:
                    self._events.write(line + b"\n")

    def _be_the_child(self, request: RunCase, events: BinaryIO) -> None:
        """Run the case and end the process, in a group of its own that dies with the server."""
        try:
            gc.enable()
            os.setpgid(0, 0)
            _die_with_parent()
            _be_first_out_of_memory()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            self._events.close()
            outcome = run_case(
                self._backend,
                request.case,
                lambda event: _send(events, event),
                request.round,
                request.alone,
            )
            _send(events, CaseFinished(outcome))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)


def _serve_one(backend: Backend, events: BinaryIO) -> None:
    """Run the one case that is asked for in this process, which its parent may end at any time."""
    line = sys.stdin.buffer.readline()
    if not line:
        return
    request = decode(line)
    threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()
    if sys.platform == "linux":
        _be_first_out_of_memory()
    _send(events, CaseStarted(os.getpid()))
    outcome = run_case(
        backend, request.case, lambda event: _send(events, event), request.round, request.alone
    )
    _send(events, CaseFinished(outcome))
    sys.stderr.flush()
    os._exit(0)


def _exit_at_end_of_stdin() -> None:
    while sys.stdin.buffer.read(1):
        pass
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # with whatever the case has started
    os._exit(1)


def _outcome_of_death(wait_status: int, phase: Optional[Phase], oom_killed: bool) -> Outcome:
    """What to say of a child that ended without an outcome."""
    where = f" while {phase.value}" if phase else ""
    if not os.WIFSIGNALED(wait_status):
        code = os.WEXITSTATUS(wait_status)
        return Outcome(Status.CRASHED, f"the process exited with code {code}{where}", phase)
    name = signal_name(os.WTERMSIG(wait_status))
    if name == "SIGKILL" and oom_killed:
        reason = f"the system killed the process{where}: the machine's memory ran out"
        return Outcome(Status.OOM, reason, phase)
    return Outcome(Status.CRASHED, f"the process died of {name}{where}", phase)


def _out_of_memory_kills() -> int:
    """How many processes the system has killed for memory since it started; 0 if unknown."""
    with contextlib.suppress(OSError), open("/proc/vmstat", "rb") as counters:
        for line in counters:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def _has_ended(child: int) -> bool:
    """Whether a child is dead, which leaves it to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(leader: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal_number)


def _die_with_parent() -> None:
    """Be killed when the server, which has one thread, is gone (Linux)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _be_first_out_of_memory() -> None:
    """If the machine's memory runs out, let this process go rather than the user's notebook."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


if __name__ == "__main__":
    main()
