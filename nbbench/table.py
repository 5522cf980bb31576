"""A report as a person reads it: one compact table, then what failed, then the machine."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING, Any

from .case import Result, Timing

if TYPE_CHECKING:
    import pandas as pd

    from .report import Report

_ALWAYS = ("model", "batch", "length")


def as_text(report: Report) -> str:
    """The report for a terminal."""
    if not report.results:
        return "an empty report: no case was run"
    parts = [_summary(report).to_string(index=False)]
    parts += [f"{label}: {reason}" for label, reason in _failures(report)]
    parts.append(_footer(report))
    return "\n".join(parts)


def as_html(report: Report) -> str:
    """The report for a notebook; it needs no script."""
    if not report.results:
        return "<p>an empty report: no case was run</p>"
    failures = "".join(
        f"<li><b>{escape(label)}</b>: {escape(reason)}</li>" for label, reason in _failures(report)
    )
    table = _summary(report).to_html(index=False, escape=True, border=0)
    environment = report.environment.to_html(escape=True, border=0, header=True)
    return (
        f"<div>{table}"
        + (f"<ul>{failures}</ul>" if failures else "")
        + f"<details><summary>{escape(_footer(report))}</summary>{environment}</details></div>"
    )


def _summary(report: Report) -> pd.DataFrame:
    """The columns that matter, as text; those that are the same for all cases stay out."""
    import pandas as pd

    rows = [_row(result) for result in report.results]
    shown = [
        name
        for name in rows[0]
        if name in _ALWAYS
        or (name in _VARYING and len({row[name] for row in rows} - {""}) > 1)
        or (name not in _VARYING and any(row[name] for row in rows))
    ]
    if all(result.outcome.status == "ok" for result in report.results):
        shown = [name for name in shown if name != "status"]
    return pd.DataFrame([{name: row[name] for name in shown} for row in rows])


_VARYING = ("framework", "environment", "mode", "dtype", "attention", "execution", "device")


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
        "time": "" if timing is None else _time(timing),
        "samples/s": rate(case.batch_size),
        "tokens/s": rate(tokens),
        "peak MiB": mib(None if memory is None else memory.peak),
        "weights MiB": mib(None if memory is None else memory.weights),
        "activations MiB": mib(None if memory is None else memory.activations),
        "status": outcome.status.value,
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


def _failures(report: Report) -> list[tuple[str, str]]:
    """Each reason once, with the cases that it is true of."""
    cases: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in report.failures:
        cases[result.outcome.status.value, result.outcome.reason].append(result)
    said = []
    for (status, reason), results in cases.items():
        label = results[0].case.label
        if len(results) > 1:
            label += f" and {len(results) - 1} more"
        said.append((f"{status}: {label}", reason))
    return said


def _footer(report: Report) -> str:
    """The machine and the versions, in one line."""
    frame = report.environment
    environment: dict[Any, Any] = frame[frame.columns[0]].to_dict()
    cores = environment.get("threads") or environment.get("cpu_cores_usable")
    parts = [
        environment.get("gpu") if environment.get("use_gpu") else environment.get("cpu"),
        f"{cores} threads" if cores else None,
    ]
    versions: dict[str, dict[str, None]] = defaultdict(dict)  # in order, each once
    for _, column in frame.items():
        versions[str(column.get("framework") or "")][str(column.get("framework_version"))] = None
        versions["transformers"][str(column.get("transformers_version") or "")] = None
    parts += [f"{name} {', '.join(filter(None, told))}" for name, told in versions.items() if name]
    parts.append(f"nbbench {environment.get('nbbench_version')}")
    return " · ".join(str(part) for part in parts if part)
