"""Memory line by line, drawn from a trace: the shapes that Transformers' benchmark gave it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..worker.case import LineTrace

_MIB = 2**20


class Memory(NamedTuple):
    """A number of bytes, shown in whole MiB."""

    bytes: int

    def __repr__(self) -> str:
        return str(self.bytes >> 20)


class Frame(NamedTuple):
    """A line of source; ``filename`` begins at the package, ``event`` is always "line"."""

    filename: str
    module: str
    line_number: int
    event: str
    line_text: str


class MemoryState(NamedTuple):
    """Memory at a line: of the process, on the GPU, and the sum of both."""

    frame: Frame
    cpu: Memory
    gpu: Memory
    cpu_gpu: Memory


class MemorySummary(NamedTuple):
    """What a trace says.

    ``sequential`` holds what each line added (or freed: negative), in the order in which lines
    ran; ``cumulative`` the sum of that for each line of source, the largest first; ``current``
    what was held when each line had run; ``total`` the sum of what was added, without what was
    freed.
    """

    sequential: list[MemoryState]
    cumulative: list[MemoryState]
    current: list[MemoryState]
    total: Memory


def memory_summary(trace: LineTrace) -> MemorySummary:
    """The summary of one case's trace."""
    frames = [Frame(line.file, line.module, line.number, "line", line.text) for line in trace.lines]
    sequential, current = [], []
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for place, (cpu, gpu), (held, held_gpu) in _steps(trace):
        sequential.append(_state(frames[place], cpu, gpu))
        current.append(_state(frames[place], held, held_gpu))
        sums[place][0] += cpu
        sums[place][1] += gpu
    cumulative = [_state(frames[place], cpu, gpu) for place, (cpu, gpu) in sums.items()]
    cumulative.sort(key=lambda state: state.cpu_gpu.bytes, reverse=True)
    total = sum(max(state.cpu_gpu.bytes, 0) for state in sequential)
    return MemorySummary(sequential, cumulative, current, Memory(total))


def line_rows(trace: LineTrace) -> list[dict[str, Any]]:
    """One row for each line that ran, in order; memory in MiB, None where there is no GPU."""
    on_gpu = trace.end[1] is not None
    rows = []
    for number, (place, (cpu, gpu), (held, held_gpu)) in enumerate(_steps(trace), 1):
        line = trace.lines[place]
        rows.append(
            {
                "step": number,
                "file": line.file,
                "line_number": line.number,
                "cpu_mib": cpu / _MIB,
                "gpu_mib": gpu / _MIB if on_gpu else None,
                "held_cpu_mib": held / _MIB,
                "held_gpu_mib": held_gpu / _MIB if on_gpu else None,
                "line": line.text,
            }
        )
    return rows


def _steps(trace: LineTrace) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Each step's line, what it added, and what was held after it, in bytes."""
    readings = [(cpu, gpu or 0) for _, cpu, gpu in trace.steps] + [
        (trace.end[0], trace.end[1] or 0)
    ]
    for (place, _, _), before, after in zip(trace.steps, readings, readings[1:], strict=False):
        yield place, (after[0] - before[0], after[1] - before[1]), after


def _state(frame: Frame, cpu: int, gpu: int) -> MemoryState:
    return MemoryState(frame, Memory(cpu), Memory(gpu), Memory(cpu + gpu))
