"""What a framework does for the worker: the `Backend` that each of them is.

A backend runs in the worker's own interpreter and imports nothing but the standard library, its
framework and `nbbench.worker`. It is found by the entry point group ``nbbench.backends``.
"""

from __future__ import annotations

from typing import Any, Optional, Protocol

from .case import Case
from .measure import Call, Stopwatch
from .process_memory import MemoryGauge


class Unsupported(Exception):
    """This case cannot be run by design; the message says why, in one sentence."""


class TooLong(Unsupported):
    """The case asks for more than its model takes; ``takes`` is the most of each axis, by name."""

    def __init__(self, message: str, **takes: int) -> None:
        super().__init__(message)
        self.takes = takes


def refuse_tpu(device: str) -> None:
    """Raise `Unsupported` where a case asks for a TPU."""
    if device == "tpu":
        raise Unsupported(
            "device tpu was asked for, and no backend of nbbench runs on TPUs; give auto, cuda "
            "or cpu"
        )


def library_of(model: object) -> str:
    """The package that a model's class is from."""
    return type(model).__module__.partition(".")[0]


class Device(Protocol):
    """Where a case runs."""

    name: str
    """"cpu", or "cuda:0" and the like."""
    gpu_uuid: Optional[str]
    """The driver's UUID of a GPU ("GPU-…"); None for the CPU, or where it is unknown."""

    def reference(self) -> Optional[Call]:
        """The reference kernel: a fixed call of some 0.2 ms, on this device with its threads.

        Its times follow the machine's speed, by which drift is taken out of the model's. It may be
        asked for once the model was called; None where there is none.
        """

    def reference_name(self) -> str:
        """What the reference kernel's time depends on beside the device: versions, settings."""

    @property
    def stopwatch(self) -> Stopwatch:
        """What times calls here."""

    @property
    def memory(self) -> MemoryGauge:
        """What watches memory here."""


COMPILED = ("compile", "torchscript", "xla")
"""Executions that compile in the first call."""


class Compiles(Protocol):
    """Counts what is compiled while a model is called."""

    def begin_sampling(self) -> None:
        """What is compiled from now on is compiled amid the samples."""

    @property
    def graph_breaks(self) -> int:
        """How often a graph ended where its code could not be put into one."""

    @property
    def recompilations(self) -> int:
        """How often code was compiled since sampling began."""


class Generates(Protocol):
    """Makes a batch's tokens one by one in each call that is measured."""

    @property
    def prompt_tokens(self) -> Optional[int]:
        """The tokens of all prompts; None where they are no tokens."""

    def laps(self) -> list[list[float]]:
        """Of each call so far: the seconds to the first token, then from each to the next."""

    def phases(self) -> list[tuple[str, Call]]:
        """Prefill and decode by name, in order."""

    def cache_bytes(self) -> int:
        """Bytes of the tensors that the last call's cache holds."""


class Model(Protocol):
    """A built model with the inputs of its case.

    An attribute ``note`` is optional: a sentence on how the class was chosen, for the row's reason.
    One whose weights are quantized as the case asks has it as ``quantization``.
    One that is prepared for mode generation has an attribute ``generation``, a `Generates`; one
    that is compiled may have ``compilation``, a `Compiles`, and ``keeps_compiled``, whether later
    visits find what it has compiled. ``export_s`` are the seconds that an export took.
    """

    architecture: str
    """The name of the model's class."""
    dtype: str
    execution: str
    """How calls are executed: "eager", "graph", "xla", …"""
    library: str
    """The package that the model is from, whose lines memory is traced by."""
    parameter_count: int
    parameter_bytes: int
    """Bytes of the parameters and buffers; what is shared counts once."""

    def prepare(self) -> tuple[Call, Optional[int]]:
        """Make the inputs on the device; the call to measure, and the tokens it puts through.

        A model that has an attribute ``modalities`` then says in it what the inputs are of, like
        "text+image". One whose inputs are padded then has the attributes ``real_tokens``, how many
        are no padding, and ``padded_to``, the length of its rows; both are None for any other.
        """

    def training_phases(self) -> list[tuple[str, Call]]:
        """The parts of a training step by name, in order, once `prepare` has made its inputs.

        Empty where the step is one piece, as a graph is.
        """

    def gradient_bytes(self) -> Optional[int]:
        """Bytes of the gradients that the last step has left; None where none are kept."""


class Backend(Protocol):
    """One framework in the worker.

    `load`, `environment` and `import_model` run in the server, before any fork: they may import,
    but run no operation of the framework, start no thread pool and touch no accelerator. `open`
    and `build` run in the process of one case.
    """

    def load(self) -> None:
        """Import the framework; ``ImportError`` where it is missing."""

    def environment(self) -> dict[str, Any]:
        """Versions and settings: JSON values only; no user, host or path."""

    def import_model(self, case: Case) -> None:
        """Import what this case's model needs, so that a fork need not."""

    def open(self, case: Case) -> Device:
        """The device that the case names; `Unsupported` where there is none."""

    def build(self, case: Case, device: Device) -> Model:
        """The case's model with random weights, seeded; no weights are ever downloaded."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an exception means that memory, the host's or the device's, ran out.

        One may have ``has_lost_gpus``, whether the process is a fork that cannot use the GPUs that
        there are: its case then gets a new process.
        A device may have a method ``limit_memory``, which has its allocator refuse what goes beyond
        so many bytes, and an attribute ``computes_in_caller``: whether calls compute in the thread
        that makes them, and in others beside it. A backend that has ``predict`` may have ``sizes``
        as well: a case's whole configuration as a mapping, by which it is known in no time that the
        case is small.
        """
