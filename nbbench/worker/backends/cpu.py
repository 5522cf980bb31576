"""The processor as a device, the same under every framework whose calls return when done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Optional

from ..measure import Call, WallMarks, wall_stopwatch
from ..process_memory import ProcessMemory


class CpuDevice:
    """The wall clock times it, and the kernel knows the process's memory.

    ``make_reference`` makes the framework's own reference kernel, and ``name_reference`` says what
    that kernel's time depends on, as far as it is known; by default a hash is computed.
    ``computes_in_caller`` says whether calls compute in the thread that makes them, and in others
    beside it, rather than in a pool whose threads may take turns.
    """

    name = "cpu"
    gpu_uuid: Optional[str] = None

    def __init__(
        self,
        make_reference: Optional[Callable[[], Call]] = None,
        name_reference: Optional[Callable[[], str]] = None,
        *,
        computes_in_caller: bool = False,
    ) -> None:
        self.computes_in_caller = computes_in_caller
        self.stopwatch = wall_stopwatch()
        self.memory = ProcessMemory()
        self._make_reference = make_reference or _hashing
        own_name = "SHA-256" if make_reference is None else ""
        self.reference_name = name_reference or (lambda: own_name)

    def marks(self) -> WallMarks:
        """What notes moments between calls."""
        return WallMarks()

    def reference(self) -> Optional[Call]:
        """A small fixed call of the framework's."""
        return self._make_reference()


def _hashing() -> Call:
    block = bytes(1 << 17)
    return lambda: hashlib.sha256(block).digest()
