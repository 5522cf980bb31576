"""The original's arguments: its 31 names, their defaults and meanings, and the seven ``no_*``."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..arguments import schema
from ..arguments.given import Unreadable, as_list, plain
from ..arguments.value_types import MAX_SAMPLES
from ..errors import ArgumentError, did_you_mean
from ..machine.gpus import visible_gpus
from ..text import quoted
from ..worker.timing import MIN_SAMPLES
from .overrides import attributes_of, overridden


def _argument(default: Any, help_text: str) -> Any:
    metadata = {"help": help_text}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)  # by which HfArgumentParser offers --no_…


def _at_import(name: str) -> str:
    """A file's name as the original had it; each object of arguments gets its own instead."""
    return f"{name}_{round(time.time())}.csv"


_UNREAD = "not read, as in the original"

_FILES = (
    "inference_time_csv_file", "inference_memory_csv_file", "train_time_csv_file",
    "train_memory_csv_file", "env_info_csv_file", "log_filename",
)  # fmt: skip


@dataclass(init=False)
class BenchmarkArguments:
    """What both classes of arguments have in common; the seven ``no_*`` names work, too.

    Raises `ArgumentError`, a ``ValueError``, for a name that is none of them.
    """

    models: list[str] = _argument([], "hub ids, names of the catalogue, or labels for configs")
    batch_sizes: list[int] = _argument([8], "how many samples a call takes")
    sequence_lengths: list[int] = _argument([8, 32, 128, 512], "how many tokens a sample has")
    inference: bool = _argument(True, "measure a forward pass")
    cuda: bool = _argument(True, "use a CUDA device if there is one")
    tpu: bool = _argument(True, "has no effect: no backend of nbbench runs on TPUs")
    fp16: bool = _argument(False, "run in float16 (TensorFlow: mixed precision)")
    training: bool = _argument(False, "measure a forward and a backward pass")
    verbose: bool = _argument(False, _UNREAD)
    speed: bool = _argument(True, "measure time")
    memory: bool = _argument(True, "measure memory")
    trace_memory_line_by_line: bool = _argument(False, "show memory line by line, for every case")
    save_to_csv: bool = _argument(False, "write the five CSV files, rows as they come")
    log_print: bool = _argument(False, "append what is printed to log_filename")
    env_print: bool = _argument(False, "print the environment")
    multi_process: bool = _argument(
        True, "measure in processes of their own; without it in this one, for debugging"
    )
    inference_time_csv_file: str = _argument(
        _at_import("inference_time"), "default: inference_time_<seconds>.csv"
    )
    inference_memory_csv_file: str = _argument(
        _at_import("inference_memory"), "default: inference_memory_<seconds>.csv"
    )
    train_time_csv_file: str = _argument(
        _at_import("train_time"), "default: train_time_<seconds>.csv"
    )
    train_memory_csv_file: str = _argument(
        _at_import("train_memory"), "default: train_memory_<seconds>.csv"
    )
    env_info_csv_file: str = _argument(_at_import("env_info"), "default: env_info_<seconds>.csv")
    log_filename: str = _argument(_at_import("log"), "default: log_<seconds>.csv")
    repeat: int = _argument(
        3,
        "the fewest samples (timings) of a case that has one visit, 1000 at most; nbbench takes 3 "
        "at least, and goes on until the time is precise",
    )
    only_pretrain_model: bool = _argument(False, "run the base model without a head")

    framework: ClassVar[str] = ""
    deprecated_args: ClassVar[tuple[str, ...]] = (
        "no_inference", "no_cuda", "no_tpu", "no_speed", "no_memory", "no_env_print",
        "no_multi_process",
    )  # fmt: skip

    def __init__(self, **values: Any) -> None:
        names = [item.name for item in dataclasses.fields(self)]
        for name, value in list(values.items()):
            positive = name.removeprefix("no_")
            if positive != name and positive in NEGATED:
                if not isinstance(value, bool):
                    raise ArgumentError(f"{name}: {quoted(value)} is neither True nor False")
                warnings.warn(f"{name} is now {positive}={not value}", FutureWarning, stacklevel=2)
                values[positive] = not values.pop(name)
            elif name not in names:
                raise ArgumentError(
                    f"there is no argument {quoted(name)}{did_you_mean(name, names)}"
                )
        stamp = _stamp()
        for item in dataclasses.fields(self):
            default = item.default
            if item.default_factory is not dataclasses.MISSING:
                default = item.default_factory()
            given = values.get(item.name, default)
            if isinstance(default, list) and item.name in values:
                given = _list_of(item.name, given)
            is_text = isinstance(given, str)
            if item.name in _FILES and is_text and plain(given) == default:
                given = (
                    f"{item.name.removesuffix('_csv_file').removesuffix('_filename')}_{stamp}.csv"
                )
            setattr(self, item.name, given)

    @property
    def model_names(self) -> list[str]:
        """The models; ``ArgumentError``, a ``ValueError``, if there are none."""
        names = _list_of("models", self.models)
        if not names:
            raise ArgumentError("models is empty; name at least one, like bert-base-uncased")
        return names

    @property
    def do_multi_processing(self) -> bool:
        """Whether cases run in processes of their own."""
        return self.multi_process

    @property
    def n_gpu(self) -> int:
        """How many NVIDIA GPUs this process may use; 0 without ``cuda``."""
        return len(visible_gpus()) if self.cuda else 0

    @property
    def is_gpu(self) -> bool:
        """Whether cases run on a GPU."""
        return self.n_gpu > 0

    @property
    def is_tpu(self) -> bool:
        """False: no backend of nbbench runs on TPUs."""
        return False

    def to_json_string(self) -> str:
        """All arguments as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)

    def benchmark_arguments(self, configs: Any) -> schema.BenchmarkArguments:
        """These arguments as nbbench's own; raises `ArgumentError` where they make no sense.

        ``configs`` are one or several, or None.
        """
        self._check_types()
        if {"max", "best"} & {*map(str, (*self.batch_sizes, *self.sequence_lengths))}:
            raise ArgumentError(
                "batch_sizes and sequence_lengths are whole numbers in this benchmark; nbbench.run "
                "finds the largest that fit"
            )
        return schema.BenchmarkArguments(
            models=self.model_names,
            configs=configs,
            frameworks=self.framework or "pytorch",
            batch_sizes=self.batch_sizes,
            sequence_lengths=self.sequence_lengths,
            inference=self.inference,
            training=self.training,
            speed=self.speed,
            memory=self.memory,
            trace_memory_line_by_line=self.trace_memory_line_by_line,
            min_samples=min(max(self.repeat, MIN_SAMPLES), MAX_SAMPLES),
            device=self._own_device() or self._device(),
            dtypes="float16" if self.fp16 else "float32",
            executions=self._execution(),
            model_class="base" if self.only_pretrain_model else "architecture",
            isolation="auto" if self.do_multi_processing else "none",
        )

    def _check_types(self) -> None:
        """Raise `ArgumentError` for a value that is not of its argument's kind.

        What nbbench has arguments of its own for, that is lists of models and sizes, is checked
        with those.
        """
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type == "bool" and not isinstance(value, bool):
                raise ArgumentError(f"{item.name}: {quoted(value)} is neither True nor False")
            is_text = isinstance(value, str | os.PathLike | None)
            if item.type in ("str", "str | None") and not is_text:
                raise ArgumentError(f"{item.name}: {quoted(value)} is no text")
            fewest = {"repeat": 1}.get(item.name, 0)
            if item.type == "int" and not (type(value) is int and fewest <= value < 2**31):
                raise ArgumentError(
                    f"{item.name}: {quoted(value)} is not a whole number from {fewest} up to "
                    f"{2**31 - 1}"
                )

    def _own_device(self) -> str:
        """The device that a subclass's own properties name; empty where they are the original's.

        Raises `ArgumentError` for what cannot be done for them.
        """
        own = overridden(self, _ORIGINALS.get(self.framework, _ORIGINALS[""]))
        refused = [name for name in own if name in _REFUSED]
        if refused:
            raise ArgumentError(
                f"{refused[0]} is overridden, and nbbench does not call it, since frameworks "
                f"run in processes of their own; choose the device by CUDA_VISIBLE_DEVICES instead"
            )
        if "is_tpu" in own and self.is_tpu:
            return "tpu"
        if "device" in own:
            return str(self.device)  # type: ignore[attr-defined]
        if "device_idx" in own:
            return f"cuda:{self.device_idx}" if self.is_gpu else "cpu"  # type: ignore[attr-defined]
        if {"is_gpu", "n_gpu"} & set(own):
            return "auto" if self.is_gpu else "cpu"
        return ""

    def _execution(self) -> str:
        """What nbbench calls the way in which calls are executed."""
        return "default"

    def _device(self) -> str:
        """What nbbench calls the device."""
        return "auto" if self.cuda else "cpu"


def _list_of(name: str, value: Any) -> list[Any]:
    """The values of an argument; raises `ArgumentError` where they cannot be read."""
    try:
        values: list[Any] = as_list(value)
    except Unreadable as error:
        raise ArgumentError(f"{name}: {error}") from None
    return values


_stamps: list[int] = [0]


def _stamp() -> int:
    """The seconds that file names carry: later ones for each object, so that none share a file."""
    _stamps[0] = max(round(time.time()), _stamps[0] + 1)
    return _stamps[0]


NEGATED = ("inference", "cuda", "tpu", "speed", "memory", "env_print", "multi_process")
"""The arguments that an older original had with ``no_`` before them."""


@dataclass(init=False)
class PyTorchBenchmarkArguments(BenchmarkArguments):
    """Arguments of `PyTorchBenchmark`, with the original's names, defaults and meanings."""

    torchscript: bool = _argument(False, "trace the model with TorchScript")
    torch_xla_tpu_print_metrics: bool = _argument(False, "has no effect, as without a TPU")
    fp16_opt_level: str = _argument("O1", _UNREAD)

    framework = "pytorch"

    @property
    def device_idx(self) -> int:
        """0: of the GPUs that CUDA_VISIBLE_DEVICES leaves, the first is used."""
        return 0

    @property
    def device(self) -> str:
        """``cuda:0`` or ``cpu``, as text: torch is not imported here."""
        return "cuda:0" if self.is_gpu else "cpu"

    def _execution(self) -> str:
        return "torchscript" if self.torchscript else "default"


@dataclass(init=False)
class TensorFlowBenchmarkArguments(BenchmarkArguments):
    """Arguments of `TensorFlowBenchmark`, with the original's names, defaults and meanings."""

    tpu_name: str | None = _argument(None, "has no effect: no backend of nbbench runs on TPUs")
    device_idx: int = _argument(0, "number of the GPU, of those that CUDA_VISIBLE_DEVICES leaves")
    eager_mode: bool = _argument(False, "run operation by operation, not as a graph")
    use_xla: bool = _argument(False, "have XLA compile the graph")

    framework = "tensorflow"

    @property
    def gpu_list(self) -> list[str]:
        """TensorFlow's names of the GPUs that this process may use."""
        return [f"/physical_device:GPU:{number}" for number in range(self.n_gpu)]

    @property
    def strategy(self) -> str:
        """The one device that is used, as text: tensorflow is not imported here."""
        return f"/gpu:{self.device_idx}" if self.is_gpu else f"/cpu:{self.device_idx}"

    def benchmark_arguments(self, configs: Any) -> schema.BenchmarkArguments:
        """These arguments as nbbench's own; raises `ArgumentError` where they make no sense."""
        self._check_types()
        if self.eager_mode and self.use_xla:
            raise ArgumentError("eager_mode and use_xla exclude each other; keep one")
        if self.trace_memory_line_by_line and not self.eager_mode:
            raise ArgumentError(
                "trace_memory_line_by_line needs eager_mode=True, since a graph runs no lines"
            )
        return super().benchmark_arguments(configs)

    def _execution(self) -> str:
        return "eager" if self.eager_mode else "xla" if self.use_xla else "default"

    def _device(self) -> str:
        return f"cuda:{self.device_idx}" if self.cuda and self.device_idx else super()._device()


_REFUSED = ("_setup_devices", "_setup_strategy", "_setup_tpu", "strategy", "gpu_list")
"""What subclasses overrode to set a framework up, which is not done in this process."""

_COMMON = ("is_tpu", "is_gpu", "n_gpu", *_REFUSED)
_ORIGINALS = {
    "": attributes_of(BenchmarkArguments, _COMMON),
    "pytorch": attributes_of(PyTorchBenchmarkArguments, (*_COMMON, "device", "device_idx")),
    "tensorflow": attributes_of(TensorFlowBenchmarkArguments, _COMMON),
}
"""What may be overridden, as it is defined, by framework; the others are fields."""
