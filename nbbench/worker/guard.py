"""Guards: small processes around a worker that see to it that nothing outlives its run.

A guard forks the process that it watches, and is the one that orphans of it come to (a
"subreaper"), so that whatever a case has started can be found, in sessions of its own too. It
ends all of that when the watched process ends, when the process that started the guard is gone,
or at SIGUSR1; and it then ends as the watched process did. SIGINT and SIGTERM it passes on. There
are two, one around the other: whichever is killed, the other cleans up. Each has a process group of
its own, out of reach of a case that ends its own.

It runs nothing but this file, so it neither hangs in a framework nor dies of it. SIGCONT is sent to
it at its parent's death, which it notices even if it was stopped. Linux alone.

As a script it runs the command that is given, guarded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Collection, Iterator
from typing import Optional

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

_PASSED_ON = {signal.SIGINT, signal.SIGTERM}
_END_S = 5.0
"""Seconds that killed processes are waited for; one in a system call that cannot end may stay."""


def guard_twice() -> None:
    """Return in a process that two guards watch, one around the other."""
    _guard()
    _guard()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Have orphans of this process's descendants become children of it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the parent, which has one thread, is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def children() -> list[int]:
    """The processes that this one is the parent of, those that have ended but for waiting too."""
    if not _has_children():  # which costs less than to look at every process
        return []
    own = os.getpid()
    with contextlib.suppress(OSError):  # a container may hide /proc
        names = filter(str.isdecimal, os.listdir("/proc"))
        return [int(name) for name in names if _parent(name) == own]
    return []


def end_children(spare: Collection[int] = ()) -> None:
    """Kill this process's children but for those to ``spare``, and the orphans that they leave."""
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        left = [pid for pid in children() if pid not in spare]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def _guard() -> None:
    """Fork: the child returns, and the parent watches it and ends as it did."""
    started_by, guard = os.getppid(), os.getpid()
    adopt_orphans()
    waker = _Waker([*_PASSED_ON, signal.SIGCHLD, signal.SIGCONT, signal.SIGHUP, signal.SIGUSR1])
    child = os.fork()
    _lead_a_group(child)
    if child == 0:
        waker.close()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
        if os.getppid() != guard:  # it was killed before the line above
            os._exit(1)
        return
    try:
        name = ctypes.create_string_buffer(b"nbbench-guard")
        _prctl(_PR_SET_NAME, ctypes.addressof(name))
        _prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the worker's messages end with the worker
        status = _watch(child, started_by, waker)
        end_children()
        _end_as(status)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _watch(child: int, started_by: int, waker: _Waker) -> int:
    """The child's status as `os.waitpid` gives it; SIGKILL's where it is to be ended."""
    poll = select.poll()
    poll.register(waker.reader, select.POLLIN)
    poll.register(0, 0)  # nothing is read: that its other end is closed is always shown
    while True:
        ready = dict(poll.poll())
        received = waker.clear()
        for number in received & _PASSED_ON:
            with contextlib.suppress(OSError):
                os.killpg(child, number)
        for pid, status in _ended():
            if pid == child:
                return status
        gone = os.getppid() != started_by
        if gone or signal.SIGUSR1 in received or ready.get(0, 0):
            return int(signal.SIGKILL)


def _ended() -> Iterator[tuple[int, int]]:
    """Children that have ended, each with its status."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            yield pid, status


def _end_as(status: int) -> None:
    """End this process with the status of another."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(1)


class _Waker:
    """A pipe that becomes readable when one of some signals comes."""

    def __init__(self, signals: Collection[signal.Signals]) -> None:
        self._received: set[int] = set()
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self._before = {number: signal.signal(number, self._receive) for number in signals}
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def clear(self) -> set[int]:
        """Empty the pipe; the signals that have come since the last time."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 4096)
        received, self._received = self._received, set()
        return received

    def close(self) -> None:
        """Have signals do what they did before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(self.reader)
        os.close(self._writer)

    def _receive(self, number: int, _frame: object) -> None:
        self._received.add(number)


def _lead_a_group(child: int) -> None:
    """Give a fork a group of its own; called in both processes, whichever comes first."""
    with contextlib.suppress(OSError):
        os.setpgid(child, child)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _parent(pid: str) -> Optional[int]:
    """The parent of a process; None if it has just ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


if __name__ == "__main__":
    guard_twice()
    os.execv(sys.argv[1], sys.argv[1:])
