"""``nbbench plan``: what cases will hold and do, before any of them runs."""

from __future__ import annotations

import sys

from ..api import predict_arguments
from ..arguments.defaults import naming_sources, sentence_of, with_defaults
from ..arguments.flags import benchmark_parser
from ..arguments.schema import BenchmarkArguments
from ..report.fit import DeviceMemory
from ..report.predictions import any_unfit

_ABOUT = """\
Predict what models need, from their own code on tensors without memory; nothing is measured.

    nbbench plan llama-3.1-8b --dtypes bfloat16 --generation --no-inference --device-memory L4

Exit code 0: every case fits; 1: one does not, may not, or cannot be predicted; 2: bad usage; 130:
interrupted."""


def command(argv: list[str]) -> int:
    """Predict, print, and judge."""
    parser = benchmark_parser("nbbench plan", _ABOUT)
    parser.add_argument(
        "--device-memory",
        metavar="SIZE",
        help="what the cases shall fit in: a size like 16GB, or a card like T4 or RTX4090",
    )
    parser.add_argument("--markdown", action="store_true", default=None, help="print Markdown")
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    given, markdown = values.pop("device_memory", None), values.pop("markdown", False)
    memory = None if given is None else DeviceMemory.of(given)
    values, used = with_defaults(values, is_run=False)
    if used:
        print(sentence_of(used), file=sys.stderr)
    with naming_sources(used):
        predictions = predict_arguments(BenchmarkArguments(**values), memory)
    print(predictions.to_markdown() if markdown else repr(predictions))
    if any(result.outcome.was_cancelled for result in predictions.results):
        return 130
    return int(any_unfit(predictions, memory))
