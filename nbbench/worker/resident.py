"""This process's resident memory and its peak, from the system.

On Linux the peak is the kernel's own high-water mark, which is free and misses none: 5 written to
`/proc/self/clear_refs` resets it, `VmHWM` in `/proc/self/status` reads it. It is as exact as the
kernel's count of pages, of which each processor holds some back (since 6.2 up to 32, or twice the
number of processors). Where it is refused or has no effect, and on macOS and Windows, resident
memory is polled from a thread.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

POLL_EVERY_S = 0.005


@dataclass(frozen=True)
class Resident:
    """Resident bytes: all, and the part that is the process's own rather than a mapped file's."""

    total: int
    anonymous: int

    @property
    def mapped(self) -> int:
        """Bytes of mapped files: the framework's own code, loaded as it is first used."""
        return self.total - self.anonymous


def read_resident() -> Resident:
    """What this process holds now."""
    if sys.platform == "linux":
        fields = _read_status()
        return Resident(fields["VmRSS"], fields.get("RssAnon", fields["VmRSS"]))
    total = _macos_resident() if sys.platform == "darwin" else _windows_resident()
    return Resident(total, total)


def quick_resident() -> int:
    """How many bytes this process holds, all in all; on Linux in two microseconds."""
    if sys.platform != "linux":
        return read_resident().total
    return int(os.pread(_statm(os.getpid()), 100, 0).split()[1]) * mmap.PAGESIZE


@lru_cache(maxsize=1)
def _statm(pid: int) -> int:
    """A descriptor that stays open: what a fork has from its parent reads the parent's memory."""
    return os.open(f"/proc/{pid}/statm", os.O_RDONLY)


def _read_status() -> dict[str, int]:
    wanted = ("VmRSS", "VmHWM", "RssAnon")
    fields = {}
    with open("/proc/self/status", "rb") as status:
        for line in status:
            name, _, rest = line.partition(b":")
            if name.decode() in wanted:
                fields[name.decode()] = int(rest.split()[0]) * 1024
    return fields


def _macos_resident() -> int:
    # proc_taskinfo: virtual size, then resident size, each 64 bits, of 96 bytes in all.
    proc_pidtaskinfo, size = 4, 96
    info = (ctypes.c_uint64 * (size // 8))()
    libproc = ctypes.CDLL("/usr/lib/libproc.dylib")
    if libproc.proc_pidinfo(os.getpid(), proc_pidtaskinfo, ctypes.c_uint64(0), info, size) <= 0:
        raise OSError("proc_pidinfo gave no task information")
    return int(info[1])


def _windows_resident() -> int:
    class Counters(ctypes.Structure):
        _fields_ = [("cb", ctypes.c_uint32), ("faults", ctypes.c_uint32)] + [
            (name, ctypes.c_size_t)
            for name in ("peak", "resident", "qpp", "qp", "qnpp", "qnp", "page", "peak_page")
        ]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel32 = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel32.GetCurrentProcess())
    if not kernel32.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb):
        raise OSError("GetProcessMemoryInfo failed")
    return int(counters.resident)


def release_free_memory() -> None:
    """Give memory that the C allocator holds free back to the system, where glibc can."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class HighWaterMark:
    """The kernel's own record of the highest resident memory since it was last reset."""

    method = "high-water mark"

    def start(self) -> None:
        """Forget what was before."""
        with open("/proc/self/clear_refs", "w") as clear_refs:
            clear_refs.write("5")

    def stop(self) -> int:
        """The highest resident memory since `start`, in bytes."""
        return _read_status()["VmHWM"]


class Polling:
    """Memory read every 5 ms, by default what is resident: a shorter peak can be missed.

    Reading ends at the latest when nothing holds the object any more: a call that raises may keep
    `stop` from being reached.
    """

    method = "polling at 5 ms"

    def __init__(self, read: Optional[Callable[[], int]] = None) -> None:
        self._read = read or (lambda: read_resident().total)
        self._peak = 0
        self._done = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """Begin to read."""
        self._end_thread()
        self._peak, self._done = 0, threading.Event()
        arguments = (weakref.ref(self), self._done)
        self._thread = threading.Thread(target=_poll, args=arguments, daemon=True)
        self._thread.start()

    def look(self) -> int:
        """Read once; the highest resident memory that was read since `start`, in bytes."""
        self._peak = max(self._peak, self._read())
        return self._peak

    def stop(self) -> int:
        """The highest resident memory that was read since `start`, in bytes."""
        self._end_thread()
        return self.look()

    def _end_thread(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _poll(polled: weakref.ref[Polling], done: threading.Event) -> None:
    """Look until it is done, or nobody is left who could want to know."""
    while True:
        polling = polled()
        if polling is None:
            return
        polling.look()
        del polling
        if done.wait(POLL_EVERY_S):
            return


def touch(mib: int) -> None:
    """Touch ``mib`` MiB of fresh memory and free it at once."""
    with mmap.mmap(-1, mib << 20) as memory:
        for offset in range(0, mib << 20, mmap.PAGESIZE):
            memory[offset] = 1


@lru_cache(maxsize=1)
def high_water_mark_works(probe_mib: int = 8) -> bool:
    """Prove the high-water mark with memory of a known size, touched for a moment.

    Proved once in a process; its forks inherit the answer.

    True where a peak of ``probe_mib`` is seen to within 1 MiB, and a reset takes it away again.
    """
    if sys.platform != "linux":
        return False
    mark, size, slack = HighWaterMark(), probe_mib << 20, 1 << 20
    try:
        mark.start()
        before = mark.stop()
        touch(probe_mib)
        seen = mark.stop() - before
        mark.start()
        left = mark.stop() - before
    except (OSError, KeyError, ValueError):
        return False
    return abs(seen - size) <= slack and left <= slack
