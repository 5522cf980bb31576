"""A report as a person reads it: one compact table, then what failed, then the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..machine.health import BUSY_CORES, busy_sentence
from ..plan.result import Result
from ..text import MIB, counted, mebibytes, one_line, printed_width, rounded, time_unit
from ..worker.case import AXES, Axis, Status
from ..worker.timing import Timing, TokenTime
from .differences import Differences
from .environment import EnvironmentFacts
from .layout import Table, column_widths, fit
from .own_columns import NOTHING, Added
from .roofline import NO_CEILINGS, Share
from .verdict import Difference, ratio_text

_MIN_LOAD = 0.1
"""Cores; less than that is what a system does for itself."""

_MAX_MACHINES = 4
"""Machines of one report that are named in a line."""

_MAX_TIMES = 10
"""An interval that ends farther than so many times the time off says nothing; frames have it."""

_ALWAYS = ("model", "batch", "length")


EMPTY = "an empty report: no case was run"


def as_text(
    results: Sequence[Result],
    facts: Sequence[EnvironmentFacts],
    differences: Differences | None = None,
    width: int | None = None,
    added: Added = NOTHING,
) -> str:
    """The report for a terminal, its tables at most ``width`` wide; None is no limit."""
    if not results:
        return EMPTY
    table = summary(results, differences, added)
    parts = [caution(facts)]
    if table.rows:
        layout = fit(table, width)
        parts += ["\n\n".join(map(table_lines, layout.tables)), layout.note]
    parts += [f"{label}: {reason}" for label, reason in remarks(results)]
    traces = [r.outcome.lines for r in results if r.outcome.lines is not None]
    if traces:
        rows = sum(len(trace.steps) for trace in traces)
        cut = sum(not trace.whole for trace in traces)
        of_all = f"; {counted(cut, 'case')} ran more lines than are kept" if cut else ""
        parts.append(
            f"memory line by line: {rows:,} rows in report.lines (--csv, --tables){of_all}"
        )
    parts.append(footer(facts))
    return "\n".join(filter(None, parts))


def table_lines(table: Table) -> str:
    """A table as lines, its columns at the right."""
    widths = column_widths(table)
    return "\n".join(
        " ".join(
            " " * (width - printed_width(cell)) + cell
            for cell, width in zip(row, widths, strict=True)
        )
        for row in [table.heads, *table.rows]
    )


def begun_results(results: Sequence[Result]) -> list[Result]:
    """The results that have rows: those that were not begun have one line, below the table."""
    return [result for result in results if result.outcome.status is not Status.SKIPPED]


def summary(
    results: Sequence[Result], differences: Differences | None = None, added: Added = NOTHING
) -> Table:
    """The columns that matter of the cases that were begun; what is the same for all stays out."""
    begun = begun_results(results)
    asked = _asked_for(begun)
    rows = [
        {**row_of_texts(result), **_named_defaults(result, asked), **added.cells(result)}
        for result in begun
    ]
    if not rows:
        return Table([], [])
    if differences is not None:
        known = {(each.case, each.node): each for each in differences.each}
        rows = [
            _with_verdict(row, known.get((result.case, result.outcome.node)))
            for row, result in zip(rows, begun, strict=True)
        ]
    ok = all(result.outcome.status is Status.OK for result in begun)
    searched = any(result.outcome.searched_runs is not None for result in begun)
    shown = [
        name
        for name in rows[0]
        if name in _ALWAYS
        or name in asked
        or (name in _VARYING and len({row[name] for row in rows} - {""}) > 1)
        or (name not in _VARYING and any(row[name] for row in rows))
        or (name == "new tokens" and searched and any(row[name] for row in rows))
    ]
    shown = [name for name in shown if not (ok and name == "status")]
    if all(row["real tokens/s"] == row["tokens/s"] for row in rows):  # nothing is padded
        shown = [name for name in shown if name != "real tokens/s"]
    keys = tuple(name for name in shown if name in (*_ALWAYS, *_VARYING))
    return Table(shown, [[row[name] for name in shown] for row in rows], keys)


def _asked_for(results: Sequence[Result]) -> dict[str, Axis]:
    """The axes of which several values were asked for, by their heads.

    A value that is missing goes with another axis, as an eager case has no mode of torch.compile.
    """
    cases = [result.case for result in results]
    return {
        axis.head: axis
        for axis in AXES
        if len({axis.value(case) for case in cases} - {None, ""}) > 1
    }


def _named_defaults(result: Result, axes: Mapping[str, Axis]) -> dict[str, str]:
    """The cells of a default that stands beside other values."""
    return {head: "default" for head, axis in axes.items() if result.value(axis) == "default"}


_SIZES = ("batch", "length")

_VARYING = (*(axis.head for axis in AXES if axis.head not in ("model", *_SIZES)), "device", "node")

RATES = ("samples/s", "tokens/s", "real tokens/s", "decode tokens/s")
"""Columns that follow from others, which a narrow page goes without."""

TEXT_COLUMNS = ("model", *_VARYING, "status")
"""Columns of text, which stand at the left."""


def row_of_texts(result: Result) -> dict[str, str]:
    """Every column of the table for a result, those included that are not shown."""
    case, outcome = result.case, result.outcome
    timing, memory = outcome.timing, outcome.memory
    tokens, real = outcome.tokens_per_call, outcome.real_tokens_per_call

    def rate(count: int | None) -> str:
        return "" if timing is None or count is None else rounded(count / timing.median_s)

    texts = axis_texts({axis.head: result.value(axis) for axis in AXES})
    return {
        **{head: text for head, text in texts.items() if head not in _SIZES},
        "device": one_line(outcome.device),
        "node": one_line(outcome.node),
        **{head: texts[head] for head in _SIZES},
        "status": outcome.status.value,
        "time": "" if timing is None else _marked_time(timing),
        **_of_tokens(result),
        "compiling": _compiling(timing),
        "samples/s": rate(case.batch_size),
        "tokens/s": rate(tokens),
        "real tokens/s": rate(real),
        "peak MiB": mebibytes(None if memory is None else memory.peak),
        "weights MiB": mebibytes(None if memory is None else memory.weights),
        "activations MiB": mebibytes(None if memory is None else memory.activations),
        "KV cache MiB": "" if memory is None or not memory.cache else rounded(memory.cache / MIB),
        "J a call": "" if outcome.energy is None else rounded(outcome.energy.joules_per_call),
        "of ceiling": _of_ceiling(result),
    }


def axis_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values by the heads of their axes as texts; empty where one is not worth a column."""
    return {
        head: "" if value in _usual(head) else one_line(str(value))
        for head, value in values.items()
    }


def _of_ceiling(result: Result) -> str:
    """The part of the roofline that is reached, and what bounds the case."""
    share = Share.of(result)
    if share is None or share.of_ceiling is None:
        return ""
    return f"{_percent(share.of_ceiling)} %, {share.bound_by}"


def _percent(share: float) -> str:
    """A share in per cent with two digits, and never as a power of ten."""
    return f"{100 * share:.2g}" if share < 0.995 else f"{100 * share:.0f}"


def _of_tokens(result: Result) -> dict[str, str]:
    """Generation: the time to the first token, of each after it, and how many come in a second."""
    timing = result.outcome.timing
    tokens = None if timing is None else timing.tokens
    each = None if tokens is None else tokens.each
    return {
        "first token": "" if tokens is None else _time_of_token(tokens.first),
        "each token": "" if each is None else _time_of_token(each),
        "decode tokens/s": "" if each is None else rounded(result.case.batch_size / each.median_s),
    }


def _time_of_token(time: TokenTime) -> str:
    """The median with the wider half of its interval: 4.50 ms ±1.3%; noisy if that is as wide."""
    unit, scale = time_unit(time.median_s)
    text = f"{rounded(time.median_s / scale)} {unit}"
    if time.ci_low_s is None or time.ci_high_s is None:
        return text
    half = max(time.ci_high_s - time.median_s, time.median_s - time.ci_low_s)
    return f"{text} ±{half / time.median_s:.1%}" if half < time.median_s else f"{text} noisy"


def _usual(head: str) -> tuple[str | None, ...]:
    """Values that are not shown; a mode of torch.compile is, since other executions have none."""
    return (None,) if head == "compile mode" else (None, "default")


def _compiling(timing: Timing | None) -> str:
    """What compiling took: cold, and once it was found compiled."""
    cold_s, warm_s = (
        None if timing is None else timing.compile_s(kind) for kind in ("cold", "warm")
    )
    if cold_s is None:
        return ""
    return f"{rounded(cold_s)} s" + ("" if warm_s is None else f", warm {rounded(warm_s)} s")


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
    """The time, and that the GPU's clock was lowered meanwhile, or that code was compiled."""
    marks = [
        "throttled" if timing.throttled else "",
        "recompiled" if timing.recompilations else "",
    ]
    return " ".join(filter(None, [_time(timing), *marks]))


def _time(timing: Timing) -> str:
    """The median with the wider half of its interval: 4.50 s ±1.3%; a noisy one with its ends."""
    unit, scale = time_unit(timing.median_s)
    text = f"{rounded(timing.median_s / scale)} {unit}"
    if timing.ci_low_s is None or timing.ci_high_s is None:
        return f"{text} noisy"
    if timing.ci_high_s > _MAX_TIMES * timing.median_s:
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
        label = one_line(results[0].case.label)
        if len(results) > 1:
            label += f" and {len(results) - 1:,} more"
        listed.append((f"{status}: {label}", one_line(reason)))
    return listed


def remarks(results: Sequence[Result]) -> list[tuple[str, str]]:
    """What is below the table: why cases failed, and what was asked for and could not be had."""
    asked = [r for r in results if r.case.energy and r.outcome.status is Status.OK]
    listed = failures(results)
    if asked and not any(result.outcome.energy for result in asked):
        what = "neither a GPU's driver nor the processor (RAPL) counts it here"
        listed.append(("energy is missing", what))
    listed += [
        (f"searched: {one_line(r.case.label)}", one_line(r.outcome.reason))
        for r in results
        if r.outcome.searched_runs is not None and r.outcome.status is Status.OK
    ]
    why = [r.outcome.reason.partition(NO_CEILINGS)[2] for r in results]
    listed += [("ceilings are missing", each) for each in dict.fromkeys(filter(None, why))]
    return listed


def caution(facts: Sequence[EnvironmentFacts]) -> str:
    """What must be known before the times are read: what else ran meanwhile; empty for nothing."""
    machines = list(dict.fromkeys(each.machine for each in facts))
    busy = [busy_sentence(each.other_load_cores, each.own_load_cores) for each in machines]
    parts = busy if len(machines) == 1 else [_busy_machines(facts)]
    if any(machine.beside_another for machine in machines):
        parts.append("another benchmark ran on the same device: run it again without --no-wait")
    return " · ".join(filter(None, parts))


def _busy_machines(facts: Sequence[EnvironmentFacts]) -> str:
    """Which of several machines were busy with something else; empty for none."""
    loads = {each.environment: each.machine for each in facts}
    busy = [
        one_line(label)
        for label, machine in loads.items()
        if busy_sentence(machine.other_load_cores, machine.own_load_cores)
    ]
    if not busy:
        return ""
    more = f" and {len(busy) - _MAX_MACHINES:,} more" if len(busy) > _MAX_MACHINES else ""
    listed = f"{', '.join(busy[:_MAX_MACHINES])}{more}"
    return f"busy machines, whose times are longer and less sure: {listed}"


def footer(facts: Sequence[EnvironmentFacts]) -> str:
    """The machine and the versions, in one line."""
    first = facts[0]
    machine = first.machine
    threads = first.threads or machine.cpu_cores_usable
    known_names = (each.gpu.gpu if each.uses_gpu else each.machine.cpu for each in facts)
    names = list(dict.fromkeys(filter(None, known_names)))
    parts: list[str | None] = [", ".join(names[:_MAX_MACHINES])]
    if len(names) > _MAX_MACHINES:
        parts = [f"{parts[0]} and {len(names) - _MAX_MACHINES:,} more"]
    elif len(names) < 2 and threads:
        parts.append(counted(threads, "thread"))
    versions: dict[str, dict[str, None]] = defaultdict(dict)  # in order, each once
    for each in facts:
        versions[each.framework_name][each.framework_version] = None
        versions["transformers"][each.transformers_version] = None
    parts += [
        f"{name} {', '.join(filter(None, known))}"
        for name, known in versions.items()
        if name and any(known)
    ]
    own = dict.fromkeys(str(each.machine.nbbench_version) for each in facts)
    parts.append(f"nbbench {', '.join(own)}")
    alone = all(each.machine == machine for each in facts)
    load = (alone and machine.other_load_cores) or 0.0
    if _MIN_LOAD <= load < BUSY_CORES:  # more than that is above the table
        parts.append(f"other processes kept {counted(f'{load:.2g}', 'core')} busy meanwhile")
    return " · ".join(one_line(str(part)) for part in parts if part)
