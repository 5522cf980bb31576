"""What is measured and what came of it: cases and outcomes.

Both sides of the wire use these, so the module needs the standard library alone and runs on
Python 3.9.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional

from .ceilings import Ceilings
from .energy import Energy
from .memory_profile import LineTrace, MemoryProfile
from .prediction import CallCount, Prediction
from .timing import MIN_SAMPLES, Timing

OWN_MODEL = "own code"
"""The model_type of a model that code of the user's makes."""

ADAPTER_KEY, MODULES_KEY = "nbbench_adapter", "nbbench_modules"
"""Keys of a configuration that are no part of it: of a PEFT adapter over the model, and of the
modules that a folder of sentence-transformers has behind it."""

SMALL: dict[str, Any] = {"slots": True} if sys.version_info >= (3, 10) else {}
"""For dataclasses of many fields: without a dict in each, a long sweep takes half the memory."""


MODES = ("inference", "training", "generation")
"""What is done with a model."""


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
    PREDICTING = "predicting"
    CEILINGS = "measuring ceilings"

    @property
    def doing(self) -> str:
        """What goes on in it, behind "while"."""
        return "measuring memory" if self is Phase.MEMORY else self.value


@dataclass(frozen=True, **SMALL)
class Case:
    """One thing to measure.

    ``config`` is the model's configuration, JSON values by name.
    ``sequence_length`` is None for a model that takes none. ``precision`` is the half width that
    the confidence interval of the median shall have, as a fraction of the median; ``max_time``
    is in seconds. ``rounds`` is the number of visits, each in a process of its own; None for as
    many as it takes. ``inputs`` are those that the user describes for a model of their own, each
    with ``shape``, ``dtype`` and ``below``.

    ``new_tokens`` is how many a sequence gets in generation, and ``cache`` what keeps keys and
    values meanwhile; None and "" in every other mode. The three of ``compile_…`` are how
    torch.compile is called, where ``execution`` is compile.

    ``padding`` is the part of the batch's tokens that is padding. ``lengths`` names what the rows
    of a batch were drawn from, where they have several lengths: ``row_lengths``, or ``texts``,
    which are never saved.

    ``device_name`` is the processor's or the GPU's name where one report has cases of several
    machines; "" in any other.

    ``parallel`` is how the model is divided among ``ranks`` processes: "tensor" or "data"; with
    "none" one process runs it. ``batch_size`` is that of all ranks together.

    ``memory_limit`` is the most bytes that it may hold. A case that stands for the one that a
    search has yet to find has the axis as ``searched``, with the size that the search begins with;
    it is the largest that fits, or with a ``latency_limit`` in seconds the one of highest
    throughput.

    ``source`` is the user's own file, or a folder: it is for the worker alone, and never saved.
    ``code`` is a hash of the user's code that runs, and of what else is read of that folder.
    ``saved_as`` is what files call a model whose name is a path; "" for any other.
    """

    framework: str
    model: str
    config: Mapping[str, Any] = field(hash=False)
    config_source: str
    batch_size: int
    sequence_length: Optional[int]
    mode: str = "inference"
    dtype: str = "float32"
    quantization: str = "none"
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
    energy: bool = False
    trace_memory_line_by_line: bool = False
    min_samples: int = MIN_SAMPLES
    precision: float = 0.02
    max_time: float = 10.0
    seed: int = 0
    rounds: Optional[int] = None
    inputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    trust_remote_code: bool = False
    new_tokens: Optional[int] = None
    cache: str = ""
    compile_mode: str = ""
    compile_dynamic: Optional[bool] = None
    compile_backend: str = ""
    padding: float = 0.0
    lengths: str = ""
    row_lengths: tuple[int, ...] = ()
    device_name: str = ""
    parallel: str = "none"
    ranks: int = 1
    texts: tuple[str, ...] = field(default=(), compare=False)
    source: str = field(default="", compare=False)
    code: str = field(default="", compare=False)
    saved_as: str = field(default="", compare=False)
    memory_limit: Optional[int] = None
    searched: str = ""
    latency_limit: Optional[float] = None

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
        del content["saved_as"]
        if not self.code:
            del content["code"]
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
    One that ``is_way`` is how a model is run, rather than which model on what.
    """

    name: str
    head: str
    text: str
    rank: float
    usual: Any = None
    is_way: bool = False

    def value(self, case: Case) -> Any:
        """The case's value."""
        return getattr(case, self.name)

    def in_label(self, case: Case) -> str:
        """The value as a part of the case's label; empty where the label omits it."""
        value = self.value(case)
        if case.searched == self.name:
            value = "max" if case.latency_limit is None else "best"
        usual = (self.usual, case.framework) if self.name == "environment" else (self.usual,)
        return "" if value is None or value in usual else self.text.format(value)

    def alone(self, case: Case) -> str:
        """The value where it stands by itself; empty where there is none."""
        value = self.value(case)
        return "" if value in (None, "") else self.text.format(value).lstrip(" ,×")


AXES = (
    Axis("model", "model", "{}", rank=0),
    Axis("framework", "framework", " {}", rank=1, is_way=True),
    Axis("environment", "environment", ", in {}", rank=8, usual="kernel", is_way=True),
    Axis("mode", "mode", " {}", rank=2),
    Axis("dtype", "dtype", ", {}", rank=5, usual="float32", is_way=True),
    Axis("quantization", "quantization", ", {}", rank=5.5, usual="none", is_way=True),
    Axis("attention", "attention", ", {} attention", rank=6, usual="default", is_way=True),
    Axis("execution", "execution", ", {}", rank=7, usual="default", is_way=True),
    Axis("compile_mode", "compile mode", ", mode {}", rank=7.5, usual="", is_way=True),
    Axis("batch_size", "batch", ", batch {}", rank=3),
    Axis("sequence_length", "length", " × length {}", rank=4),
    Axis("new_tokens", "new tokens", " + {} new", rank=4.2),
    Axis("cache", "cache", ", {} cache", rank=4.7, usual="", is_way=True),
    Axis("padding", "padding", ", {:.3g} padding", rank=4.5, usual=0.0),
    Axis("parallel", "parallel", ", {} parallel", rank=4.8, usual="none", is_way=True),
    Axis("ranks", "ranks", " on {} ranks", rank=4.9, usual=1, is_way=True),
    Axis("device_name", "device name", ", on {}", rank=9, usual=""),
)
"""Every axis, in the order of a table; labels, frames, tables, plots and comparisons ask it."""


def varying_axes(cases: Iterable[Case]) -> list[Axis]:
    """The axes in which these cases differ."""
    known = list(cases)
    return [axis for axis in AXES if len({axis.value(case) for case in known}) > 1]


_NOT_BEGUN = "not started: the run was cancelled before it"


@dataclass(frozen=True, **SMALL)
class Outcome:
    """What came of a case.

    ``reason`` says why it is not ok, or how the class of an ok one was chosen, where that is not
    the one that its configuration names. ``device``, ``dtype``, ``architecture`` (the model's
    class), ``execution`` and ``quantization`` are what it ran with, once that is known;
    ``modalities`` is what went in, like "text+image". ``tokens_per_call`` is batch × length, or
    None for a model without ids;
    ``real_tokens_per_call`` are those that are no padding; ``prompt_tokens`` those that generation
    begins with. ``export_s`` is what of building went into the model's export to another runtime.
    ``sequence_length`` is what texts were padded to, where the case names no length.
    ``device_name`` is the name of the processor or the GPU that it ran on, ``node`` that of the
    machine among several, which are known by names such as "node 2" alone. ``count`` is
    what a call did by its tensors, and ``prediction`` what was predicted of it. ``asking_s`` are
    the seconds in which the CPU asks a GPU for a call's work, None on a CPU; ``ceilings`` what the
    device can do, where that was asked for. ``takes`` is the most that the model takes of an axis,
    by its name, where the case asks for more. ``searched_runs`` is how many runs a search took that
    found the case's size, under the bytes of ``memory_limit``.
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
    quantization: str = ""
    modalities: str = ""
    timing: Optional[Timing] = None
    memory: Optional[MemoryProfile] = None
    energy: Optional[Energy] = None
    lines: Optional[LineTrace] = None
    build_s: Optional[float] = None
    export_s: Optional[float] = None
    parameter_count: Optional[int] = None
    tokens_per_call: Optional[int] = None
    real_tokens_per_call: Optional[int] = None
    prompt_tokens: Optional[int] = None
    sequence_length: Optional[int] = None
    device_name: str = ""
    node: str = ""
    count: Optional[CallCount] = None
    prediction: Optional[Prediction] = None
    asking_s: Optional[float] = None
    ceilings: Optional[Ceilings] = None
    takes: dict[str, int] = field(default_factory=dict)
    searched_runs: Optional[int] = None
    memory_limit: Optional[int] = None
    wall_s: float = 0.0
    detail: str = ""
    start_s: float = 0.0

    @classmethod
    def skipped(cls) -> Outcome:
        """The outcome of a case that was not begun."""
        return cls(Status.SKIPPED, _NOT_BEGUN)

    @property
    def was_cancelled(self) -> bool:
        """Whether the run was cancelled in the case or before it: who knows how it would end."""
        is_skipped = self.status is Status.SKIPPED and self.reason.startswith(_NOT_BEGUN)
        return self.status is Status.CANCELLED or is_skipped
