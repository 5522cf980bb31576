"""A report's DataFrames from its results: one row a case, units in the columns' names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..plan.result import Result
from ..text import MIB
from ..worker.case import AXES
from ..worker.memory_profile import LineTrace
from ..worker.timing import Timing
from .environment import EnvironmentFacts
from .estimates import cost_per_million_tokens, cost_per_thousand_samples, time_of_call
from .own_columns import NOTHING, Added
from .ranks import peaks_of_ranks, scaling_efficiency, times_of_one_rank
from .roofline import share_row

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("model", "batch_size", "sequence_length")

_MEASURED = (
    # time
    "median_s", "ci_low_s", "ci_high_s", "noisy", "samples_per_s", "tokens_per_s",
    "real_tokens_per_s", "scaling_efficiency",
    "latency_s", "ttft_s", "ttft_ci_low_s", "ttft_ci_high_s", "tpot_s", "tpot_ci_low_s",
    "tpot_ci_high_s", "between_tokens_p50_s", "between_tokens_p90_s", "between_tokens_p99_s",
    "prefill_tokens_per_s", "decode_tokens_per_s",
    "cost_per_million_tokens", "cost_per_thousand_samples",
    "min_s", "mean_s", "std_s", "p90_s", "p99_s", "n", "visits", "interval", "between_s",
    "within_s", "drift", "throttled", "throttle_reasons", "gpu_clock_before_mhz",
    "gpu_clock_after_mhz", "gpu_temperature_before_c", "gpu_temperature_after_c", "first_call_s",
    "forward_s", "backward_s", "optimizer_s", "build_s", "export_s", "wall_s", "compile_cold_s",
    "compile_warm_s", "graph_breaks", "recompilations", "break_even_calls",
    "energy_per_call_j", "energy_per_token_j", "power_w", "idle_power_w", "energy_source",
    "flops", "tflops", "gib_per_s", "ceiling_tflops", "ceiling_gib_per_s", "of_ceiling", "bound_by",
    # memory
    "peak_mib", "peak_per_rank_mib", "weights_mib", "activations_mib", "baseline_mib",
    "parameters", "parameters_mib", "gradients_mib",
    "forward_peak_mib", "backward_peak_mib", "optimizer_peak_mib",
    "kv_cache_mib", "load_peak_mib", "prefill_peak_mib", "decode_peak_mib",
    "tensors_peak_mib", "predicted_peak_mib",
    "reserved_mib", "process_mib", "traced_s", "method",
    # memory line by line
    "step", "file", "line_number", "cpu_mib", "gpu_mib", "held_cpu_mib", "held_gpu_mib", "line",
)  # fmt: skip
"""What was measured, in the order of the columns: right after the model, the batch and the length.

A new column is added here by name. What else a case has stands behind it.
"""

_POSITIONS = {name: number for number, name in enumerate((*_FIRST, *_MEASURED))}

_WHOLE = (
    "sequence_length", "new_tokens", "ranks", "n", "visits", "parameters", "graph_breaks",
    "recompilations", "break_even_calls", "gpu_clock_before_mhz", "gpu_clock_after_mhz",
    "gpu_temperature_before_c", "gpu_temperature_after_c", "flops", "searched_runs",
)  # fmt: skip
_BOOLEANS = ("noisy", "throttled")
_TEXTS = ("peak_per_rank_mib",)
_NUMBERS = (
    "_s", "_mib", "_j", "_w", "drift", "cost_per_million_tokens", "cost_per_thousand_samples",
    "tflops", "of_ceiling", "scaling_efficiency",
)  # fmt: skip
"""Endings of the columns that are numbers, missing ones included."""


def speed_frame(results: Sequence[Result], added: Added = NOTHING) -> pd.DataFrame:
    """Time of each case, in seconds."""
    eager, alone = _eager_times(results), times_of_one_rank(results)
    rows = [speed_row(result, eager, added.price_per_hour, alone) for result in results]
    return added.in_frame(_frame(rows), results)


def memory_frame(results: Sequence[Result], added: Added = NOTHING) -> pd.DataFrame:
    """Memory of each case, in MiB."""
    return added.in_frame(_frame([memory_row(result) for result in results]), results)


def speed_row(
    result: Result,
    eager: Mapping[tuple[Any, ...], Timing] | None = None,
    price_per_hour: float | None = None,
    alone: Mapping[tuple[Any, ...], float] | None = None,
) -> dict[str, Any]:
    """A row of `speed_frame`.

    ``eager`` are the times that compiled cases are compared with, and ``alone`` those of one rank.
    """
    compared = {
        "break_even_calls": _break_even_calls(result, eager or {}),
        "scaling_efficiency": scaling_efficiency(result, alone or {}),
    }
    costs = _costs(result, price_per_hour)
    return _ordered({**_identity(result), **_speed(result), **costs, **compared})


def memory_row(result: Result) -> dict[str, Any]:
    """A row of `memory_frame`."""
    return _ordered({**_identity(result), **_memory(result)})


def lines_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Memory of each line that each traced case ran, in MiB; no rows where none was traced."""
    rows = [
        _ordered({**axes, **row})
        for result in results
        if result.outcome.lines is not None
        for axes in [
            {**{axis.name: result.value(axis) for axis in AXES}, "node": result.outcome.node}
        ]
        for row in _line_rows(result.outcome.lines)
    ]
    return _frame(rows)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How cells begin that a spreadsheet takes for formulas."""


def harmless_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame for a spreadsheet: text that would be run as a formula has an apostrophe before."""
    safe = frame.rename(index=harmless, columns=harmless)
    for name in safe.columns:
        if safe[name].dtype == object or str(safe[name].dtype).startswith("str"):
            safe[name] = safe[name].map(harmless)
    return safe


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def environment_frame(facts: Sequence[EnvironmentFacts]) -> pd.DataFrame:
    """Machine, versions and settings: one row a key, one column an environment."""
    import pandas as pd

    count = Counter(each.framework for each in facts)
    columns = {
        each.framework
        if count[each.framework] == 1
        else f"{each.framework} ({each.environment})": each.rows()
        for each in facts
    }
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    return pd.DataFrame(
        {name: [column.get(key) for key in keys] for name, column in columns.items()},
        index=pd.Index(keys, name="key"),
        dtype=object,
    )


def _line_rows(trace: LineTrace) -> list[dict[str, Any]]:
    """One row for each line that ran, in order; memory in MiB, None where there is no GPU."""
    on_gpu = trace.end[1] is not None
    rows = []
    for number, (index, (cpu, gpu), (held, held_gpu)) in enumerate(trace.changes(), 1):
        line = trace.lines[index]
        rows.append(
            {
                "step": number,
                "file": line.file,
                "line_number": line.number,
                "cpu_mib": cpu / MIB,
                "gpu_mib": gpu / MIB if on_gpu else None,
                "held_cpu_mib": held / MIB,
                "held_gpu_mib": held_gpu / MIB if on_gpu else None,
                "line": line.text,
            }
        )
    return rows


def _identity(result: Result) -> dict[str, Any]:
    case, outcome = result.case, result.outcome
    limit = outcome.memory_limit or case.memory_limit
    return {
        **{axis.name: result.value(axis) for axis in AXES},
        "architecture": outcome.architecture,
        "modalities": outcome.modalities or case.modalities,
        "device": outcome.device or case.device,
        "node": outcome.node,
        "searched_runs": outcome.searched_runs,
        "memory_limit_mib": None if limit is None else limit / MIB,
        "config_source": case.config_source,
        "lengths": case.lengths,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "phase": "" if outcome.phase is None else outcome.phase.value,
    }


def _speed(result: Result) -> dict[str, Any]:
    outcome, timing = result.outcome, result.outcome.timing
    names = (
        "median_s", "ci_low_s", "ci_high_s", "min_s", "mean_s", "std_s", "p90_s", "p99_s", "n",
        "noisy", "throttled", "first_call_s", "between_s", "within_s", "drift", "interval",
    )  # fmt: skip
    drawn = {name: None if timing is None else getattr(timing, name) for name in names}
    per_second = None if timing is None else 1 / timing.median_s
    tokens, real = outcome.tokens_per_call, outcome.real_tokens_per_call
    phases = {} if timing is None else timing.phases
    return {
        **drawn,
        "visits": None if timing is None else len(timing.visits),
        **{f"{name}_s": phases.get(name) for name in ("forward", "backward", "optimizer")},
        "build_s": outcome.build_s,
        "export_s": outcome.export_s,
        "wall_s": outcome.wall_s,
        "samples_per_s": None if per_second is None else result.case.batch_size * per_second,
        "tokens_per_s": None if per_second is None or tokens is None else tokens * per_second,
        "real_tokens_per_s": None if per_second is None or real is None else real * per_second,
        **_of_tokens(result),
        **_of_compiling(timing),
        **_energy(result),
        **share_row(result),
        **_gpu_states(timing),
    }


def _costs(result: Result, price_per_hour: float | None) -> dict[str, float | None]:
    """Money for tokens and for samples, by the machine's price."""
    costs = {
        "cost_per_million_tokens": cost_per_million_tokens(result, price_per_hour),
        "cost_per_thousand_samples": cost_per_thousand_samples(result, price_per_hour),
    }
    return {name: None if cost is None else cost.value for name, cost in costs.items()}


def _energy(result: Result) -> dict[str, Any]:
    """Joules of a call and of each token that is no padding (in generation: that it makes)."""
    energy, case = result.outcome.energy, result.case
    tokens = result.outcome.real_tokens_per_call
    if case.new_tokens is not None:
        tokens = case.batch_size * case.new_tokens
    elif tokens is None:
        tokens = result.outcome.tokens_per_call
    call_j = None if energy is None else energy.joules_per_call
    return {
        "energy_per_call_j": call_j,
        "energy_per_token_j": call_j / tokens if call_j is not None and tokens else None,
        "power_w": None if energy is None else energy.watts,
        "idle_power_w": None if energy is None else energy.idle_w,
        "energy_source": "" if energy is None else energy.source,
    }


def _of_compiling(timing: Timing | None) -> dict[str, Any]:
    """What compiling took, and what torch.compile counts; graph breaks are the first visit's."""
    return {
        "compile_cold_s": None if timing is None else timing.compile_s("cold"),
        "compile_warm_s": None if timing is None else timing.compile_s("warm"),
        "graph_breaks": None if timing is None else timing.visits[0].graph_breaks,
        "recompilations": None if timing is None else timing.recompilations,
    }


def _break_even_calls(result: Result, eager: Mapping[tuple[Any, ...], Timing]) -> int | None:
    """After how many calls a compiled case has made up for what compiling it took, cold.

    It is compared with the ``eager`` one that is alike but for the execution; None where there is
    none, or where it is not sure that the compiled one is faster: their intervals meet, which are
    wider where they are of one process each.
    """
    timing = result.outcome.timing
    cold_s = None if timing is None else timing.compile_s("cold")
    other = eager.get(_but_for_execution(result))
    if timing is None or cold_s is None or other is None:
        return None
    if time_of_call(timing).high >= time_of_call(other).low:
        return None
    return math.ceil(cold_s / (other.median_s - timing.median_s))


def _eager_times(results: Iterable[Result]) -> dict[tuple[Any, ...], Timing]:
    """The times of the cases that ran eagerly, by all else that they are."""
    return {
        _but_for_execution(result): result.outcome.timing
        for result in results
        if result.outcome.timing is not None and result.outcome.execution == "eager"
    }


def _but_for_execution(result: Result) -> tuple[Any, ...]:
    """What is alike in cases whose executions are compared, the machine included."""
    names = ("execution", "compile_mode")
    others = (axis.value(result.case) for axis in AXES if axis.name not in names)
    return (result.outcome.node, *others)


def _of_tokens(result: Result) -> dict[str, Any]:
    """Generation by token; the prompt is counted into prefill alone, and never into decode."""
    timing, prompt = result.outcome.timing, result.outcome.prompt_tokens
    tokens = None if timing is None else timing.tokens
    first, each = (None, None) if tokens is None else (tokens.first, tokens.each)
    row: dict[str, Any] = {"latency_s": None if tokens is None else timing and timing.median_s}
    for name, time in (("ttft", first), ("tpot", each)):
        row[f"{name}_s"] = None if time is None else time.median_s
        row[f"{name}_ci_low_s"] = None if time is None else time.ci_low_s
        row[f"{name}_ci_high_s"] = None if time is None else time.ci_high_s
    for name in ("p50_s", "p90_s", "p99_s"):
        row[f"between_tokens_{name}"] = None if tokens is None else getattr(tokens, name)
    row["prefill_tokens_per_s"] = prompt / first.median_s if first and prompt else None
    row["decode_tokens_per_s"] = result.case.batch_size / each.median_s if each else None
    return row


def _gpu_states(timing: Timing | None) -> dict[str, Any]:
    """The GPU before the first sample of the first visit, and after the last one of the last."""
    first = None if timing is None else timing.visits[0].gpu_before
    last = None if timing is None else timing.visits[-1].gpu_after
    return {
        "throttle_reasons": "" if timing is None else ", ".join(timing.throttle or ()),
        "gpu_clock_before_mhz": None if first is None else first.clock_mhz,
        "gpu_clock_after_mhz": None if last is None else last.clock_mhz,
        "gpu_temperature_before_c": None if first is None else first.temperature_c,
        "gpu_temperature_after_c": None if last is None else last.temperature_c,
    }


def _memory(result: Result) -> dict[str, Any]:
    memory = result.outcome.memory
    names = (
        "baseline", "parameters", "weights", "activations", "peak", "reserved", "process",
        "gradients",
    )  # fmt: skip
    taken = {name: None if memory is None else getattr(memory, name) for name in names}
    for name in ("forward", "backward", "optimizer", "prefill", "decode"):
        taken[f"{name}_peak"] = None if memory is None else memory.phases.get(name)
    taken["kv_cache"] = None if memory is None else memory.cache
    taken["load_peak"] = None if memory is None else memory.loading
    count, prediction = result.outcome.count, result.outcome.prediction
    taken["tensors_peak"] = None if count is None else count.peak
    taken["predicted_peak"] = None if prediction is None else prediction.call.peak
    return {
        **{f"{name}_mib": None if size is None else size / MIB for name, size in taken.items()},
        "parameters": result.outcome.parameter_count,
        "peak_per_rank_mib": "" if memory is None else peaks_of_ranks(memory),
        "traced_s": None if result.outcome.lines is None else result.outcome.lines.traced_s,
        "method": "" if memory is None else memory.method,
    }


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    """A row in the order of the columns: first what it is of, what was measured, and the rest."""
    behind = len(_POSITIONS)
    names = sorted(
        row, key=lambda name: _POSITIONS.get(name, behind)
    )  # which keeps the others' order
    return {name: row[name] for name in names}


def _constants_last(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose columns behind the measured ones vary first, and are then the same for all."""
    others = [name for name in frame.columns if name not in _POSITIONS]
    varying = [name for name in others if frame[name].nunique(dropna=False) > 1]
    constant = [name for name in others if name not in varying]
    return frame[[*(name for name in frame.columns if name in _POSITIONS), *varying, *constant]]


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame whose column types do not depend on what is missing."""
    import pandas as pd

    frame = _constants_last(pd.DataFrame(rows))
    for name in frame.columns:
        if name in _WHOLE:
            frame[name] = frame[name].astype("Int64")
        elif name in _BOOLEANS:
            frame[name] = frame[name].astype("boolean")
        elif name.endswith(_NUMBERS) and name not in _TEXTS:
            frame[name] = frame[name].astype("float64")
    return frame
