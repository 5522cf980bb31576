"""What was measured: three DataFrames, and what a person does with them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from ..machine.gpus import GPU_KEYS
from ..plan.cases import Case, Outcome, Result, Status
from .dataframes import lines_frame, memory_frame, speed_frame

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Plots

_FORMAT, _VERSION = "nbbench report", 1

_ORIGINAL_KEYS = (
    "transformers_version", "framework", "use_torchscript", "eager_mode", "use_xla",
    "framework_version", "python_version", "system", "cpu", "architecture", "date", "time", "fp16",
    "use_multiprocessing", "only_pretrain_model", "cpu_ram_mb", "use_gpu", "num_gpus", "gpu",
    "gpu_ram_mb", "gpu_power_watts", "gpu_performance_state", "use_tpu",
)  # fmt: skip
"""The environment's keys that Transformers' former benchmark had, in its order."""

_TENSORFLOW_SWITCHES = (("eager_mode", "eager"), ("use_xla", "xla"))


class Report:
    """The results of one benchmark, one row a case in each frame.

    ``results`` are the cases with their outcomes, raw samples included. Columns carry their unit:
    ``_s`` seconds, ``_mib`` MiB. A figure that could not be had is missing, never 0.
    """

    def __init__(
        self,
        results: list[Result],
        machine: dict[str, Any],
        environments: dict[tuple[str, str], dict[str, Any]],
    ) -> None:
        self.results = tuple(results)
        self._machine = machine
        self._environments = environments

    @property
    def speed(self) -> pd.DataFrame:
        """Time of each case: median with its 95 % interval, spread, and throughput."""
        return speed_frame(self.results)

    @property
    def memory(self) -> pd.DataFrame:
        """Memory of each case in MiB; ``method`` says where the peak was read."""
        return memory_frame(self.results)

    @property
    def lines(self) -> pd.DataFrame:
        """What each line added to memory, where ``trace_memory_line_by_line`` was asked for.

        One row for each line that a case ran, in order: ``cpu_mib`` and ``gpu_mib`` are what it
        added (or freed: negative), ``held_cpu_mib`` and ``held_gpu_mib`` what was held after it.
        """
        return lines_frame(self.results)

    @property
    def environment(self) -> pd.DataFrame:
        """Machine, versions and settings: one row a key, one column a framework.

        A framework that was run in several environments has a column for each.
        """
        import pandas as pd

        places = list(dict.fromkeys((r.case.framework, r.case.environment) for r in self.results))
        count = Counter(framework for framework, _ in places)
        columns = {
            framework if count[framework] == 1 else f"{framework} ({label})": self._environment(
                framework, label
            )
            for framework, label in places
        }
        keys = list(dict.fromkeys(key for column in columns.values() for key in column))
        frame = pd.DataFrame(
            {framework: [column.get(key) for key in keys] for framework, column in columns.items()},
            index=pd.Index(keys, name="key"),
            dtype=object,
        )
        return frame

    def _environment(self, framework: str, label: str) -> dict[str, Any]:
        """Every key that the original's environment had, and what it missed."""
        results = [
            result
            for result in self.results
            if (result.case.framework, result.case.environment) == (framework, label)
        ]
        sources = {result.case.model: result.case.config_source for result in results}
        devices = sorted({result.outcome.device for result in results if result.outcome.device})
        executions = {result.outcome.execution for result in results}
        own = {"pytorch": {"use_torchscript": "torchscript" in executions}}
        own["tensorflow"] = {name: how in executions for name, how in _TENSORFLOW_SWITCHES}
        facts = {
            "environment": label,
            **own.get(framework, {}),
            **dict.fromkeys(GPU_KEYS),
            **self._machine,
            "use_multiprocessing": True,
            **self._environments.get((framework, label), {}),
            "device": ", ".join(devices),
            "use_gpu": any(device != "cpu" for device in devices),
            "use_tpu": False,
            "fp16": any(result.case.dtype == "float16" for result in results),
            "only_pretrain_model": any(result.case.model_class == "base" for result in results),
            "config_sources": ", ".join(f"{model}: {src}" for model, src in sources.items() if src),
        }
        threads = [r.case.threads for r in results if r.case.threads is not None]
        if threads:
            facts["threads"] = threads[0]  # one number is given for all cases
        first = {name: facts[name] for name in _ORIGINAL_KEYS if facts.get(name) is not None}
        return {**first, **{name: value for name, value in facts.items() if name not in first}}

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are not ok; ``outcome.detail`` has the traceback or the log's end."""
        return tuple(r for r in self.results if r.outcome.status is not Status.OK)

    def print_tables(self) -> None:
        """Print the report in the layout of Transformers' former benchmark."""
        from ..hf.tables import original_tables

        print(original_tables(self), end="")

    @property
    def plot(self) -> Plots:
        """Plots, with Matplotlib: ``report.plot.latency()``, ``.memory()`` and ``.scaling()``."""
        from .plots import Plots

        return Plots(self)

    def to_html(self, file: str | Path, title: str = "Benchmark") -> Path:
        """Write a page that stands by itself, for sharing: table, plots, reasons, environment.

        The plots are left away where Matplotlib is not installed.
        """
        from .html_page import page

        file, text = Path(file), page(self, self.plot.pngs(), title)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise _cannot_write(file, error) from None
        return file

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Write speed.csv, memory.csv and environment.csv into a folder, made if need be.

        And lines.csv where memory was traced line by line.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = []
            for name in ("speed", "memory", "environment"):
                paths.append(folder / f"{name}.csv")
                getattr(self, name).to_csv(paths[-1], index=name == "environment")
            lines = self.lines
            if not lines.empty:
                paths.append(folder / "lines.csv")
                lines.to_csv(paths[-1], index=False)
        except OSError as error:
            raise _cannot_write(folder, error) from None
        return paths

    def save(self, file: str | Path) -> Path:
        """Write all of the report, raw samples included, as JSON; by custom ``.nbbench.json``.

        Tracebacks and logs stay behind, since they name folders.
        """
        file, text = Path(file), json.dumps(self.to_dict())
        try:
            if file.exists() and not file.is_file():  # a device, a pipe
                file.write_text(text, encoding="utf-8")
            else:  # at once, so that no crash leaves half a file
                part = file.with_name(file.name + ".part")
                part.write_text(text, encoding="utf-8")
                part.replace(file)
        except OSError as error:
            raise _cannot_write(file, error) from None
        return file

    def to_dict(self) -> dict[str, Any]:
        """All of the report as JSON values, as `save` writes them."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "machine": self._machine,
            "environments": [
                {"framework": framework, "environment": label, "facts": facts}
                for (framework, label), facts in self._environments.items()
            ],
            "results": [
                {
                    "case": dataclasses.asdict(result.case),
                    "outcome": {**dataclasses.asdict(result.outcome), "detail": ""},
                }
                for result in self.results
            ],
        }

    @classmethod
    def load(cls, file: str | Path) -> Report:
        """Read a report that `save` wrote."""
        try:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OutputError(f"there is no report {str(file)!r}") from None
        except (OSError, ValueError) as error:
            raise OutputError(f"{str(file)!r} cannot be read as a report: {error}") from None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise OutputError(f"{str(file)!r} is no nbbench report; give a file that save wrote")
        if content.get("version") != _VERSION:
            raise OutputError(
                f"{str(file)!r} is a report of version {content.get('version')!r}, and this "
                f"nbbench reads version {_VERSION}; upgrade nbbench"
            )
        try:
            results = [
                Result(Case(**entry["case"]), Outcome.from_dict(entry["outcome"]))
                for entry in content["results"]
            ]
            environments = {
                (entry["framework"], entry["environment"]): entry["facts"]
                for entry in content["environments"]
            }
            return cls(results, content["machine"], environments)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OutputError(
                f"{str(file)!r} is a damaged report ({type(error).__name__}: {error}); "
                f"give a file as save wrote it"
            ) from None

    def __repr__(self) -> str:
        from .text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .html_page import report_html

        return report_html(self)

    def _repr_markdown_(self) -> str:
        from .text import as_markdown

        return as_markdown(self)

    def _repr_latex_(self) -> str:
        from .text import as_latex

        return as_latex(self)

    def __eq__(self, other: object) -> bool:
        """Equal frames and equal raw samples; tracebacks do not count."""
        return isinstance(other, Report) and (
            [(r.case, dataclasses.replace(r.outcome, detail="")) for r in self.results],
            self._machine,
            self._environments,
        ) == (
            [(r.case, dataclasses.replace(r.outcome, detail="")) for r in other.results],
            other._machine,
            other._environments,
        )

    __hash__ = None  # type: ignore[assignment]


def keep(report: Report, file: str | Path) -> None:
    """Save a report, but never over a file if nothing was measured before it was cancelled."""
    ended = {Status.CANCELLED, Status.SKIPPED}
    if any(r.outcome.status not in ended for r in report.results) or not Path(file).exists():
        report.save(file)


def check_writable(path: str | Path, *, folder: bool) -> None:
    """Raise `OutputError` now if a report cannot be written there later.

    A folder is made; a file that does not exist is made for a moment and removed.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path) or "\0" in str(path):
        raise OutputError(f"{path!r} is no place to write to; give the path of a file or a folder")
    path = Path(path)
    try:
        if folder:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".nbbench-probe"
            probe.touch()
            probe.unlink()
        elif path.exists():
            with path.open("ab"):
                pass
        else:
            path.touch()
            path.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{str(path)!r} cannot be written: {error.strerror}; give another place")
