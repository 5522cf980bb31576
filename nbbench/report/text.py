"""A report as a person reads it: one compact table, then what failed, then the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..plan.cases import Result, Timing
from ..text import counted

if TYPE_CHECKING:
    import pandas as pd

    from .report import Report

_LOAD_TO_TELL = 0.1
"""Cores; less than that is what a system does for itself."""

_ALWAYS = ("model", "batch", "length")


def as_text(report: Report) -> str:
    """The report for a terminal."""
    import pandas as pd

    if not report.results:
        return "an empty report: no case was run"
    heads, rows = summary(report.results)
    parts = [pd.DataFrame(rows, columns=heads).to_string(index=False)]
    parts += [f"{label}: {reason}" for label, reason in failures(report.results)]
    traced = sum(len(r.outcome.lines.steps) for r in report.results if r.outcome.lines)
    if traced:
        parts.append(f"memory line by line: {traced:,} rows in report.lines (--csv, --tables)")
    parts.append(footer(report.environment))
    return "\n".join(parts)


def as_markdown(report: Report) -> str:
    """The report as a Markdown table, with what failed below it."""
    if not report.results:
        return "an empty report: no case was run"
    heads, rows = summary(report.results)
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    table = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    said = [f"- **{label}**: {reason}" for label, reason in failures(report.results)]
    return "\n\n".join(filter(None, [table, "\n".join(said), footer(report.environment)]))


def as_latex(report: Report) -> str:
    """The report as a LaTeX table, for the package booktabs."""
    if not report.results:
        return "an empty report: no case was run"
    heads, rows = summary(report.results)
    align = "".join("l" if head in TEXT_COLUMNS else "r" for head in heads)
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in [heads, *rows]]
    body = [lines[0], r"\midrule", *lines[1:]]
    return "\n".join(
        [rf"\begin{{tabular}}{{{align}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]
    )


def _latex(text: str) -> str:
    """A cell with what LaTeX would take for a command escaped."""
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "µ": r"$\mu$", "×": r"$\times$"}
    special |= {sign: rf"\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in text)


def summary(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the columns that matter; those that are the same for all stay out."""
    rows = [_row(result) for result in results]
    ok = all(result.outcome.status == "ok" for result in results)
    shown = [
        name
        for name in rows[0]
        if name in _ALWAYS
        or (name in _VARYING and len({row[name] for row in rows} - {""}) > 1)
        or (name not in _VARYING and any(row[name] for row in rows))
    ]
    shown = [name for name in shown if not (ok and name == "status")]
    return shown, [[row[name] for name in shown] for row in rows]


_VARYING = ("framework", "environment", "mode", "dtype", "attention", "execution", "device")

TEXT_COLUMNS = ("model", *_VARYING, "status")
"""Columns of text, which stand at the left."""


def _row(result: Result) -> dict[str, str]:
    case, outcome = result.case, result.outcome
    timing, memory = outcome.timing, outcome.memory
    tokens = outcome.tokens_per_call

    def mib(size: int | None) -> str:
        return "" if size is None else f"{size / 2**20:,.1f}"

    def rate(count: int | None) -> str:
        return "" if timing is None or count is None else _rounded(count / timing.median_s)

    return {
        "model": case.model,
        "framework": case.framework,
        "environment": case.environment,
        "mode": case.mode,
        "dtype": outcome.dtype or case.dtype,
        "attention": case.attention,
        "execution": outcome.execution or case.execution.replace("default", ""),
        "device": outcome.device,
        "batch": str(case.batch_size),
        "length": "" if case.sequence_length is None else str(case.sequence_length),
        "status": outcome.status.value,
        "time": "" if timing is None else _time(timing),
        "samples/s": rate(case.batch_size),
        "tokens/s": rate(tokens),
        "peak MiB": mib(None if memory is None else memory.peak),
        "weights MiB": mib(None if memory is None else memory.weights),
        "activations MiB": mib(None if memory is None else memory.activations),
    }


def _time(timing: Timing) -> str:
    """The median with the wider half of its interval: 4.50 s ±1.3%; a noisy one with its ends."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if timing.median_s >= scale or unit == "µs":
            break
    text = f"{_rounded(timing.median_s / scale)} {unit}"
    if timing.ci_low_s is None or timing.ci_high_s is None:
        return f"{text} noisy"
    if timing.noisy:
        low, high = (_rounded(end / scale) for end in (timing.ci_low_s, timing.ci_high_s))
        return f"{text} [{low}, {high}] noisy"
    half = max(timing.ci_high_s - timing.median_s, timing.median_s - timing.ci_low_s)
    return f"{text} ±{half / timing.median_s:.1%}"


def _rounded(value: float) -> str:
    """Three significant digits, or the whole number where it has more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def failures(results: Iterable[Result]) -> list[tuple[str, str]]:
    """Each reason once, with the cases that it is true of."""
    cases: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome.status == "ok":
            continue
        cases[result.outcome.status.value, result.outcome.reason].append(result)
    said = []
    for (status, reason), results in cases.items():
        label = results[0].case.label
        if len(results) > 1:
            label += f" and {len(results) - 1} more"
        said.append((f"{status}: {label}", reason))
    return said


def footer(frame: pd.DataFrame) -> str:
    """The machine and the versions of an environment frame, in one line."""
    environment: dict[Any, Any] = frame[frame.columns[0]].to_dict()
    cores = environment.get("threads") or environment.get("cpu_cores_usable")
    parts = [
        environment.get("gpu") if environment.get("use_gpu") else environment.get("cpu"),
        counted(cores, "thread") if cores else None,
    ]
    versions: dict[str, dict[str, None]] = defaultdict(dict)  # in order, each once
    for _, column in frame.items():
        versions[str(column.get("framework") or "")][str(column.get("framework_version"))] = None
        versions["transformers"][str(column.get("transformers_version") or "")] = None
    parts += [
        f"{name} {', '.join(filter(None, told))}"
        for name, told in versions.items()
        if name and any(told)
    ]
    parts.append(f"nbbench {environment.get('nbbench_version')}")
    load = environment.get("other_load_cores") or 0.0
    if load >= _LOAD_TO_TELL:
        parts.append(f"other processes kept {counted(f'{load:.2g}', 'core')} busy meanwhile")
    return " · ".join(str(part) for part in parts if part)
