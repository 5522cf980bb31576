"""The memory of a case: a profile of it, and what each line of a call adds.

Both sides of the wire use these, so the module needs the standard library alone and runs on
Python 3.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Optional


@dataclass(frozen=True)
class MemoryProfile:
    """What a case held, in bytes; None where this device or machine cannot tell.

    ``baseline`` is the process before the model, ``parameters`` the sum over parameters and
    buffers, ``weights`` what the process (or the device's allocator) grew by while building,
    ``activations`` what the call needed on top, ``peak`` the highest during the call,
    ``reserved`` the allocator's peak reservation and ``process`` the driver's figure for this
    process. ``method`` names the source of the peak. For training, ``gradients`` are the bytes of
    all gradients and ``phases`` the peaks of forward, backward and optimizer step by name, taken in
    steps of their own after the timing; ``peak`` is never below them. For generation, ``cache`` are
    the bytes of the tensors that the cache of keys and values holds in the end, and ``phases`` the
    peaks of prefill and decode. ``loading`` is the peak while the model was built. ``per_rank``
    are the peaks of all ranks in order, where several processes ran one model: the rest is of the
    one whose peak is the highest.
    """

    method: str
    baseline: Optional[int] = None
    parameters: Optional[int] = None
    weights: Optional[int] = None
    activations: Optional[int] = None
    peak: Optional[int] = None
    reserved: Optional[int] = None
    process: Optional[int] = None
    gradients: Optional[int] = None
    cache: Optional[int] = None
    loading: Optional[int] = None
    per_rank: tuple[int, ...] = ()
    phases: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceLine:
    """A line of a library's source; ``file`` begins at the package, and is no path."""

    file: str
    module: str
    number: int
    text: str


@dataclass(frozen=True)
class LineTrace:
    """Memory before each line that one call ran.

    Each of ``steps`` is the line's index in ``lines``, the bytes that the process held, and those
    that the device's allocator had given out (None where the device is the CPU); ``end`` is the
    same two after the last of them, which is the call's end where the trace is ``whole``: it is not
    where the call ran more lines than were kept. ``traced_s`` is how long the call took with the
    tracing.
    """

    lines: tuple[SourceLine, ...]
    steps: tuple[tuple[int, int, Optional[int]], ...]
    end: tuple[int, Optional[int]]
    traced_s: float
    whole: bool = True

    def __post_init__(self) -> None:
        if any(not 0 <= step[0] < len(self.lines) for step in self.steps):
            raise ValueError("a step is of a line that is not listed")

    def without_text(self) -> LineTrace:
        """The same with the lines' numbers alone, for lines that are nobody else's business."""
        return replace(self, lines=tuple(replace(line, text="") for line in self.lines))

    def changes(self) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
        """Each step's index in ``lines``, the bytes that it added, and those held after it.

        Both are pairs: of the process, and on the GPU (0 where there is none).
        """
        readings = [(cpu, gpu or 0) for _, cpu, gpu in self.steps]
        readings.append((self.end[0], self.end[1] or 0))
        for (index, _, _), before, after in zip(self.steps, readings, readings[1:]):
            yield index, (after[0] - before[0], after[1] - before[1]), after


def size_text(size: int) -> str:
    """A size as one would give it: 8 GB, or else in MiB."""
    for unit, scale in (("GB", 10**9), ("GiB", 2**30), ("MB", 10**6), ("MiB", 2**20)):
        if size % scale == 0:
            return f"{size // scale} {unit}"
    return f"{size / 2**20:,.1f} MiB"
