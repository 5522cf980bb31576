"""The benchmark classes that Transformers had until 4.48, on top of nbbench.

``from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments`` is the one line to change.
Arguments, printed tables, CSV files and results are those of the original; the numbers are
nbbench's: medians instead of minima, exact peaks, and a failed case is "N/A" with its reason told.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .arguments import BenchmarkArguments
from .case import Result
from .errors import ArgumentError, did_you_mean
from .original_tables import SECTIONS, environment_table, section
from .report import Report
from .run import run

__all__ = [
    "BenchmarkOutput",
    "Memory",
    "PyTorchBenchmark",
    "PyTorchBenchmarkArguments",
    "TensorFlowBenchmark",
    "TensorFlowBenchmarkArguments",
]


class Memory(NamedTuple):
    """A peak in bytes, shown in MiB."""

    bytes: int

    def __repr__(self) -> str:
        return str(self.bytes >> 20)


class BenchmarkOutput(NamedTuple):
    """What ``run`` returns: by model, batch size and sequence length, seconds, `Memory` or "N/A".

    Each result is ``{model: {"bs": […], "ss": […], "result": {batch size: {length: value}}}}``.
    The summaries of tracing line by line are None.
    """

    time_inference_result: dict[str, Any]
    memory_inference_result: dict[str, Any]
    time_train_result: dict[str, Any]
    memory_train_result: dict[str, Any]
    inference_summary: None = None
    train_summary: None = None


def _argument(default: Any, help_text: str) -> Any:
    make = (lambda: list(default)) if isinstance(default, list) else (lambda: default)
    return field(default_factory=make, metadata={"help": help_text})


_UNREAD = "not read, as in the original"


@dataclass(init=False)
class _Arguments:
    """What both classes of arguments have in common; the seven ``no_*`` names work, too."""

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
    trace_memory_line_by_line: bool = _argument(False, "not available in nbbench yet")
    save_to_csv: bool = _argument(False, "write the five CSV files, rows as they come")
    log_print: bool = _argument(False, "append what is printed to log_filename")
    env_print: bool = _argument(False, "print the environment")
    multi_process: bool = _argument(True, "has no effect: cases run in processes of their own")
    inference_time_csv_file: str = _argument("", "default: inference_time_<seconds>.csv")
    inference_memory_csv_file: str = _argument("", "default: inference_memory_<seconds>.csv")
    train_time_csv_file: str = _argument("", "default: train_time_<seconds>.csv")
    train_memory_csv_file: str = _argument("", "default: train_memory_<seconds>.csv")
    env_info_csv_file: str = _argument("", "default: env_info_<seconds>.csv")
    log_filename: str = _argument("", "default: log_<seconds>.csv")
    repeat: int = _argument(3, "has no effect: samples are taken until the interval is narrow")
    only_pretrain_model: bool = _argument(False, "run the base model without a head")

    framework: ClassVar[str]

    def __init__(self, **values: Any) -> None:
        names = [item.name for item in dataclasses.fields(self)]
        for name, value in list(values.items()):
            positive = name.removeprefix("no_")
            if positive != name and positive in _NEGATED:
                warnings.warn(f"{name} is now {positive}={not value}", FutureWarning, stacklevel=2)
                values[positive] = not values.pop(name)
            elif name not in names:
                raise ArgumentError(f"there is no argument {name!r}{did_you_mean(name, names)}")
        stamp = round(time.time())
        for item in dataclasses.fields(self):
            default = item.default_factory()  # type: ignore[operator]
            if item.name.endswith("_csv_file"):
                default = f"{item.name.removesuffix('_csv_file')}_{stamp}.csv"
            elif item.name == "log_filename":
                default = f"log_{stamp}.csv"
            setattr(self, item.name, values.get(item.name, default))

    @property
    def model_names(self) -> list[str]:
        """The models; ``ArgumentError``, a ``ValueError``, if there are none."""
        if not self.models:
            raise ArgumentError("models is empty; name at least one, like bert-base-uncased")
        return self.models

    @property
    def do_multi_processing(self) -> bool:
        """Whether cases run in processes of their own, which they always do."""
        return True

    def to_json_string(self) -> str:
        """All arguments as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    def execution(self) -> str:
        """What nbbench calls the way in which calls are executed."""
        raise NotImplementedError

    def device(self) -> str:
        """What nbbench calls the device."""
        return "auto" if self.cuda else "cpu"


_NEGATED = ("inference", "cuda", "tpu", "speed", "memory", "env_print", "multi_process")


@dataclass(init=False)
class PyTorchBenchmarkArguments(_Arguments):
    """Arguments of `PyTorchBenchmark`, with the original's names, defaults and meanings."""

    torchscript: bool = _argument(False, "trace the model with TorchScript")
    torch_xla_tpu_print_metrics: bool = _argument(False, "has no effect, as without a TPU")
    fp16_opt_level: str = _argument("O1", _UNREAD)

    framework = "pytorch"

    def execution(self) -> str:
        """``torchscript``, or the default."""
        return "torchscript" if self.torchscript else "default"


@dataclass(init=False)
class TensorFlowBenchmarkArguments(_Arguments):
    """Arguments of `TensorFlowBenchmark`, with the original's names, defaults and meanings."""

    tpu_name: str | None = _argument(None, "has no effect: no backend of nbbench runs on TPUs")
    device_idx: int = _argument(0, "number of the GPU")
    eager_mode: bool = _argument(False, "run operation by operation, not as a graph")
    use_xla: bool = _argument(False, "have XLA compile the graph")

    framework = "tensorflow"

    def execution(self) -> str:
        """``eager``, ``xla``, or the default, which is a graph."""
        if self.eager_mode and self.use_xla:
            raise ArgumentError("eager_mode and use_xla exclude each other; keep one")
        return "eager" if self.eager_mode else "xla" if self.use_xla else "default"

    def device(self) -> str:
        """The GPU of that number where one is given."""
        return f"cuda:{self.device_idx}" if self.cuda and self.device_idx else super().device()


class _Benchmark:
    """Runs what the arguments say, prints and writes as the original did."""

    def __init__(self, args: _Arguments, configs: Sequence[Any] | None = None) -> None:
        self.args = args
        self._configs = list(configs) if configs is not None else []
        self._report: Report | None = None
        if args.trace_memory_line_by_line:
            raise ArgumentError(
                "trace_memory_line_by_line is not available in nbbench yet; switch it off"
            )
        if not args.multi_process:
            warnings.warn(
                "multi_process=False has no effect: nbbench measures in processes of its own, "
                "since the caller's memory would be counted else",
                UserWarning,
                stacklevel=3,
            )

    def run(self) -> BenchmarkOutput:
        """Measure, print the tables, and return the results.

        Raises what `nbbench.run` raises for arguments that make no sense. A case that fails is
        "N/A", and its reason is printed below the tables.
        """
        files = _CsvFiles(self.args) if self.args.save_to_csv else None
        report = run(
            on_result=files.add if files else None,
            **self._arguments().model_dump(exclude_unset=True),
        )
        self._report = report
        self._print(report)
        if files:
            files.write_environment(self.environment_info)
        speed, memory, train_speed, train_memory = (self._nested(report, *kind) for kind in _KINDS)
        return BenchmarkOutput(speed, memory, train_speed, train_memory)

    @property
    def environment_info(self) -> dict[str, Any]:
        """The environment of the last run by the original's keys and more; empty before it."""
        if self._report is None:
            return {}
        frame = self._report.environment
        return (
            {}
            if frame.empty
            else {str(key): value for key, value in frame[frame.columns[0]].items()}
        )

    @property
    def framework_version(self) -> str | None:
        """The version of the framework of the last run; None before it."""
        version = self.environment_info.get("framework_version")
        return None if version is None else str(version)

    def _arguments(self) -> BenchmarkArguments:
        args = self.args
        return BenchmarkArguments(
            models=args.model_names,
            configs=self._configs,
            frameworks=args.framework,
            batch_sizes=args.batch_sizes,
            sequence_lengths=args.sequence_lengths,
            inference=args.inference,
            training=args.training,
            speed=args.speed,
            memory=args.memory,
            device=args.device(),
            dtype="float16" if args.fp16 else "float32",
            execution=args.execution(),
            model_class="base" if args.only_pretrain_model else "architecture",
        )

    def _print(self, report: Report) -> None:
        asked = [kind for kind in SECTIONS if section(report, kind)]
        for kind in asked:
            self._say(section(report, kind))
            if self.args.save_to_csv:
                self._say("Saving results to csv.")
        for result in report.failures:
            self._say(f"N/A: {result.case.label}: {result.outcome.reason}")
        if self.args.env_print:
            self._say(environment_table(report))

    def _say(self, text: str) -> None:
        print(text)
        if self.args.log_print:
            with Path(self.args.log_filename).open("a", encoding="utf-8") as log:
                log.write(text + "\n")

    def _nested(
        self, report: Report, mode: str, asked: str, value: Callable[[Result], Any]
    ) -> dict[str, Any]:
        args, nested = self.args, {}
        for model in args.model_names:
            table: dict[int, dict[int, Any]] = {size: {} for size in args.batch_sizes}
            nested[model] = {
                "bs": list(args.batch_sizes),
                "ss": list(args.sequence_lengths),
                "result": table,
            }
            for result in report.results:
                case = result.case
                if (case.model, case.mode) == (model, mode) and getattr(case, asked):
                    for length in _lengths(case.sequence_length, args.sequence_lengths):
                        table[case.batch_size][length] = value(result)
        return nested


class PyTorchBenchmark(_Benchmark):
    """``PyTorchBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: PyTorchBenchmarkArguments


class TensorFlowBenchmark(_Benchmark):
    """``TensorFlowBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: TensorFlowBenchmarkArguments


def _lengths(length: int | None, asked: list[int]) -> list[int]:
    """The lengths that a case stands for: all, where the model takes none."""
    return asked if length is None else [length]


def _seconds(result: Result) -> float | str:
    timing = result.outcome.timing
    return "N/A" if timing is None else timing.median_s


def _peak(result: Result) -> Memory | str:
    memory = result.outcome.memory
    return "N/A" if memory is None or memory.peak is None else Memory(memory.peak)


_KINDS: tuple[tuple[str, str, Callable[[Result], Any]], ...] = (
    ("inference", "speed", _seconds),
    ("inference", "memory", _peak),
    ("training", "speed", _seconds),
    ("training", "memory", _peak),
)


class _CsvFiles:
    """The original's CSV files; each row is written when its case has ended."""

    def __init__(self, args: _Arguments) -> None:
        names = (
            args.inference_time_csv_file,
            args.inference_memory_csv_file,
            args.train_time_csv_file,
            args.train_memory_csv_file,
        )
        self._environment = Path(args.env_info_csv_file)
        self._files = {
            kind[:2]: (Path(name), kind[2])
            for kind, name in zip(_KINDS, names, strict=True)
            if getattr(args, kind[0]) and getattr(args, kind[1])
        }
        self._lengths = list(args.sequence_lengths)
        for file, _ in self._files.values():
            self._write(file, "w", ["model", "batch_size", "sequence_length", "result"])

    def add(self, result: Result) -> None:
        """Write a result's rows."""
        case = result.case
        for (mode, _), (file, value) in self._files.items():
            if case.mode == mode:
                got = value(result)
                text = f"{got:.4f}" if isinstance(got, float) else str(got)
                for length in _lengths(case.sequence_length, self._lengths):
                    self._write(file, "a", [case.model, case.batch_size, length, text])

    def write_environment(self, info: dict[str, Any]) -> None:
        """Write ``key,value`` rows without a header."""
        with self._environment.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(info.items())

    def _write(self, file: Path, mode: str, row: list[Any]) -> None:
        with file.open(mode, newline="", encoding="utf-8") as opened:
            csv.writer(opened).writerow(row)
