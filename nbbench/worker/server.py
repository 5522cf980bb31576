"""The worker's process: requests come in on stdin, events go out on what was stdout.

With isolation "fork" it is a server: it imports the framework once, runs none of it, and forks a
child for every case, which becomes a new process where a fork cannot use the GPU. With isolation
"process" it runs one case itself and ends. It dies with the
process that started it: at the end of its stdin, or when it finds itself with another parent; on
Linux its guards (`guard`) end it, too, should it hang in the framework.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import platform
import select
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Optional

from .backend import Backend
from .case import Outcome, Phase, Status
from .deaths import memory_kills, outcome_of_death
from .guard import adopt_orphans, children, die_with_parent, end_children
from .load import load_backend
from .measure_ceilings import measure_ceilings
from .messages import (
    CaseFinished,
    CaseStarted,
    Event,
    Lines,
    MeasureCeilings,
    OfCase,
    OfOneCase,
    PhaseChanged,
    PredictCase,
    ProtocolError,
    Request,
    RunCase,
    StopCase,
    WorkerFailed,
    WorkerReady,
    decode,
    encode,
    write_all,
)
from .predict_case import predict_case
from .resident import high_water_mark_works
from .run_case import run_case
from .variables import describe_variables

ESCALATION = (("SIGINT", 0.2), ("SIGTERM", 0.2), ("SIGKILL", 5.0))
"""How a case is ended, and the seconds each step is given."""

_LOOK_EVERY_S = 1.0

_NEW_PROCESS = """
from nbbench.worker.server import be_a_new_process
be_a_new_process()
"""


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
    facts = {"python_version": platform.python_version(), **describe_variables()}
    facts.update(backend.environment())
    _send(events, WorkerReady(settings.framework, os.getpid(), facts))
    if settings.isolation == "fork":
        Server(backend, events, settings).serve()
    else:
        _serve_one(backend, events)


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for events; whatever is printed goes to stderr from now on."""
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return events


def _send(events: BinaryIO, event: Event) -> None:
    write_all(events, encode(event))


class Server:
    """Forks a child for every case, relays its events, and says what became of it.

    It runs one thread and waits in one place, so a fork copies nothing that is held.
    """

    def __init__(self, backend: Backend, events: BinaryIO, settings: Settings) -> None:
        self._backend = backend
        self._events = events
        self._settings = settings
        self._parent = os.getppid()
        self._lines = Lines()
        self._open = True

    def serve(self) -> None:
        """Take cases until stdin ends, the parent changes, or nothing came for the idle limit."""
        gc.disable()  # what is imported stays; its children collect
        adopt_orphans()
        idle_since = math.inf  # it was started for a case, which has yet to come
        while self._open and time.monotonic() - idle_since < self._settings.idle_limit:
            for request in self._requests(_LOOK_EVERY_S):
                if isinstance(request, (RunCase, PredictCase, MeasureCeilings)):
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
        try:
            return [decode(line, Request) for line in self._lines.add(received)]
        except ProtocolError as error:
            self._open = False
            _send(self._events, _refusal(error))
            return []

    def _run(self, request: OfOneCase) -> None:
        if not request.case.runs_foreign_code:  # which may be another by the next case
            with contextlib.suppress(BaseException):  # the child meets it again, and reports it
                self._backend.import_model(request.case)
        gc.freeze()  # else a child's collector walks, and so copies, all that was imported
        kills_before, others = memory_kills(), children()
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
        end_children(spare=others)  # whatever the case itself has started
        if finished is None:
            code = os.waitstatus_to_exitcode(wait_status)
            finished = CaseFinished(outcome_of_death("the process", code, phase, kills_before))
        if self._open:
            _send(self._events, finished)

    def _relay(self, child: int, reader: int) -> tuple[Optional[Phase], Optional[CaseFinished]]:
        """Pass the child's events on until it is gone; its last phase, and its outcome if any."""
        phase: Optional[Phase] = None
        pieces = Lines()
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
            has_ended = _has_ended(child)  # asked first: its last words are in the pipe by then
            if not select.select([reader], [], [], 0)[0]:
                if has_ended:  # what it started may still hold the pipe
                    return phase, None
                continue
            received = os.read(reader, 1 << 16)
            if not received:
                return phase, None
            try:
                for line in pieces.add(received):
                    event = decode(line, OfCase)
                    if isinstance(event, PhaseChanged):
                        phase = event.phase
                    if isinstance(event, CaseFinished):
                        return phase, event
                    if self._open:
                        write_all(self._events, line + b"\n")
            except ProtocolError as error:  # nothing that it sends can be relied on any more
                _kill_group(child, signal.SIGKILL)
                return phase, CaseFinished(_damaged(error, phase))

    def _be_the_child(self, request: OfOneCase, events: BinaryIO) -> None:
        """Run the case and end the process, in a group of its own that dies with the server."""
        try:
            gc.enable()
            os.setpgid(0, 0)
            die_with_parent()
            _be_first_out_of_memory()
            if _has_lost_its_gpu(self._backend, request):
                _become_a_new_process(self._settings, request, events)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            self._events.close()
            outcome = _outcome(self._backend, request, events)
            _send(events, CaseFinished(outcome))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)


def _has_lost_its_gpu(backend: Backend, request: OfOneCase) -> bool:
    """Whether a request may need a GPU that this fork cannot use."""
    has_lost_gpus = getattr(backend, "has_lost_gpus", None)
    return request.case.device != "cpu" and has_lost_gpus is not None and bool(has_lost_gpus())


def _become_a_new_process(settings: Settings, request: OfOneCase, events: BinaryIO) -> None:
    """Begin anew with a fresh interpreter, under the same process id; it does not return."""
    import tempfile  # which no other case has any use for, and would hold

    from .boot import boot_command

    with tempfile.TemporaryFile() as file:  # a pipe would not hold a long one
        file.write(encode(request))
        file.seek(0)
        os.dup2(file.fileno(), 0)
    os.dup2(events.fileno(), 1)
    command = boot_command(sys.executable, _NEW_PROCESS, json.dumps(asdict(settings)))
    os.execv(command[0], command)


def be_a_new_process() -> None:
    """Run the case on stdin in this process, which was a server's child, and end it."""
    events = _claim_stdout()
    settings = Settings(**json.loads(sys.argv[1]))
    request = decode(sys.stdin.buffer.readline().rstrip(b"\n"), Request)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    backend = load_backend(settings.framework, settings.backend_file, settings.backend_class)
    if isinstance(backend, WorkerFailed):
        reason, detail = backend.reason, backend.detail
        outcome = Outcome(backend.status, reason, Phase.IMPORTING, detail=detail)
    else:
        outcome = _outcome(backend, request, events)
    _send(events, CaseFinished(outcome))
    sys.stderr.flush()
    os._exit(0)


def _serve_one(backend: Backend, events: BinaryIO) -> None:
    """Run the one case that is asked for in this process, which its parent may end at any time."""
    line = sys.stdin.buffer.readline()
    if not line:
        return
    try:
        request = decode(line.rstrip(b"\n"), Request)
    except ProtocolError as error:
        _send(events, _refusal(error))
        return
    if isinstance(request, StopCase):
        return
    if sys.platform == "linux":
        _be_first_out_of_memory()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the guards look at what stdin was
    else:  # where there are no guards
        threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()
    _send(events, CaseStarted(os.getpid()))
    _send(events, CaseFinished(_outcome(backend, request, events)))
    sys.stderr.flush()
    os._exit(0)


def _outcome(backend: Backend, request: OfOneCase, events: BinaryIO) -> Outcome:
    """What comes of a request about a case, carried out in this process."""

    def emit(event: Event) -> None:
        _send(events, event)

    if isinstance(request, PredictCase):
        return predict_case(backend, request.case, emit)
    if isinstance(request, MeasureCeilings):
        return measure_ceilings(backend, request.case, request.dtype, emit)
    return run_case(backend, request, emit)


def _exit_at_end_of_stdin() -> None:
    while sys.stdin.buffer.read(1):
        pass
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # with whatever the case has started
    os._exit(1)


def _refusal(error: ProtocolError) -> WorkerFailed:
    """What a worker sends that cannot rely on its requests any more, before it ends."""
    return WorkerFailed(Status.CRASHED, f"the worker has ended, since {error}")


def _damaged(error: ProtocolError, phase: Optional[Phase]) -> Outcome:
    """What comes of a case whose process sends what is no message."""
    where = f" while {phase.doing}" if phase else ""
    return Outcome(Status.CRASHED, f"the process was ended{where}, since {error}", phase)


def _has_ended(child: int) -> bool:
    """Whether a child is dead, which leaves it to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(leader: int, signal_number: int) -> None:
    try:
        os.killpg(leader, signal_number)
    except (ProcessLookupError, PermissionError):  # it may have gone to another group
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal_number)


def _be_first_out_of_memory() -> None:
    """If the machine's memory runs out, let this process go rather than the user's notebook."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


if __name__ == "__main__":
    main()
