"""From arguments to cases: pure, with no I/O and no framework."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..arguments.searched import asked_for
from ..errors import ArgumentError
from ..text import quoted
from ..units import bytes_of, seconds_of
from ..worker.case import Case
from .models import ModelConfig
from .row_lengths import RowLengths, Rows, rows_of

MAX_CASES = 100_000
"""More than a run of a month, and than a report can hold."""


def expand(
    arguments: BenchmarkArguments,
    models: list[ModelConfig],
    interpreters: list[tuple[str, str]],
) -> list[Case]:
    """Every case that the arguments ask for, in the order in which to run them.

    ``interpreters`` are the frameworks, each with the label of an environment to run it in. Their
    cases stand together, and in them those of one model, so that a worker imports each once. A
    model that takes no sequence has one case for all lengths.
    """
    searched, of_all = arguments.searched, _of_all(arguments)
    arguments = _with_first_sizes(arguments)
    _refuse_what_serves_none(arguments, models)
    _refuse_too_many(arguments, models, interpreters)
    drawn_from = None if arguments.lengths is None else RowLengths.of(arguments.lengths)
    cases = []
    for each in itertools.product(
        interpreters,
        models,
        arguments.modes(),
        arguments.dtypes,
        arguments.quantizations,
        arguments.attentions,
        arguments.batch_sizes,
    ):
        (framework, environment), model, mode, dtype, quantization, attention, batch_size = each
        for way, (new_tokens, cache), (parallel, ranks), rows in itertools.product(
            arguments.compilations(framework),
            arguments.generations(mode),
            arguments.divisions(),
            rows_of(arguments, drawn_from, batch_size) if model.has_length(arguments) else [Rows()],
        ):
            execution, compile_mode = way
            cases.append(
                Case(
                    **of_all,
                    framework=framework,
                    model=model.name,
                    config=model.config,
                    config_source=model.source_with_code(arguments),
                    batch_size=batch_size,
                    sequence_length=rows.length,
                    new_tokens=new_tokens,
                    cache=cache,
                    padding=rows.padding,
                    lengths="" if drawn_from is None else drawn_from.label,
                    row_lengths=rows.lengths,
                    texts=rows.texts,
                    dtype=dtype,
                    quantization=quantization,
                    attention=attention,
                    environment=environment,
                    mode=mode,
                    optimizer=arguments.optimizer and mode == "training",
                    execution=execution,
                    compile_mode=compile_mode,
                    compile_dynamic=arguments.compile_dynamic if compile_mode else None,
                    compile_backend=arguments.compile_backend if compile_mode else "",
                    parallel=parallel,
                    ranks=ranks,
                    inputs=arguments.inputs if model.is_own else {},
                    trust_remote_code=arguments.trust_remote_code and model.has_own_code,
                    source=model.path,
                    code=model.code_in(environment, padded=rows.are_padded),
                    saved_as=model.saved_as,
                    searched=searched if _has_axis(searched, rows, new_tokens) else "",
                )
            )
    return list(dict.fromkeys(cases))  # rows may be shorter than each length that cuts them


_OF_ALL = (
    "model_class", "modalities", "device", "threads", "speed", "memory", "energy",
    "trace_memory_line_by_line", "min_samples", "precision", "max_time", "seed", "rounds",
)  # fmt: skip
"""Arguments that are a case's own fields, the same in all cases."""


def _of_all(arguments: BenchmarkArguments) -> dict[str, Any]:
    """What all cases have alike."""
    limit, latency = arguments.memory_limit, arguments.latency_limit
    return {
        **{name: getattr(arguments, name) for name in _OF_ALL},
        "memory_limit": None if limit is None else bytes_of(limit),
        "latency_limit": None if latency is None else seconds_of(latency),
    }


_FIRST_SIZES = {"batch_sizes": 1, "sequence_lengths": 8, "new_tokens": 8}
"""What a search begins with: below these, there is little of what a model does."""


def _with_first_sizes(arguments: BenchmarkArguments) -> BenchmarkArguments:
    """The arguments with the first size that a search tries for what is searched."""
    first = {name: [_FIRST_SIZES[name]] for name in asked_for(arguments)}
    return arguments.model_copy(update=first) if first else arguments


def _has_axis(searched: str, rows: Rows, new_tokens: int | None) -> bool:
    """Whether a case has the axis of which a size is searched: images have no length."""
    values = {"batch_size": 1, "sequence_length": rows.length, "new_tokens": new_tokens}
    return values.get(searched) is not None


def _refuse_what_serves_none(arguments: BenchmarkArguments, models: list[ModelConfig]) -> None:
    """Raise `ArgumentError` where inputs are described that no model would be given.

    Of no models, as where none that a form names is found, nothing is known.
    """
    if not models:
        return
    if arguments.inputs and not any(model.is_own for model in models):
        raise ArgumentError(
            f"inputs describes those of your own code (FILE.py:FUNCTION), and "
            f"{quoted(models[0].name)} is of Transformers, whose inputs nbbench makes; omit inputs"
        )
    if any(model.has_length(arguments) for model in models):
        return
    if arguments.lengths is not None or any(arguments.paddings):
        name = "padding" if arguments.lengths is None else "lengths"
        raise ArgumentError(
            f"{name} is for inputs that have a length, and those of {quoted(models[0].name)} have "
            f"none; omit {name}"
        )


def _refuse_too_many(
    arguments: BenchmarkArguments,
    models: list[ModelConfig],
    interpreters: list[tuple[str, str]],
) -> None:
    """Raise `ArgumentError` where lists multiply to more cases than anyone can wait for."""
    rows = len(arguments.sequence_lengths) * len(arguments.paddings)
    if arguments.lengths is not None:
        rows = len(arguments.longest_rows)
    lengths = sum(rows if model.has_length(arguments) else 1 for model in models)
    executions = sum(len(arguments.compilations(framework)) for framework, _ in interpreters)
    modes = sum(len(arguments.generations(mode)) for mode in arguments.modes())
    each = (
        arguments.dtypes, arguments.quantizations, arguments.attentions, arguments.batch_sizes,
    )  # fmt: skip
    divisions = len(arguments.divisions())
    count = lengths * executions * modes * divisions * math.prod(len(values) for values in each)
    if count > MAX_CASES:
        raise ArgumentError(
            f"these arguments make {count:,} cases, and a benchmark has at most {MAX_CASES:,}; "
            f"give fewer values"
        )
