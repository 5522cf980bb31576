"""How a device's ceilings are measured: matrix products, a large buffer, and tiny operations.

What is looked for is what the device can do, so the shortest of many short samples counts: one in
which nothing else got in the way.
"""

from __future__ import annotations

import gc
import math
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Optional, Protocol

from .backend import Backend, Device, Unsupported
from .case import Case, Outcome, Phase, Status
from .ceilings import Ceilings
from .control_groups import ROOT, memory_limits, read_number, read_text
from .exceptions import first_line
from .measure import Call, Stopwatch
from .messages import Event, PhaseChanged

_SIZES = (256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
"""Of square matrices; larger ones are tried until..."""

_NO_BETTER, _BETTER = 2, 1.02
"""...so many in a row are not faster by as much."""

_LEAST_S, _LIMIT_S = 0.1, 3.0
"""For how many seconds each kind of work is sampled: at least, and where it is not yet..."""

_ALIKE, _AGREEING, _MIN_SAMPLES = 1.03, 3, 30
"""...confirmed: by so many of the samples that the shortest was no chance."""

_CPU_SAMPLE_S, _GPU_SAMPLE_S = 1e-4, 2e-3
"""Samples are as short as a clock allows: between what else runs there is room for short ones."""

_WARM_UP = 3

_TIMES_CACHES = 8
"""How much larger than the caches a buffer is, so that they serve none of it."""

_MIN_BUFFER, _MAX_BUFFER, _GPU_BUFFER = 64 << 20, 4 << 30, 512 << 20
_PART_OF_MEMORY = 8
"""A buffer takes no more than so small a part of the memory that is free."""

_CPU_PART, _GPU_PART = 8 << 20, 128 << 20
"""Bytes of the buffer that one call goes through."""


class Works(Protocol):
    """The work by which a backend's ceilings are measured, in one dtype."""

    def product(self, size: int) -> Call:
        """A product of two square matrices of this size."""

    def moves(self, buffer: int, part: int) -> list[tuple[Call, int]]:
        """Calls that each go on through a buffer of so many bytes, and the bytes that each moves.

        One copies, others may read alone. Each call takes the next part.
        """

    def tiny(self) -> tuple[Call, int]:
        """Small modules that have next to nothing to do, and how many operations they ask for."""


def measure_ceilings(
    backend: Backend, case: Case, dtype: str, emit: Callable[[Event], None]
) -> Outcome:
    """Measure what a case's device can do; every failure comes back as an outcome."""
    try:
        emit(PhaseChanged(Phase.CEILINGS))
        make: Optional[Callable[..., Works]] = getattr(backend, "ceiling_works", None)
        if make is None:
            raise Unsupported(
                f"framework {case.framework} has no ceilings; give frameworks pytorch"
            )
        device = backend.open(case)
        found = ceilings_of(device, make(case, device, dtype), dtype, case.threads)
        return Outcome(Status.OK, device=device.name, dtype=dtype, ceilings=found)
    except Unsupported as error:
        return Outcome(Status.UNSUPPORTED, str(error), Phase.CEILINGS)
    except BaseException as error:
        status = Status.OOM if backend.is_out_of_memory(error) else Status.ERROR
        reason = f"they cannot be measured ({type(error).__name__}: {first_line(error)})"
        return Outcome(status, reason, Phase.CEILINGS, detail=traceback.format_exc())


def ceilings_of(
    device: Device, works: Works, dtype: str, threads: Optional[int] = None
) -> Ceilings:
    """A device's ceilings: of each kind of work the best, on a CPU in so many threads."""
    on_cpu, gc_was_on = device.name == "cpu", gc.isenabled()
    buffer = buffer_bytes(cache_bytes(threads), free_memory()) if on_cpu else _GPU_BUFFER
    shortest_s = partial(
        _shortest_s,
        stopwatch=device.stopwatch,
        sample_s=_CPU_SAMPLE_S if on_cpu else _GPU_SAMPLE_S,
    )
    gc.disable()
    try:
        flops = _best_product(works, shortest_s)
        moves = works.moves(buffer, _CPU_PART if on_cpu else _GPU_PART)
        moved = max(amount / shortest_s(call) for call, amount in moves)
        tiny, count = works.tiny()
        operation_s = shortest_s(tiny) / count
        reference = getattr(device, "reference", lambda: None)()
        level = None if reference is None else shortest_s(reference)
    finally:
        if gc_was_on:
            gc.enable()
    return Ceilings(dtype, flops, moved, operation_s, level)


def _best_product(works: Works, shortest_s: Callable[[Call], float]) -> float:
    """Operations in a second of the fastest product; small ones do not keep a large device busy."""
    best, no_better = 0.0, 0
    for size in _SIZES:
        rate = 2.0 * size**3 / shortest_s(works.product(size))
        no_better = 0 if rate > _BETTER * best else no_better + 1
        best = max(best, rate)
        if no_better == _NO_BETTER:
            break
    return best


def _shortest_s(call: Call, stopwatch: Stopwatch, sample_s: float) -> float:
    """The shortest time of a call that several samples agree on."""
    call_s = min(stopwatch(call, 1) for _ in range(_WARM_UP))
    times = max(1, math.ceil(sample_s / max(call_s, 1e-9)))
    taken: list[float] = []
    begin = time.perf_counter()
    while True:
        taken.append(stopwatch(call, times) / times)
        shortest, spent_s = min(taken), time.perf_counter() - begin
        agreeing = sum(seconds <= _ALIKE * shortest for seconds in taken)
        confirmed = agreeing >= _AGREEING and len(taken) >= _MIN_SAMPLES
        if spent_s >= _LIMIT_S or (spent_s >= _LEAST_S and confirmed):
            return shortest


def buffer_bytes(caches: int, free: int) -> int:
    """Bytes of a buffer that so large caches serve none of, within the bytes that are free."""
    size = max(_MIN_BUFFER, min(_TIMES_CACHES * caches, _MAX_BUFFER, free // _PART_OF_MEMORY))
    return size - size % _CPU_PART


def cache_bytes(threads: Optional[int] = None, root: Path = ROOT) -> int:
    """Bytes of the last caches that so many threads use at most, from Linux; else 32 MiB.

    A processor of several chips has one in each, and a thread's reads are kept in its own chip's.
    """
    found = [_last_cache(processor, root) for processor in _usable_processors()]
    sizes = dict(cache for cache in found if cache is not None)
    return sum(sorted(sizes.values(), reverse=True)[:threads]) or 32 << 20


def _last_cache(processor: int, root: Path) -> Optional[tuple[str, int]]:
    """A processor's cache of the highest level: which processors share it, and its bytes."""
    caches = []
    for folder in (root / f"sys/devices/system/cpu/cpu{processor}/cache").glob("index*"):
        level, size = read_number(folder / "level"), _size(folder / "size")
        if level is not None and size is not None:
            sharing = read_text(folder / "shared_cpu_list") or str(processor)
            caches.append((level, sharing, size))
    return max(caches)[1:] if caches else None


def _usable_processors() -> list[int]:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _size(file: Path) -> Optional[int]:
    """The bytes of a cache, of which the system says how many KiB they are."""
    with suppress(ValueError):
        return int((read_text(file) or "").rstrip("K")) << 10
    return None


def free_memory(root: Path = ROOT) -> int:
    """Bytes that may still be taken, of a container's too, from Linux; else as many as wanted."""
    left = [limit.available for limit in memory_limits(root)]
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            left.append(int(line.split()[1]) << 10)
    return min(left, default=_PART_OF_MEMORY * _MAX_BUFFER)


def asking_seconds(device: Any, call: Call) -> Optional[float]:
    """The least time after which the CPU has asked a GPU for all that a call does; None on a CPU.

    ``device.asking_s(call)`` waits for the GPU before and behind, and times the call between.
    """
    ask = getattr(device, "asking_s", None)
    return None if ask is None else min(ask(call) for _ in range(_WARM_UP))
