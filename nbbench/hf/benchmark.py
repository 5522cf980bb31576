"""The original's classes: run what the arguments say, print and write as it did.

Without overrides a model runs in processes of its own. What a subclass, a changed class or the
object itself overrides is run as the original ran it, in this process: see `own_code.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from ..api import run_arguments
from ..arguments import schema
from ..environments.requirements import installed
from ..errors import ArgumentError
from ..paths import as_path
from ..plan.models import find_models
from ..plan.result import Result
from ..report.atomic_write import check_writable
from ..report.report import Report
from ..text import quoted
from .arguments import (
    BenchmarkArguments,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmarkArguments,
)
from .csv_files import CsvFiles, write_result
from .environment import environment_before, environment_info
from .line_memory import Memory, MemorySummary, memory_summary
from .overrides import attributes_of, overridden
from .own_code import MEASURING_HOOKS, OwnCode
from .results import KINDS, BenchmarkOutput, output_of
from .tables import info_table, reasons, result_table, sections, summary_text

_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}
_PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow"}


class Benchmark:
    """One benchmark; ``report`` is nbbench's own report of the last run, None before it.

    ``problem`` says which file could not be written to its end, if any. By itself this class
    measures nothing: it is there for subclasses that say how, in ``_inference_speed`` and its three
    siblings, or in ``_prepare_inference_func`` and ``_prepare_train_func``.
    """

    kind: ClassVar[type[BenchmarkArguments]] = BenchmarkArguments
    deprecated_args: ClassVar[list[str]] = list(BenchmarkArguments.deprecated_args)

    def __init__(self, args: BenchmarkArguments, configs: Any = None) -> None:
        if not isinstance(args, self.kind):
            raise ArgumentError(
                f"{type(self).__name__} takes {self.kind.__name__}(…), and not a "
                f"{type(args).__name__}"
            )
        self.args = args
        self.report: Report | None = None
        self.problem = ""
        self._configs = configs
        self._config_dict: dict[str, Any] | None = None
        self._found: dict[str, Any] = {}
        self._print_fn: Callable[..., Any] | None = None
        self._own_code = OwnCode(self)
        arguments = self.arguments()  # what makes no sense is refused now
        self._refuse_if_abstract(self._overridden())
        if arguments.isolation == "none":
            warnings.warn(
                "multi_process=False measures in this process, for debugging: memory counts all "
                "that the process holds, and a crash ends it",
                UserWarning,
                stacklevel=2,
            )

    def run(self) -> BenchmarkOutput:
        """Measure, print the tables, and return the results.

        Raises what `nbbench.run` raises for arguments that make no sense. A case that fails is
        "N/A", and its reason is printed below the tables. An interrupt returns what was measured.
        """
        arguments = self.arguments()
        own = self._overridden()
        self._refuse_if_abstract(own)
        self.problem = ""
        files = self._files(arguments, own)
        begun = _BegunModels(len(arguments.model_names()))

        def on_result(result: Result) -> None:
            if files is not None:
                files.add(result)
            begun.add(result)

        def print_begun() -> None:
            for line in begun.new_lines():
                self.print_fn(line)

        if own & set(MEASURING_HOOKS):
            self._warn_of_own_code(own)
            self.report = self._own_code.run(arguments, on_result, print_begun)
        else:
            self.report = run_arguments(arguments, on_result=on_result, on_update=print_begun)
            print_begun()
        output = output_of(self.report, arguments)._replace(**self._own_summaries())
        if files is not None:
            files.put_in_order(self.report.results)
        self._print(self.report, output, own)
        if files is not None:
            files.write_environment(self.environment_info)
            self.problem = self.problem or files.problem
        if self.problem:
            warnings.warn(self.problem, RuntimeWarning, stacklevel=2)
        return output

    def arguments(self) -> schema.BenchmarkArguments:
        """What is asked for now, as nbbench's own arguments."""
        return self.args.benchmark_arguments(self._current_configs())

    @property
    def framework(self) -> str:
        """The framework as the original named it."""
        return _NAMES.get(self.args.framework) or type(self).__name__

    @property
    def config_dict(self) -> dict[str, Any]:
        """The configurations by model: as they were given, else as found. Changes count."""
        if self._config_dict is None:
            if self._configs is None:
                found = {each.name: each.config for each in find_models(self.arguments())}
                self._found, self._config_dict = dict(found), found
            else:
                given = self._configs
                given = given if isinstance(given, (list, tuple)) else [given]
                self._config_dict = dict(zip(self.args.model_names, given, strict=True))
        return self._config_dict

    @config_dict.setter
    def config_dict(self, configs: Mapping[str, Any]) -> None:
        self._config_dict = dict(configs)

    @property
    def environment_info(self) -> dict[str, Any]:
        """The environment by the original's keys and more: of the last run, before it of now."""
        if self.report is not None:
            return environment_info(self.report.facts[0])
        return environment_before(
            self.args, self.arguments(), self.framework, self.framework_version
        )

    @property
    def framework_version(self) -> str | None:
        """The version of the framework: of the last run, before it of this process, if any."""
        if self.report is not None:
            return self.report.facts[0].framework_version or None
        return installed().get(_PACKAGES.get(self.args.framework, ""))

    @property
    def print_fn(self) -> Callable[..., Any]:
        """What prints: by default `print`, and to the log as well where ``log_print`` is on."""
        return self._print_fn or self._say

    @print_fn.setter
    def print_fn(self, function: Callable[..., Any]) -> None:
        self._print_fn = function

    def print_results(self, result_dict: Mapping[str, Any], type_label: str) -> None:
        """Print the table of one of the four results."""
        self.print_fn(result_table(result_dict, type_label))

    def print_memory_trace_statistics(self, summary: MemorySummary) -> None:
        """Print a summary of memory line by line."""
        self.print_fn(summary_text(summary))

    def save_to_csv(self, result_dict: Mapping[str, Any], filename: str) -> None:
        """Write one of the four results, if ``args.save_to_csv`` is on."""
        if self.args.save_to_csv:
            self.print_fn("Saving results to csv.")
            write_result(result_dict, filename)

    def inference_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Seconds of a forward pass, or "N/A"."""
        size = model_name, batch_size, sequence_length
        return self._measured("inference", "speed", self._inference_speed, *size)

    def train_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        """Seconds of a training step, or "N/A"."""
        size = model_name, batch_size, sequence_length
        return self._measured("training", "speed", self._train_speed, *size)

    def inference_memory(
        self, model_name: str, batch_size: int, sequence_length: int
    ) -> tuple[Any, MemorySummary | None]:
        """Memory of a forward pass, or "N/A", and its summary line by line, if traced."""
        size = model_name, batch_size, sequence_length
        return _pair(self._measured("inference", "memory", self._inference_memory, *size))

    def train_memory(
        self, model_name: str, batch_size: int, sequence_length: int
    ) -> tuple[Any, MemorySummary | None]:
        """Memory of a training step, or "N/A", and its summary line by line, if traced."""
        size = model_name, batch_size, sequence_length
        return _pair(self._measured("training", "memory", self._train_memory, *size))

    def _inference_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        return self._measure_speed(
            self._prepare_inference_func(model_name, batch_size, sequence_length)
        )

    def _train_speed(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        return self._measure_speed(
            self._prepare_train_func(model_name, batch_size, sequence_length)
        )

    def _inference_memory(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        return self._measure_memory(
            self._prepare_inference_func(model_name, batch_size, sequence_length)
        )

    def _train_memory(self, model_name: str, batch_size: int, sequence_length: int) -> Any:
        return self._measure_memory(
            self._prepare_train_func(model_name, batch_size, sequence_length)
        )

    def _prepare_inference_func(
        self, model_name: str, batch_size: int, sequence_length: int
    ) -> Callable[[], Any]:
        return self._own_code.build("inference", model_name, batch_size, sequence_length)

    def _prepare_train_func(
        self, model_name: str, batch_size: int, sequence_length: int
    ) -> Callable[[], Any]:
        return self._own_code.build("training", model_name, batch_size, sequence_length)

    def _measure_speed(self, func: Callable[[], Any]) -> float:
        return self._own_code.speed_of(func)

    def _measure_memory(self, func: Callable[[], Any]) -> tuple[Memory, MemorySummary | None]:
        return self._own_code.memory_of(func)

    def _measured(self, mode: str, asked: str, hook: Callable[..., Any], *size: Any) -> Any:
        """One figure: by own code where there is some, else as `run` measures."""
        if self._own_code.running or self._overridden() & set(MEASURING_HOOKS):
            value = self._own_code.guarded(hook, *size)
            reason = self._own_code.reason
            if reason and not self._own_code.running:
                self.print_fn(f"N/A: {reason}")
            return value
        report = self._own_code.report_of(mode, asked, *size)
        for reason in reasons(report.results):
            self.print_fn(reason)
        (kind,) = (kind for kind in KINDS if (kind.mode, kind.asked) == (mode, asked))
        (result,) = report.results
        lines = result.outcome.lines
        summary = None if lines is None else memory_summary(lines)
        return (kind.value(result), summary) if asked == "memory" else kind.value(result)

    def _overridden(self) -> set[str]:
        return set(overridden(self, _ORIGINALS))

    def _refuse_if_abstract(self, own: set[str]) -> None:
        """Raise `ArgumentError` where neither a framework nor own code says what is measured."""
        if self.kind is BenchmarkArguments and not own & set(MEASURING_HOOKS):
            raise ArgumentError(
                f"{type(self).__name__} measures nothing by itself; use PyTorchBenchmark or "
                f"TensorFlowBenchmark, or override _inference_speed and its siblings"
            )

    def _files(self, arguments: schema.BenchmarkArguments, own: set[str]) -> CsvFiles | None:
        """The CSV files, checked; own code that writes results writes all of them."""
        if self.args.log_print:
            check_writable(self.args.log_filename, folder=False)
        if not self.args.save_to_csv:
            return None
        return CsvFiles(
            self.args, arguments.sequence_lengths, () if "save_to_csv" in own else KINDS
        )

    def _warn_of_own_code(self, own: set[str]) -> None:
        hooks = [name for name in MEASURING_HOOKS if name in own]
        verb = "is" if len(hooks) == 1 else "are"
        warnings.warn(
            f"{', '.join(hooks)} {verb} overridden, so everything is measured in this process: "
            f"memory counts all that it holds, and a crash ends it",
            UserWarning,
            stacklevel=3,
        )

    def _own_summaries(self) -> dict[str, Any]:
        """The summaries that own code gave instead of nbbench's."""
        fields = {"inference": "inference_summary", "training": "train_summary"}
        return {fields[mode]: summary for mode, summary in self._own_code.summaries.items()}

    def _print(self, report: Report, output: BenchmarkOutput, own: set[str]) -> None:
        kinds = {(kind.mode, kind.asked): kind for kind in KINDS}
        summaries = {"inference": output.inference_summary, "training": output.train_summary}
        for section in sections(report.results):
            self.print_fn(section.title)
            summary = summaries[section.mode]
            if section.asked == "lines":
                if summary is not None and "print_memory_trace_statistics" in own:
                    self.print_memory_trace_statistics(summary)
                else:
                    self.print_fn(section.text)
                continue
            kind = kinds[section.mode, section.asked]
            result = getattr(output, kind.result)
            if "print_results" in own:
                self.print_results(result, type_label=section.label)
            else:
                self.print_fn(section.text)
            if "save_to_csv" in own:
                self.save_to_csv(result, getattr(self.args, kind.csv_file))
            elif self.args.save_to_csv:
                self.print_fn("Saving results to csv.")
        for reason in reasons(report.results):
            self.print_fn(reason)
        if self.args.env_print:
            self.print_fn(info_table(self.environment_info))

    def _current_configs(self) -> Any:
        """The configurations as they were given, or as ``config_dict`` has them now."""
        configs = self._config_dict
        if configs is None or (self._configs is None and configs == self._found):
            return self._configs
        missing = [name for name in self.args.model_names if name not in configs]
        if missing:
            raise ArgumentError(
                f"config_dict has no configuration of {', '.join(missing)}; add it by that name"
            )
        return [configs[name] for name in self.args.model_names]

    def _say(self, *texts: Any) -> None:
        print(*texts)
        if self.args.log_print:
            name = self.args.log_filename
            try:
                with as_path(name).open("a", encoding="utf-8") as log:
                    print(*texts, file=log)
            except OSError as error:
                self.problem = f"{quoted(str(name), 300)} could not be written: {error.strerror}"


_ORIGINALS = attributes_of(
    Benchmark,
    (*MEASURING_HOOKS, "print_results", "print_memory_trace_statistics", "save_to_csv"),
)
"""What may be overridden and has to be called then; properties are read whatever they are."""


class _BegunModels:
    """Counts the models that have results: added in any thread, told in the one that asks."""

    def __init__(self, count: int) -> None:
        self._count, self._told = count, 0
        self._models: list[str] = []

    def add(self, result: Result) -> None:
        """Count the model of a result."""
        if result.case.model not in self._models:
            self._models.append(result.case.model)

    def new_lines(self) -> Iterator[str]:
        """A line for each model that was counted and not told yet."""
        while self._told < len(self._models):
            self._told += 1
            yield f"{self._told} / {self._count}"


def _pair(value: Any) -> tuple[Any, MemorySummary | None]:
    """Memory with its summary, whether a hook gave both or one."""
    if type(value) is tuple and len(value) == 2:
        return value
    return value, None


class PyTorchBenchmark(Benchmark):
    """``PyTorchBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: PyTorchBenchmarkArguments
    kind = PyTorchBenchmarkArguments


class TensorFlowBenchmark(Benchmark):
    """``TensorFlowBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: TensorFlowBenchmarkArguments
    kind = TensorFlowBenchmarkArguments
