"""Memory in calls of its own, and the time and the memory of a call's phases."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace
from typing import Optional

from .backend import Device, Generates, Model
from .case import Case
from .measure import Call
from .memory_profile import MemoryProfile
from .timing import Timing

_MAX_PHASE_STEPS = 10
_PHASES_SHARE_OF_TIME = 0.1

_POLLED_SECONDS = 0.1
"""Polling at 5 ms wants calls for at least this long."""


def memory_of_calls(device: Device, model: Model, call: Call, calls: int) -> MemoryProfile:
    """Take the peak in calls of its own, after one that is not watched; more if it is polled."""
    device.stopwatch(call, 1)  # how long it takes says nothing of others: it may initialise
    device.memory.start()
    took_s = device.stopwatch(call, calls)
    if not device.memory.peak_costs_nothing:
        more = math.ceil((_POLLED_SECONDS - took_s) / max(took_s / calls, 1e-4))
        if more > 0:
            device.stopwatch(call, more)
    return device.memory.stop(model.parameter_bytes)


def with_phases(
    case: Case,
    device: Device,
    model: Model,
    memory: Optional[MemoryProfile],
    timing: Optional[Timing],
) -> tuple[Optional[MemoryProfile], Optional[Timing]]:
    """Add the time and the peak of each phase of some more training steps, or generations.

    One step is not enough where there is time for more: what an allocator holds free is used again
    in one and not in the next. The peak of the whole is the highest of these too.
    """
    watched = memory is not None and device.memory.peak_costs_nothing
    generation: Optional[Generates] = getattr(model, "generation", None)
    phases = model.training_phases if generation is None else generation.phases
    peaks: dict[str, int] = {}
    times: dict[str, list[float]] = {}
    begin = time.perf_counter()
    for _ in range(_MAX_PHASE_STEPS):
        for name, part in phases():
            if watched:
                device.memory.start()
            times.setdefault(name, []).append(device.stopwatch(part, 1))
            if watched:
                peak = device.memory.stop(model.parameter_bytes).peak or 0
                peaks[name] = max(peak, peaks.get(name, 0))
        if time.perf_counter() - begin >= _PHASES_SHARE_OF_TIME * case.max_time:
            break
    if timing is not None:
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        timing = replace(timing, phases=medians)
    if memory is not None and watched:
        if memory.peak is not None and memory.activations is not None:
            above = max(0, max(peaks.values(), default=0) - memory.peak)
            memory = replace(
                memory, peak=memory.peak + above, activations=memory.activations + above
            )
        memory = replace(memory, phases=peaks)
    if memory is not None and generation is not None:
        memory = replace(memory, cache=generation.cache_bytes())
    elif memory is not None and watched:
        memory = replace(memory, gradients=model.gradient_bytes())
    return memory, timing
