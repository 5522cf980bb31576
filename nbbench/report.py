"""What was measured: three DataFrames, and what a person does with them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .case import Case, Outcome, Result, Status
from .errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

_FORMAT, _VERSION = "nbbench report", 1
_MIB = 2**20

_WHOLE = ("sequence_length", "n")
_TRUTH = ("noisy",)
_NUMBERS = ("_s", "_mib")
"""Endings of the columns that are numbers, missing ones included."""


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
        return _frame([{**_identity(result), **_speed(result)} for result in self.results])

    @property
    def memory(self) -> pd.DataFrame:
        """Memory of each case in MiB; ``method`` says where the peak was read."""
        return _frame([{**_identity(result), **_memory(result)} for result in self.results])

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
        return {
            "environment": label,
            **self._environments.get((framework, label), {}),
            **self._machine,
            "device": ", ".join(devices),
            "use_gpu": any(device != "cpu" for device in devices),
            "use_tpu": False,
            "use_multiprocessing": True,
            "fp16": any(result.outcome.dtype == "float16" for result in results),
            "only_pretrain_model": any(result.case.model_class == "base" for result in results),
            "config_sources": ", ".join(f"{model}: {src}" for model, src in sources.items() if src),
        }

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are not ok; ``outcome.detail`` has the traceback or the log's end."""
        return tuple(r for r in self.results if r.outcome.status is not Status.OK)

    def print_tables(self) -> None:
        """Print the report in the layout of Transformers' former benchmark."""
        from .original_tables import original_tables

        print(original_tables(self), end="")

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Write speed.csv, memory.csv and environment.csv into a folder, made if need be."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = []
            for name in ("speed", "memory", "environment"):
                paths.append(folder / f"{name}.csv")
                getattr(self, name).to_csv(paths[-1], index=name == "environment")
        except OSError as error:
            raise _cannot_write(folder, error) from None
        return paths

    def save(self, file: str | Path) -> Path:
        """Write all of the report, raw samples included, as JSON; by custom ``.nbbench.json``.

        Tracebacks and logs stay behind, since they name folders.
        """
        content = {
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
        file = Path(file)
        try:
            file.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except OSError as error:
            raise _cannot_write(file, error) from None
        return file

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
        from .table import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from .table import as_html

        return as_html(self)

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


def check_writable(path: str | Path, *, folder: bool) -> None:
    """Raise `OutputError` now if a report cannot be written there later.

    A folder is made; a file that does not exist is made for a moment and removed.
    """
    if not str(path):
        raise OutputError("the place to write to is empty; give a file or a folder")
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


def _identity(result: Result) -> dict[str, Any]:
    case, outcome = result.case, result.outcome
    return {
        "framework": case.framework,
        "model": case.model,
        "mode": case.mode,
        "batch_size": case.batch_size,
        "sequence_length": case.sequence_length,
        "dtype": outcome.dtype or case.dtype,
        "attention": case.attention,
        "architecture": outcome.architecture,
        "device": outcome.device or case.device,
        "environment": case.environment,
        "execution": outcome.execution or case.execution,
        "config_source": case.config_source,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "phase": outcome.phase,
    }


def _speed(result: Result) -> dict[str, Any]:
    outcome, timing = result.outcome, result.outcome.timing
    names = (
        "median_s", "ci_low_s", "ci_high_s", "min_s", "mean_s", "std_s", "p90_s", "p99_s", "n",
        "noisy", "first_call_s",
    )  # fmt: skip
    drawn = {name: None if timing is None else getattr(timing, name) for name in names}
    per_second = None if timing is None else 1 / timing.median_s
    tokens = outcome.tokens_per_call
    return {
        **drawn,
        "build_s": outcome.build_s,
        "wall_s": outcome.wall_s,
        "samples_per_s": None if per_second is None else result.case.batch_size * per_second,
        "tokens_per_s": None if per_second is None or tokens is None else tokens * per_second,
    }


def _memory(result: Result) -> dict[str, Any]:
    memory = result.outcome.memory
    names = (
        "baseline", "parameters", "weights", "activations", "peak", "reserved", "process",
        "gradients",
    )  # fmt: skip
    taken = {name: None if memory is None else getattr(memory, name) for name in names}
    for name in ("forward", "backward", "optimizer"):
        taken[f"{name}_peak"] = None if memory is None else memory.phases.get(name)
    return {
        **{f"{name}_mib": None if size is None else size / _MIB for name, size in taken.items()},
        "method": "" if memory is None else memory.method,
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame whose column types do not depend on what is missing."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    for name in frame.columns:
        if name in _WHOLE:
            frame[name] = frame[name].astype("Int64")
        elif name in _TRUTH:
            frame[name] = frame[name].astype("boolean")
        elif name.endswith(_NUMBERS):
            frame[name] = frame[name].astype("float64")
    return frame
