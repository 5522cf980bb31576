"""The original's three functions for code of one's own: a peak, and memory line by line.

They watch this process and the calling thread. GPUs are not watched: use
``trace_memory_line_by_line=True``, which reads their allocator.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..errors import ArgumentError
from ..execution.user_calls import bytes_held, measure_peak
from .line_memory import Frame, Memory, MemoryState, MemorySummary


class UsedMemoryState(NamedTuple):
    """Bytes that were held before a line ran."""

    frame: Frame
    cpu_memory: int
    gpu_memory: int


class MemoryTrace(list[UsedMemoryState]):
    """Memory before each line, in order; grows until `stop_memory_tracing` is given it."""

    def __init__(self) -> None:
        super().__init__()
        self.earlier = sys.gettrace()


def measure_peak_memory_cpu(
    function: Callable[[], Any], interval: float = 0.5, device_idx: int | None = None
) -> int:
    """The most bytes that this process held while ``function`` ran, once.

    The kernel's own record where it has one, else read every 5 ms; so ``interval`` is not read, nor
    was ``device_idx``. What ``function`` raises is raised.
    """
    return measure_peak(function)


def start_memory_tracing(
    modules_to_trace: str | Iterable[str] | None = None,
    modules_not_to_trace: str | Iterable[str] | None = None,
    events_to_trace: str = "line",
    gpus_to_trace: list[int] | None = None,
) -> MemoryTrace:
    """Note the memory of this process before each line that functions run from now on.

    Lines count if their module's name contains one of ``modules_to_trace`` (None: all), and none of
    ``modules_not_to_trace``. ``events_to_trace`` are those of `sys.settrace`.
    """
    if gpus_to_trace:
        raise ArgumentError(
            "gpus_to_trace: GPUs are not watched by start_memory_tracing; use "
            "trace_memory_line_by_line=True, which reads their allocator"
        )
    wanted, unwanted = _names(modules_to_trace), _names(modules_not_to_trace)
    events = _names(events_to_trace)
    trace = MemoryTrace()

    def at_event(frame: Any, event: str, argument: Any) -> Any:
        module = frame.f_globals.get("__name__") or ""
        if wanted is not None and not any(name in module for name in wanted):
            return at_event
        if unwanted is not None and any(name in module for name in unwanted):
            return at_event
        if (events is None or event in events) and frame.f_lineno is not None:
            held = bytes_held()
            trace.append(UsedMemoryState(_frame(frame, module, event), held, 0))
        return at_event

    sys.settrace(at_event)
    return trace


def stop_memory_tracing(
    memory_trace: MemoryTrace | None = None, ignore_released_memory: bool = True
) -> MemorySummary | None:
    """End the tracing; what each line added, or None for a trace of less than two lines.

    ``total`` is the sum of what was added, without what was freed if ``ignore_released_memory``.
    """
    sys.settrace(getattr(memory_trace, "earlier", None))
    if memory_trace is None or len(memory_trace) < 2:
        return None
    sequential, current = [], []
    sums: dict[Frame, int] = {}
    for state, following in itertools.pairwise(memory_trace):
        added = following.cpu_memory - state.cpu_memory
        sequential.append(_state(state.frame, added))
        current.append(_state(state.frame, following.cpu_memory))
        sums[state.frame] = sums.get(state.frame, 0) + added
    cumulative = [_state(frame, added) for frame, added in sums.items()]
    cumulative.sort(key=lambda state: state.cpu_gpu.bytes, reverse=True)
    total = sum(
        max(state.cpu_gpu.bytes, 0) if ignore_released_memory else state.cpu_gpu.bytes
        for state in sequential
    )
    return MemorySummary(sequential, cumulative, current, Memory(total))


def _names(names: str | Iterable[str] | None) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def _frame(frame: Any, module: str, event: str) -> Frame:
    file = frame.f_code.co_filename
    text = linecache.getline(file, frame.f_lineno).rstrip()
    return Frame(file, module, frame.f_lineno, event, text)


def _state(frame: Frame, size: int) -> MemoryState:
    return MemoryState(frame, Memory(size), Memory(0), Memory(size))
