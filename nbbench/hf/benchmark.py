"""The original's two classes: run what the arguments say, print and write as it did."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

from ..api import run_arguments
from ..errors import ArgumentError
from ..plan.cases import Result
from ..report.atomic_write import check_writable
from ..report.report import Report
from .arguments import Arguments, PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments
from .csv_files import CsvFiles
from .environment import environment_info
from .results import BenchmarkOutput, output_of
from .tables import environment_table, reasons, sections

_HOOKS = (
    "_prepare_inference_func", "_prepare_train_func", "_measure_speed", "_measure_memory",
    "_inference_speed", "_inference_memory", "_train_speed", "_train_memory",
)  # fmt: skip
"""What subclasses of the original overrode to measure something else."""


class _Benchmark:
    """One benchmark; ``report`` is nbbench's own report of the last run, None before it.

    ``problem`` says which file could not be written to its end, if any.
    """

    kind: ClassVar[type[Arguments]]

    def __init__(self, args: Arguments, configs: Any = None) -> None:
        if not isinstance(args, self.kind):
            raise ArgumentError(
                f"{type(self).__name__} takes {self.kind.__name__}(…), and not a "
                f"{type(args).__name__}"
            )
        self._refuse_hooks()
        self.args = args
        self.report: Report | None = None
        self.problem = ""
        self._configs = configs
        args.benchmark_arguments(configs)  # what makes no sense is refused now
        if not args.multi_process:
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
        self._refuse_hooks()
        arguments = self.args.benchmark_arguments(self._configs)
        self.problem = ""
        files = None
        if self.args.save_to_csv:
            files = CsvFiles(self.args, arguments.sequence_lengths)
        if self.args.log_print:
            check_writable(self.args.log_filename, folder=False)
        begun: set[str] = set()

        def on_result(result: Result) -> None:
            if files is not None:
                files.add(result)
            if result.case.model not in begun:
                begun.add(result.case.model)
                self._say(f"{len(begun)} / {len(arguments.model_names())}")

        self.report = run_arguments(arguments, on_result=on_result)
        self._print(self.report)
        if files is not None:
            files.put_in_order(self.report.results)
            files.write_environment(self.environment_info)
            self.problem = self.problem or files.problem
        if self.problem:
            warnings.warn(self.problem, RuntimeWarning, stacklevel=2)
        return output_of(self.report, arguments)

    def _refuse_hooks(self) -> None:
        """Raise `ArgumentError` where a hook of the original's is overridden: it would not run."""
        own = {**vars(self)}
        for kind in type(self).__mro__:
            own.update(vars(kind))
        for hook in _HOOKS:
            if hook in own:
                raise ArgumentError(
                    f"{hook} is overridden, and nbbench does not call it, since models run in "
                    f"processes of their own; remove it, or measure your own call by a backend"
                )

    @property
    def framework(self) -> str:
        """The framework as the original named it."""
        return {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}[self.args.framework]

    @property
    def config_dict(self) -> dict[str, Any]:
        """The configurations by model, where they were given."""
        if self._configs is None:
            return {}
        given = self._configs if isinstance(self._configs, (list, tuple)) else [self._configs]
        return dict(zip(self.args.model_names, given, strict=True))

    @property
    def environment_info(self) -> dict[str, Any]:
        """The environment of the last run by the original's keys and more; empty before it."""
        if self.report is None:
            return {}
        return environment_info(self.report.facts[0])

    @property
    def framework_version(self) -> str | None:
        """The version of the framework of the last run; None before it."""
        version = self.environment_info.get("framework_version")
        return None if version is None else str(version)

    def _print(self, report: Report) -> None:
        for section in sections(report.results):
            self._say(section.text)
            if self.args.save_to_csv and section.in_csv:
                self._say("Saving results to csv.")
        for reason in reasons(report.results):
            self._say(reason)
        if self.args.env_print:
            self._say(environment_table(report.facts))

    def _say(self, text: str) -> None:
        print(text)
        if self.args.log_print:
            name = self.args.log_filename
            try:
                with Path(name).open("a", encoding="utf-8") as log:
                    log.write(text + "\n")
            except OSError as error:
                self.problem = f"{str(name)!r} could not be written: {error.strerror}"


class PyTorchBenchmark(_Benchmark):
    """``PyTorchBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: PyTorchBenchmarkArguments
    kind = PyTorchBenchmarkArguments


class TensorFlowBenchmark(_Benchmark):
    """``TensorFlowBenchmark(args, configs=None).run()``; ``configs`` pair with ``args.models``."""

    args: TensorFlowBenchmarkArguments
    kind = TensorFlowBenchmarkArguments
