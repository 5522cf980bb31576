"""Turns: one benchmark at a time in this process, and one on a device of this machine.

Two at a time would disturb each other's timings. Kernels and shells of one user see each other by
a locked file, which the system lets go of when its holder ends, however it ends. Benchmarks of
other users are seen as load alone.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
import psutil
from filelock import FileLock, Timeout

from ..errors import NbbenchError
from ..machine.gpus import visible_gpus
from ..text import duration

MEASURES_BESIDE = "wait=False, as a flag --no-wait, measures beside it"
"""What a person is told who waits for another benchmark."""

_LOOK_EVERY_S = 0.1

_line: list[Turn] = []
"""Those of this process, in the order in which they came: the first one measures."""

_line_moved = threading.Condition()

_holders: set[int] = set()
"""The threads that have a turn or wait for it; others stand in line until they go on."""


class Turn:
    """What a benchmark waits for: that no other runs in this process, nor on its device.

    ``device`` is cpu, cuda, cuda:N or auto; None for one that measures on no device of this
    machine. With ``wait`` false it waits for those of this process alone, and ``beside_another``
    says whether another process measures on the device. In this process the first to come is the
    first to measure.
    """

    def __init__(self, device: str | None = "cpu", wait: bool = True) -> None:
        self._device, self._wait = device, wait
        self.beside_another = False

    def enter_line(self) -> None:
        """Take a place behind all of this process that measure or wait, unless it has one."""
        with _line_moved:
            if self not in _line:
                _line.append(self)

    def leave_line(self) -> None:
        """Give the place up."""
        with _line_moved:
            if self in _line:
                _line.remove(self)
                _line_moved.notify_all()

    @contextmanager
    def taken(
        self, cancelled: Callable[[], bool], on_wait: Callable[[str], None]
    ) -> Iterator[bool]:
        """Wait for the turn, and hold it; yields whether it came, before it was ``cancelled()``.

        ``on_wait`` is given what it waits for. Raises `NbbenchError` within another turn.
        """
        refuse_within_another()
        self.enter_line()
        _holders.add(threading.get_ident())
        try:
            if self._is_first(cancelled):
                with self._device_locked(cancelled, on_wait):
                    yield not cancelled()
            else:
                yield False
        finally:
            _holders.discard(threading.get_ident())
            self.leave_line()

    def _is_first(self, cancelled: Callable[[], bool]) -> bool:
        """Whether it is the first in line, after waiting for that; not once it is cancelled."""
        with _line_moved:
            while _line[:1] != [self]:
                if cancelled():
                    return False
                _line_moved.wait(_LOOK_EVERY_S)
        return True

    @contextmanager
    def _device_locked(
        self, cancelled: Callable[[], bool], on_wait: Callable[[str], None]
    ) -> Iterator[None]:
        device = None if self._device is None else device_name(self._device)
        lock = None if device is None else _lock_of(device)
        if device is None or lock is None:
            yield
            return
        try:
            free = self._acquired(lock, device, cancelled, on_wait)
            self.beside_another = not (free or cancelled())
            yield
        finally:
            lock.release()

    def _acquired(
        self,
        lock: FileLock,
        device: str,
        cancelled: Callable[[], bool],
        on_wait: Callable[[str], None],
    ) -> bool:
        """Whether no other process measures on the device, after waiting for it."""
        first = True
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if cancelled() or not self._wait:
                    return False
                if first:
                    on_wait(
                        f"waiting for another benchmark on this machine's {device}{_holder(lock)}"
                    )
                first = False
                time.sleep(_LOOK_EVERY_S)
            except (OSError, NotImplementedError):  # a folder without locks: measure all the same
                break
            else:
                with suppress(OSError):
                    _holder_file(lock).write_text(str(os.getpid()))
        return True


def refuse_within_another() -> None:
    """Raise `NbbenchError` in a thread of a benchmark: no other can end before it goes on."""
    if threading.get_ident() in _holders:
        raise NbbenchError(
            "within a benchmark, as in its on_result, none can be waited for, since it would have "
            "to end first; run the other one afterwards, or submit it"
        )


def _holder_file(lock: FileLock) -> Path:
    return Path(lock.lock_file).with_suffix(".holder")


def _holder(lock: FileLock) -> str:
    """Which process holds a lock, and since when; empty where that is not known."""
    with suppress(OSError, ValueError, OverflowError):
        file = _holder_file(lock)
        process, begun = int(file.read_text()), file.stat().st_mtime
        if psutil.pid_exists(process):
            return f", process {process}, begun {duration(time.time() - begun)} ago"
    return ""


def device_name(device: str) -> str:
    """The device as all processes of this machine name it: cpu, or the GPU."""
    gpus = [] if device == "cpu" else visible_gpus()
    if device == "cpu" or (device == "auto" and not gpus):
        return "cpu"
    number = device.partition(":")[2]
    index = int(number) if number.isdecimal() else 0
    if index >= len(gpus):
        return device
    if gpus[index] is not None:
        return f"gpu {gpus[index]}"
    numbers = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    own = numbers[index].strip() if index < len(numbers) else ""
    return f"cuda:{own or index}"


def _lock_of(device: str) -> FileLock | None:
    """The file that stands for a `device_name`; None where there is no folder for it."""
    name = re.sub(r"[^\w-]+", "-", device)
    with suppress(OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the system has no such folder there is another
        folder = Path(platformdirs.user_runtime_dir("nbbench", appauthor=False))
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")
    return None
