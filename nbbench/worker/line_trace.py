"""Memory line by line: what is held before each line of a model's library, in one call.

Every line costs a reading, so a traced call is many times slower than a plain one, and its time is
reported for that alone. What the tracer keeps is held before the call begins, five megabytes in
every reading, so that no line is charged with it.
"""

from __future__ import annotations

import linecache
import os
import sys
from array import array
from collections.abc import Callable
from typing import Any, Optional

from .measure import Call, Stopwatch
from .memory_profile import LineTrace, SourceLine

MAX_STEPS = 200_000
"""Lines that are kept of one call; the trace of a longer one ends there, and says so."""

_NO_GPU = -1

Reading = Callable[[], tuple[int, Optional[int]]]
"""Bytes that are held now: by the process, and on its device (None where that is the process)."""


def trace_lines(call: Call, stopwatch: Stopwatch, read: Reading, library: str) -> LineTrace:
    """Run a call once, with a reading before each line of the package ``library`` that it runs.

    Lines are seen in the calling thread; those that other threads run count to the line that
    waits for them.
    """
    indices: dict[tuple[Any, int], int] = {}
    steps, cpu_bytes, gpu_bytes = (array("q", bytes(8 * MAX_STEPS)) for _ in range(3))
    count, end_of_kept = 0, None

    def at_line(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count, end_of_kept
        if event != "line" or frame.f_lineno is None or end_of_kept is not None:
            return at_line
        if count == MAX_STEPS:
            end_of_kept = read()
        else:
            steps[count] = indices.setdefault((frame.f_code, frame.f_lineno), len(indices))
            cpu, gpu = read()
            cpu_bytes[count] = cpu
            gpu_bytes[count] = _NO_GPU if gpu is None else gpu
            count += 1
        return at_line

    names: dict[Any, str] = {}

    def at_call(frame: Any, event: str, argument: Any) -> Any:
        module = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] != library:
            return None
        names[frame.f_code] = module
        return at_line

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        traced_s = stopwatch(call, 1)
        end = read()
    finally:
        sys.settrace(before)
    return LineTrace(
        lines=tuple(_source_line(names[code], code, number) for code, number in indices),
        steps=tuple(
            (step, cpu, None if gpu == _NO_GPU else gpu)
            for step, cpu, gpu in zip(steps[:count], cpu_bytes, gpu_bytes)
        ),
        end=end_of_kept or end,
        traced_s=traced_s,
        whole=end_of_kept is None,
    )


def _source_line(module: str, code: Any, number: int) -> SourceLine:
    """A line by its module; where the library is installed is nobody's business."""
    base = os.path.basename(code.co_filename)
    parts = module.split(".")
    folder = parts if base == "__init__.py" else parts[:-1]
    text = linecache.getline(code.co_filename, number).rstrip()
    return SourceLine("/".join([*folder, base]), module, number, text)
