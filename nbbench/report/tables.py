"""A report as a person reads it: one compact table, then what failed, then the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..plan.cases import AXES, Result, Status, Timing
from ..text import counted, mebibytes, rounded, time_unit
from .differences import Difference, Differences, ratio_text
from .environment import EnvironmentFacts

_MIN_LOAD = 0.1
"""Cores; less than that is what a system does for itself."""

_ALWAYS = ("model", "batch", "length")


def as_text(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    differences: Differences | None = None,
) -> str:
    """The report for a terminal."""
    import pandas as pd

    if not results:
        return "an empty report: no case was run"
    heads, rows = summary(begun_results(results), differences)
    parts = [pd.DataFrame(rows, columns=heads).to_string(index=False)]
    parts += [f"{label}: {reason}" for label, reason in failures(results)]
    traced = sum(len(r.outcome.lines.steps) for r in results if r.outcome.lines)
    if traced:
        parts.append(f"memory line by line: {traced:,} rows in report.lines (--csv, --tables)")
    parts.append(footer(facts))
    return "\n".join(parts)


def as_markdown(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    differences: Differences | None = None,
) -> str:
    """The report as a Markdown table, with what failed below it."""
    if not results:
        return "an empty report: no case was run"
    heads, rows = summary(begun_results(results), differences)
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = ([_markdown(cell).replace("|", r"\|") for cell in line] for line in lines)
    table = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    lines_below = [
        f"- **{_markdown(label)}**: {_markdown(reason)}" for label, reason in failures(results)
    ]
    return "\n\n".join(filter(None, [table, "\n".join(lines_below), footer(facts)]))


def as_latex(results: Sequence[Result]) -> str:
    """The report as a LaTeX table, for the package booktabs."""
    if not results:
        return "an empty report: no case was run"
    heads, rows = summary(results)
    align = "".join("l" if head in TEXT_COLUMNS else "r" for head in heads)
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in [heads, *rows]]
    body = [lines[0], r"\midrule", *lines[1:]]
    return "\n".join(
        [rf"\begin{{tabular}}{{{align}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]
    )


def _markdown(text: str) -> str:
    """Text of which nothing is taken for HTML, or breaks out of its cell."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ").replace("\r", " ")


def _latex(text: str) -> str:
    """A cell with what LaTeX would take for a command escaped."""
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "µ": r"$\mu$", "×": r"$\times$"}
    special |= {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    special |= {sign: rf"\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in text)


def begun_results(results: Sequence[Result]) -> Sequence[Result]:
    """The results that have rows: those that were not begun have one line, below the table."""
    begun = [result for result in results if result.outcome.status is not Status.SKIPPED]
    return begun or results


def summary(
    results: Sequence[Result], differences: Differences | None = None
) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the columns that matter; those that are the same for all stay out."""
    rows = [_row(result) for result in results]
    if differences is not None:
        known = {difference.case: difference for difference in differences.each}
        rows = [
            _with_verdict(row, known.get(result.case))
            for row, result in zip(rows, results, strict=True)
        ]
    ok = all(result.outcome.status is Status.OK for result in results)
    shown = [
        name
        for name in rows[0]
        if name in _ALWAYS
        or (name in _VARYING and len({row[name] for row in rows} - {""}) > 1)
        or (name not in _VARYING and any(row[name] for row in rows))
    ]
    shown = [name for name in shown if not (ok and name == "status")]
    return shown, [[row[name] for name in shown] for row in rows]


_SIZES = ("batch", "length")

_VARYING = (*(axis.head for axis in AXES if axis.head not in ("model", *_SIZES)), "device")

TEXT_COLUMNS = ("model", *_VARYING, "status")
"""Columns of text, which stand at the left."""


def _row(result: Result) -> dict[str, str]:
    case, outcome = result.case, result.outcome
    timing, memory = outcome.timing, outcome.memory
    tokens = outcome.tokens_per_call

    def rate(count: int | None) -> str:
        return "" if timing is None or count is None else rounded(count / timing.median_s)

    values = {axis.head: result.value(axis) for axis in AXES}
    texts = {
        head: "" if value in (None, "default") else str(value) for head, value in values.items()
    }
    return {
        **{head: text for head, text in texts.items() if head not in _SIZES},
        "device": outcome.device,
        **{head: texts[head] for head in _SIZES},
        "status": outcome.status.value,
        "time": "" if timing is None else _marked_time(timing),
        "samples/s": rate(case.batch_size),
        "tokens/s": rate(tokens),
        "peak MiB": mebibytes(None if memory is None else memory.peak),
        "weights MiB": mebibytes(None if memory is None else memory.weights),
        "activations MiB": mebibytes(None if memory is None else memory.activations),
    }


def _with_verdict(row: dict[str, str], difference: Difference | None) -> dict[str, str]:
    """A row with its ratio to the baseline and the verdict, right after the time."""
    verdict = {"ratio": "", "verdict": ""}
    if difference is not None:
        verdict = {"ratio": ratio_text(difference), "verdict": difference.verdict.value}
    wider: dict[str, str] = {}
    for name, text in row.items():
        wider[name] = text
        if name == "time":
            wider.update(verdict)
    return wider


def _marked_time(timing: Timing) -> str:
    """The time, and that the GPU's clock was lowered meanwhile."""
    return f"{_time(timing)} throttled" if timing.throttled else _time(timing)


def _time(timing: Timing) -> str:
    """The median with the wider half of its interval: 4.50 s ±1.3%; a noisy one with its ends."""
    unit, scale = time_unit(timing.median_s)
    text = f"{rounded(timing.median_s / scale)} {unit}"
    if timing.ci_low_s is None or timing.ci_high_s is None:
        return f"{text} noisy"
    if timing.noisy:
        low, high = (rounded(end / scale) for end in (timing.ci_low_s, timing.ci_high_s))
        return f"{text} [{low}, {high}] noisy"
    half = max(timing.ci_high_s - timing.median_s, timing.median_s - timing.ci_low_s)
    return f"{text} ±{half / timing.median_s:.1%}"


def failures(results: Iterable[Result]) -> list[tuple[str, str]]:
    """Each reason once, with the cases that it is true of."""
    cases: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome.status is Status.OK:
            continue
        cases[result.outcome.status.value, result.outcome.reason].append(result)
    listed = []
    for (status, reason), results in cases.items():
        label = results[0].case.label
        if len(results) > 1:
            label += f" and {len(results) - 1} more"
        listed.append((f"{status}: {label}", reason))
    return listed


def footer(facts: Sequence[EnvironmentFacts]) -> str:
    """The machine and the versions, in one line."""
    first = facts[0]
    machine = first.machine
    threads = first.threads or machine.cpu_cores_usable
    parts = [
        first.gpu.gpu if first.uses_gpu else machine.cpu,
        counted(threads, "thread") if threads else None,
    ]
    versions: dict[str, dict[str, None]] = defaultdict(dict)  # in order, each once
    for each in facts:
        versions[each.framework_name][each.framework_version] = None
        versions["transformers"][each.transformers_version] = None
    parts += [
        f"{name} {', '.join(filter(None, known))}"
        for name, known in versions.items()
        if name and any(known)
    ]
    parts.append(f"nbbench {machine.nbbench_version}")
    load = machine.other_load_cores or 0.0
    if load >= _MIN_LOAD:
        parts.append(f"other processes kept {counted(f'{load:.2g}', 'core')} busy meanwhile")
    return " · ".join(str(part) for part in parts if part)
