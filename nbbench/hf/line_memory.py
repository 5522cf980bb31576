"""Memory line by line, drawn from a trace: the shapes that Transformers' benchmark gave it."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from ..worker.memory_profile import LineTrace


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
    for index, (cpu, gpu), (held, held_gpu) in trace.changes():
        sequential.append(_state(frames[index], cpu, gpu))
        current.append(_state(frames[index], held, held_gpu))
        sums[index][0] += cpu
        sums[index][1] += gpu
    cumulative = [_state(frames[index], cpu, gpu) for index, (cpu, gpu) in sums.items()]
    cumulative.sort(key=lambda state: state.cpu_gpu.bytes, reverse=True)
    total = sum(max(state.cpu_gpu.bytes, 0) for state in sequential)
    return MemorySummary(sequential, cumulative, current, Memory(total))


def _state(frame: Frame, cpu: int, gpu: int) -> MemoryState:
    return MemoryState(frame, Memory(cpu), Memory(gpu), Memory(cpu + gpu))
