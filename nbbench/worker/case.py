"""What is measured and what came of it: cases, outcomes, timings, memory profiles.

Both sides of the wire use these, so the module needs the standard library alone and runs on
Python 3.9.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional

OWN_MODEL = "own code"
"""The model_type of a model that code of the user's makes."""

ADAPTER_KEY, MODULES_KEY = "nbbench_adapter", "nbbench_modules"
"""Keys of a configuration that are no part of it: of a PEFT adapter over the model, and of the
modules that a folder of sentence-transformers has behind it."""

MIN_VISITS = 3
"""The fewest visits that an interval over visits is drawn from."""

MIN_SAMPLES = 3
"""The fewest that an interval is drawn from."""


class Status(str, Enum):
    """How a case ended; every one but ``ok`` comes with a reason and a phase."""

    OK = "ok"
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNSUPPORTED = "unsupported"
    ERROR = "error"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Phase(str, Enum):
    """Where a case is, in this order; model and environment are found once for all its cases."""

    RESOLVING = "resolving"
    PREPARING = "preparing"
    STARTING = "starting"
    IMPORTING = "importing"
    BUILDING = "building"
    WARMING = "warming"
    MEASURING = "measuring"
    MEMORY = "memory"
    TRACING = "tracing"


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    ``config`` is the model's configuration, JSON values by name.
    ``sequence_length`` is None for a model that takes none. ``precision`` is the half width that
    the confidence interval of the median shall have, as a fraction of the median; ``max_time``
    is in seconds. ``rounds`` is the number of visits, each in a process of its own; None for as
    many as it takes. ``inputs`` are those that the user describes for a model of their own, each
    with ``shape``, ``dtype`` and ``below``.

    ``padding`` is the part of the batch's tokens that is padding. ``lengths`` names what the rows
    of a batch were drawn from, where they have several lengths: ``row_lengths``, or ``texts``,
    which are never saved.

    ``source`` is the user's own file, or a folder: it is for the worker alone, and never saved.
    """

    framework: str
    model: str
    config: Mapping[str, Any] = field(hash=False)
    config_source: str
    batch_size: int
    sequence_length: Optional[int]
    mode: str = "inference"
    dtype: str = "float32"
    attention: str = "default"
    model_class: str = "auto"
    modalities: str = "auto"
    device: str = "auto"
    environment: str = "kernel"
    execution: str = "default"
    optimizer: bool = False
    threads: Optional[int] = None
    speed: bool = True
    memory: bool = True
    trace_memory_line_by_line: bool = False
    min_samples: int = MIN_SAMPLES
    precision: float = 0.02
    max_time: float = 10.0
    seed: int = 0
    rounds: Optional[int] = None
    inputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    trust_remote_code: bool = False
    padding: float = 0.0
    lengths: str = ""
    row_lengths: tuple[int, ...] = ()
    texts: tuple[str, ...] = field(default=(), compare=False)
    source: str = field(default="", compare=False)

    @property
    def is_own(self) -> bool:
        """Whether code of the user's makes the model."""
        return self.config.get("model_type") == OWN_MODEL

    @property
    def runs_foreign_code(self) -> bool:
        """Whether code runs that is no installed library's: in the case's own process alone."""
        return self.is_own or self.trust_remote_code

    @property
    def key(self) -> str:
        """A hash of everything that changes the result: all but the model's label."""
        content = {**dataclasses.asdict(self), "model": None, "config_source": None, "source": ""}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """The case in a few words, for progress and messages."""
        return "".join(axis.in_label(self) for axis in sorted(AXES, key=lambda axis: axis.rank))


@dataclass(frozen=True)
class Axis:
    """One way in which cases differ: a field of `Case`, and how it is written.

    ``head`` is the head of its column in a table, ``text`` how a value reads in a label, its
    separator included, ``rank`` where it stands there, and ``usual`` the value that labels omit.
    """

    name: str
    head: str
    text: str
    rank: float
    usual: Any = None

    def value(self, case: Case) -> Any:
        """The case's value."""
        return getattr(case, self.name)

    def in_label(self, case: Case) -> str:
        """The value as a part of the case's label; empty where the label omits it."""
        value = self.value(case)
        usual = (self.usual, case.framework) if self.name == "environment" else (self.usual,)
        return "" if value is None or value in usual else self.text.format(value)

    def alone(self, case: Case) -> str:
        """The value where it stands by itself; empty where there is none."""
        value = self.value(case)
        return "" if value is None else self.text.format(value).lstrip(" ,×")


AXES = (
    Axis("model", "model", "{}", rank=0),
    Axis("framework", "framework", " {}", rank=1),
    Axis("environment", "environment", ", in {}", rank=8, usual="kernel"),
    Axis("mode", "mode", " {}", rank=2),
    Axis("dtype", "dtype", ", {}", rank=5, usual="float32"),
    Axis("attention", "attention", ", {} attention", rank=6, usual="default"),
    Axis("execution", "execution", ", {}", rank=7, usual="default"),
    Axis("batch_size", "batch", ", batch {}", rank=3),
    Axis("sequence_length", "length", " × length {}", rank=4),
    Axis("padding", "padding", ", {:.3g} padding", rank=4.5, usual=0.0),
)
"""Every axis, in the order of a table; labels, frames, tables, plots and comparisons ask it."""


def varying_axes(cases: Iterable[Case]) -> list[Axis]:
    """The axes in which these cases differ."""
    known = list(cases)
    return [axis for axis in AXES if len({axis.value(case) for case in known}) > 1]


THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
"""Why a driver lowers a GPU's clock, by its bits; idling, or a clock that was set, is none."""


def throttle_names(mask: int) -> tuple[str, ...]:
    """Why a GPU's clock is lowered, from the driver's bits; empty where it is not."""
    return tuple(name for bit, name in THROTTLE_REASONS.items() if mask & bit)


@dataclass(frozen=True)
class GpuState:
    """A GPU at one moment: clock in MHz, temperature in °C; None where the driver does not say.

    ``throttle`` names why its clock is lowered, and is empty where it is not.
    """

    clock_mhz: Optional[int] = None
    temperature_c: Optional[int] = None
    throttle: Optional[tuple[str, ...]] = None


_SHORTEST_S, _LONGEST_S = 1e-12, 1e12
"""What no clock measures and nobody waits for: rates and ratios of such times are no numbers."""


def _are_times(times: tuple[float, ...]) -> bool:
    return not times or (min(times) >= _SHORTEST_S and max(times) <= _LONGEST_S)


@dataclass(frozen=True)
class Visit:
    """What was sampled of a case in one process; times in seconds.

    ``round`` counts from 0. ``samples`` are seconds per call, each taken over ``calls_per_sample``
    calls. ``references`` are the times of the device's reference kernel, taken between samples, by
    which the machine's drift is seen. ``calls_s`` is the time of all calls, first call and warm-up
    included. ``peak`` is the memory's in bytes, where it was taken over these samples. A visit that
    was ``alone`` sampled until it was precise. ``gpu_before`` and ``gpu_after`` are the GPU's state
    before the first sample and after the last. ``computing`` is the part of the samples' time in
    which they work or wait for a processor, and not for anything else; None where that is unknown,
    or a GPU works.
    """

    samples: tuple[float, ...]
    calls_per_sample: int = 1
    references: tuple[float, ...] = ()
    first_call_s: float = 0.0
    calls_s: float = 0.0
    round: int = 0
    peak: Optional[int] = None
    alone: bool = False
    gpu_before: Optional[GpuState] = None
    gpu_after: Optional[GpuState] = None
    computing: Optional[float] = None

    @property
    def gpu_states(self) -> tuple[GpuState, ...]:
        """What is known of the GPU, in order."""
        return tuple(state for state in (self.gpu_before, self.gpu_after) if state is not None)

    def __post_init__(self) -> None:
        if not self.samples or not _are_times(self.samples) or not _are_times(self.references):
            raise ValueError("a visit has no samples, or one that took no time, or ages")


@dataclass(frozen=True)
class Timing:
    """The visits of one case and what is drawn from them; times in seconds.

    The interval is a 95 % one: over visits where there are three or more, for the time that another
    run would find; else over the samples of one process, for that process alone (``interval`` says
    which). ``noisy`` says that it is wider than was asked for, or unknown. ``between_s`` and
    ``within_s`` are standard deviations between visits and of the samples within one.
    ``drift`` is the fraction by which the machine was slower than its usual speed, as far as that
    was taken out of ``median_s``: 0.05 where the samples themselves are 5 % higher; None where
    nothing was taken out. p90 and p99 are upper 95 % bounds of these percentiles, None below 29 and
    299 samples. ``phases`` are the times of forward, backward and optimizer step by name.
    """

    visits: tuple[Visit, ...]
    median_s: float
    ci_low_s: Optional[float]
    ci_high_s: Optional[float]
    min_s: float
    mean_s: float
    std_s: float
    p90_s: Optional[float]
    p99_s: Optional[float]
    noisy: bool
    interval: str = "samples"
    between_s: Optional[float] = None
    within_s: Optional[float] = None
    drift: Optional[float] = None
    phases: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.visits or not _are_times((self.median_s,)):
            raise ValueError("a timing has no visits, or a median that is no time")
        low, high = self.ci_low_s, self.ci_high_s
        if low is not None and high is not None and not 0 < low <= high:
            raise ValueError("the ends of an interval are no times, or in the wrong order")

    @property
    def samples(self) -> tuple[float, ...]:
        """The samples of all visits, in order."""
        return tuple(sample for visit in self.visits for sample in visit.samples)

    @property
    def n(self) -> int:
        """How many samples there are."""
        return sum(len(visit.samples) for visit in self.visits)

    @property
    def throttle(self) -> Optional[tuple[str, ...]]:
        """Why the GPU's clock was lowered in any visit, each reason once; None where unknown."""
        states = [state for visit in self.visits for state in visit.gpu_states]
        known = [state.throttle for state in states if state.throttle is not None]
        return tuple(dict.fromkeys(reason for each in known for reason in each)) if known else None

    @property
    def throttled(self) -> Optional[bool]:
        """Whether the GPU's clock was lowered; None where that is unknown."""
        return None if self.throttle is None else bool(self.throttle)

    @property
    def first_call_s(self) -> float:
        """The first call of the first visit."""
        return self.visits[0].first_call_s

    @property
    def calls_s(self) -> float:
        """The time of all calls of all visits."""
        return sum(visit.calls_s for visit in self.visits)


@dataclass(frozen=True)
class MemoryProfile:
    """What a case held, in bytes; None where this device or machine cannot tell.

    ``baseline`` is the process before the model, ``parameters`` the sum over parameters and
    buffers, ``weights`` what the process (or the device's allocator) grew by while building,
    ``activations`` what the call needed on top, ``peak`` the highest during the call,
    ``reserved`` the allocator's peak reservation and ``process`` the driver's figure for this
    process. ``method`` names the source of the peak. For training, ``gradients`` are the bytes of
    all gradients and ``phases`` the peaks of forward, backward and optimizer step by name, taken in
    steps of their own after the timing; ``peak`` is never below them.
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
    same two after the call. ``traced_s`` is how long the call took with the tracing. ``whole`` is
    false where the call ran more lines than were kept.
    """

    lines: tuple[SourceLine, ...]
    steps: tuple[tuple[int, int, Optional[int]], ...]
    end: tuple[int, Optional[int]]
    traced_s: float
    whole: bool = True

    def __post_init__(self) -> None:
        if any(not 0 <= step[0] < len(self.lines) for step in self.steps):
            raise ValueError("a step is of a line that is not listed")

    def changes(self) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
        """Each step's index in ``lines``, the bytes that it added, and those held after it.

        Both are pairs: of the process, and on the GPU (0 where there is none).
        """
        readings = [(cpu, gpu or 0) for _, cpu, gpu in self.steps]
        readings.append((self.end[0], self.end[1] or 0))
        for (index, _, _), before, after in zip(self.steps, readings, readings[1:]):
            yield index, (after[0] - before[0], after[1] - before[1]), after


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    ``reason`` says why it is not ok, or how the class of an ok one was chosen, where that is not
    the one that its configuration names. ``device``, ``dtype``, ``architecture`` (the model's
    class) and ``execution`` are what it ran with, once that is known; ``modalities`` is what went
    in, like "text+image". ``tokens_per_call`` is batch × length, or None for a model without ids;
    ``real_tokens_per_call`` are those that are no padding. ``sequence_length`` is what texts were
    padded to, where the case names no length.
    ``detail`` is a traceback or the end of the worker's log, for the person at the keyboard; it
    is never saved. ``wall_s`` is the whole case, from request to outcome, and
    ``start_s`` what of it a new worker took to start and to import what later visits find imported.
    """

    status: Status
    reason: str = ""
    phase: Optional[Phase] = None
    device: str = ""
    dtype: str = ""
    architecture: str = ""
    execution: str = ""
    modalities: str = ""
    timing: Optional[Timing] = None
    memory: Optional[MemoryProfile] = None
    lines: Optional[LineTrace] = None
    build_s: Optional[float] = None
    parameter_count: Optional[int] = None
    tokens_per_call: Optional[int] = None
    real_tokens_per_call: Optional[int] = None
    sequence_length: Optional[int] = None
    wall_s: float = 0.0
    detail: str = ""
    start_s: float = 0.0

    @classmethod
    def skipped(cls) -> Outcome:
        """The outcome of a case that was not begun."""
        return cls(Status.SKIPPED, "not started: the run was cancelled before it")
