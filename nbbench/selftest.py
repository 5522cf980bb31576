"""The instrument checked on the user's machine: what is known beforehand must be found.

Waits and memory of known size, `torch.utils.benchmark` beside nbbench's own sampling, a case
against itself, and one against another whose calls last 5 % longer.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .api import start, watched
from .arguments.schema import BenchmarkArguments
from .plan.result import Result
from .report.report import Report
from .report.verdict import Difference, ratio_text
from .report.verdict import Verdict as Compared
from .text import rounded, time_unit
from .worker.boot import boot_command
from .worker.case import Status

WITHIN = 0.02
MEMORY_WITHIN, MEMORY_WITHIN_MIB = 0.01, 1.0
SLOWDOWN = 0.05

_BESIDE = """
from nbbench.worker.backends.beside_torch_timer import main
main()
"""
_START_S = 300.0
"""Seconds that PyTorch may take to start, beside those of the timing."""


class Verdict(str, Enum):
    """What came of a check."""

    OK = "ok"
    FAILED = "failed"
    UNSURE = "cannot tell"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was known beforehand, and what was found."""

    name: str
    expected: str
    found: str
    verdict: Verdict


@dataclass(frozen=True)
class Sizes:
    """How much is checked.

    ``sizes`` are hidden size and sequence length of small models; ``beside_s`` the seconds for
    each beside `torch.utils.benchmark`, ``known_s`` and ``compared_s`` the ``max_time`` of a case.
    """

    waits_s: tuple[float, ...] = (0.005, 0.020, 0.100)
    memory_mib: tuple[int, ...] = (64, 256)
    sizes: tuple[tuple[int, int], ...] = ((64, 8), (256, 64), (512, 128))
    compared: tuple[int, int] = (256, 64)
    known_s: float = 2.0
    beside_s: float = 20.0
    compared_s: float = 10.0


FULL = Sizes()
QUICK = Sizes(
    waits_s=(0.005, 0.020),
    memory_mib=(64,),
    sizes=((256, 64),),
    known_s=0.5,
    beside_s=8.0,
    compared_s=3.0,
)


def checks(sizes: Sizes = FULL) -> Iterator[Check]:
    """Each check as it ends; those that need PyTorch are skipped where it is missing.

    Raises ``KeyboardInterrupt`` where the benchmark of one is interrupted or cancelled.
    """
    yield from _waits(sizes)
    yield from _memory(sizes)
    missing = _missing()
    if missing:
        found = f"{' and '.join(missing)}: not installed in this interpreter"
        for name, expected in (
            ("beside torch.utils.benchmark", _percent(WITHIN)),
            ("a case against itself", "not called different"),
            (f"calls {SLOWDOWN:.0%} longer", "slower"),
        ):
            yield Check(name, expected, found, Verdict.SKIPPED)
        return
    yield from _beside(sizes)
    yield _against_itself(sizes)
    yield _slowed(sizes)


def passed(found: list[Check]) -> bool:
    """Whether every check that was made is ok."""
    return all(check.verdict in (Verdict.OK, Verdict.SKIPPED) for check in found)


def judged(found: float, low: float | None, high: float | None, expected: float) -> Verdict:
    """Whether a figure is what it should be within 2 %; unsure where its interval allows for it."""
    bottom, top = expected * (1 - WITHIN), expected * (1 + WITHIN)
    if bottom <= found <= top:
        return Verdict.OK
    if low is not None and high is not None and low <= top and high >= bottom:
        return Verdict.UNSURE
    return Verdict.FAILED


def judged_memory(found_mib: float, expected_mib: float) -> Verdict:
    """Whether memory is what it should be, within a MiB or 1 %."""
    allowed = max(MEMORY_WITHIN_MIB, MEMORY_WITHIN * expected_mib)
    return Verdict.OK if abs(found_mib - expected_mib) <= allowed else Verdict.FAILED


def judged_against_itself(difference: Difference) -> Verdict:
    """A case must not be called different from itself."""
    if difference.ratio is None:
        return Verdict.FAILED
    different = difference.verdict in (Compared.FASTER, Compared.SLOWER)
    return Verdict.FAILED if different else Verdict.OK


def judged_slowdown(difference: Difference) -> Verdict:
    """What is slower must be called so, or too uncertain to be called anything."""
    right = difference.verdict in (Compared.SLOWER, Compared.UNSURE)
    return Verdict.OK if right and difference.ratio is not None else Verdict.FAILED


def _waits(sizes: Sizes) -> Iterator[Check]:
    configs = [{"model_type": "selftest", "wait_s": wait} for wait in sizes.waits_s]
    for wait, result in zip(
        sizes.waits_s, _measured("selftest", configs, sizes.known_s), strict=True
    ):
        name, expected = f"a wait of {_time(wait)}", _percent(WITHIN)
        timing = result.outcome.timing
        if timing is None:
            yield _broken(name, expected, result)
            continue
        verdict = judged(timing.median_s, timing.ci_low_s, timing.ci_high_s, wait)
        yield Check(
            name, expected, f"{_time(timing.median_s)}{_off(timing.median_s / wait)}", verdict
        )


def _memory(sizes: Sizes) -> Iterator[Check]:
    configs = [{"model_type": "selftest", "touch_mib": mib} for mib in sizes.memory_mib]
    results = _measured("selftest", configs, sizes.known_s)
    for mib, result in zip(sizes.memory_mib, results, strict=True):
        name = f"memory of {mib} MiB, held for a moment"
        expected = f"±{max(MEMORY_WITHIN_MIB, MEMORY_WITHIN * mib):.3g} MiB"
        memory = result.outcome.memory
        if memory is None or memory.activations is None:
            yield _broken(name, expected, result)
            continue
        found = memory.activations / 2**20
        verdict = judged_memory(found, mib)
        yield Check(name, expected, f"{found:,.2f} MiB, by {memory.method}", verdict)


def _beside(sizes: Sizes) -> Iterator[Check]:
    """Both instruments in one process: a subprocess, since nothing of torch may run in this one."""
    cases = [
        {"config": _bert(hidden), "batch_size": 2, "sequence_length": length, "threads": 1}
        for hidden, length in sizes.sizes
    ]
    settings = json.dumps({"cases": cases, "seconds": sizes.beside_s})
    command = boot_command(sys.executable, _BESIDE, settings)
    timeout = _START_S + 2 * sizes.beside_s * len(cases)
    problem, lines = "", []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        lines = done.stdout.splitlines()
        problem = (done.stderr.strip().splitlines() or ["it gave nothing"])[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    for number, (hidden, length) in enumerate(sizes.sizes):
        name = f"beside torch.utils.benchmark, size {hidden} × {length}"
        if number >= len(lines):
            yield Check(name, _percent(WITHIN), problem, Verdict.FAILED)
            continue
        beside = json.loads(lines[number])
        ratio, half = beside["ratio"], beside["half_width"]
        found = f"{ratio:.4f} ±{half:.1%} of its time, {beside['references']} references between"
        verdict = judged(ratio, ratio - half, ratio + half, 1.0)
        yield Check(name, _percent(WITHIN), found, verdict)


def _against_itself(sizes: Sizes) -> Check:
    """Called different once, it is measured once more: one in twenty is, by chance."""
    name, expected = "a case against itself", "not called different"
    for attempt in (1, 2):
        difference = _compared(sizes, 0.0)
        verdict = judged_against_itself(difference)
        again = " (at the second attempt)" if attempt == 2 else ""
        if verdict is Verdict.OK or difference.ratio is None:
            break
    return Check(name, expected, _found(difference) + again, verdict)


def _slowed(sizes: Sizes) -> Check:
    difference = _compared(sizes, SLOWDOWN)
    expected = "slower, or cannot tell"
    verdict = judged_slowdown(difference)
    return Check(f"calls {SLOWDOWN:.0%} longer", expected, _found(difference), verdict)


def _compared(sizes: Sizes, slowdown: float) -> Difference:
    """Two models of one sweep that differ in this slowdown alone."""
    hidden, length = sizes.compared
    config = _bert(hidden)
    report = _run(
        "first",
        "second",
        configs=[config, {**config, "selftest_slowdown": slowdown}],
        frameworks=["selftest-torch"],
        batch_sizes=[2],
        sequence_lengths=[length],
        threads=1,
        memory=False,
        max_time=sizes.compared_s,
        baseline="first",
    )
    return report.compare(by="model").differences[0]


def _found(difference: Difference) -> str:
    parts = [difference.verdict.value, ratio_text(difference), difference.reason]
    return ", ".join(part for part in parts if part)


def _measured(framework: str, configs: list[dict[str, Any]], max_time: float) -> list[Result]:
    report = _run(
        *(f"known {number}" for number in range(len(configs))),
        configs=configs,
        frameworks=[framework],
        batch_sizes=[1],
        sequence_lengths=[8],
        max_time=max_time,
    )
    return list(report.results)


def _run(*models: str, **arguments: Any) -> Report:
    """The report of a whole run in this interpreter; an interrupt of it is not only its own."""
    given = {"environments": ["kernel"], "device": "cpu", **arguments}
    job = start(BenchmarkArguments.of(models, given))
    report = watched(job, progress=False)
    if job.was_cancelled:
        raise KeyboardInterrupt
    return report


def _broken(name: str, expected: str, result: Result) -> Check:
    ended = result.outcome.status is Status.OK
    found = "nothing was measured" if ended else result.outcome.reason
    return Check(name, expected, found, Verdict.FAILED)


def _missing() -> list[str]:
    return [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]


def _bert(hidden: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden,
        "vocab_size": 1000,
    }


def _percent(part: float) -> str:
    return f"±{part:.0%}"


def _off(ratio: float) -> str:
    return f" ({ratio - 1:+.2%})"


def _time(seconds: float) -> str:
    unit, scale = time_unit(seconds)
    return f"{rounded(seconds / scale)} {unit}"
