"""``nbbench hf``: what the scripts ``run_benchmark.py`` and ``run_benchmark_tf.py`` did."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from ..arguments.flags import FlagParser
from ..errors import ArgumentError, did_you_mean
from ..hf import (
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
)
from ..text import quoted
from .run import exit_code

_ABOUT = """\
Measure with the arguments, tables and files of Transformers' former benchmark.

    nbbench hf pytorch --models bert-base-uncased --batch_sizes 8 --training --no-memory

The framework comes first: pytorch or tensorflow."""

_FRAMEWORKS: dict[str, tuple[Any, Any]] = {
    "pytorch": (PyTorchBenchmarkArguments, PyTorchBenchmark),
    "tensorflow": (TensorFlowBenchmarkArguments, TensorFlowBenchmark),
}


def command(argv: list[str]) -> int:
    """Measure, print and write as the original did."""
    if argv and argv[0] in _FRAMEWORKS:
        framework, argv = argv[0], argv[1:]
    elif {"-h", "--help"} & set(argv):
        framework = "pytorch"
    else:
        given = f", and not {quoted(argv[0])}{did_you_mean(argv[0], _FRAMEWORKS)}" if argv else ""
        raise ArgumentError(f"nbbench hf begins with pytorch or tensorflow{given}")
    kind, benchmark = _FRAMEWORKS[framework]
    parser = _parser(framework, kind)
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    running = benchmark(kind(**parser.read(argv)))
    running.run()
    return exit_code(running.report) or int(bool(running.problem))


def _parser(framework: str, kind: Any) -> FlagParser:
    """A flag for each of the original's arguments, bools with their ``--no-…``."""
    parser = FlagParser(f"nbbench hf {framework}", _ABOUT)
    defaults = kind()
    for item in dataclasses.fields(kind):
        default = getattr(defaults, item.name)
        options: dict[str, Any] = {"help": item.metadata["help"], "default": None}
        flag = "--" + item.name.replace("_", "-")
        if isinstance(default, bool):  # --training, --training False and --no-training
            parser.add_argument(
                flag, nargs="?", const=True, type=_bool, metavar="true|false", **options
            )
            parser.add_argument(
                f"--no-{flag[2:]}", dest=item.name, action="store_false", default=None,
                help=argparse.SUPPRESS,
            )  # fmt: skip
            continue
        if isinstance(default, list):
            options.update(nargs="+", action="extend")
            default = default[0] if default else ""
        if isinstance(default, int):
            options.update(type=int)
        parser.add_argument(flag, metavar="N" if isinstance(default, int) else "NAME", **options)
    return parser


def _bool(word: str) -> bool:
    """A bool as the original's parser took one."""
    if word.lower() in ("true", "yes", "1"):
        return True
    if word.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{quoted(word)} is neither true nor false")
