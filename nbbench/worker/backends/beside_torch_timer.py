"""nbbench's sampling beside `torch.utils.benchmark`, in turn, in one process: for the selftest."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..case import Case
from ..measure import Reference, block_size, quiet_collector, take_sample
from ..order_statistics import half_width, median_of
from .torch import TorchBackend

TURN_S, MAX_SAMPLES_A_TURN = 0.01, 6
"""A turn is short, so that the machine drifts little until the next: long calls have one sample."""

MIN_TURNS = 20
NARROW = 0.005
"""The half width of the median ratio's interval at which turns end."""

_WARM_CALLS = 10


@dataclass(frozen=True)
class Beside:
    """The median of ours over theirs, its interval's half width, and how much was timed."""

    ratio: float
    half_width: float
    turns: int
    references: int


def main() -> None:
    """Print a `Beside` for each configuration, as JSON; argv has them with the seconds for each."""
    settings = json.loads(sys.argv[1])
    backend = TorchBackend()
    backend.load()
    for each in settings["cases"]:
        case = Case(
            framework="pytorch", model="beside", config_source="given", device="cpu", **each
        )
        print(json.dumps(vars(compare(backend, case, settings["seconds"]))), flush=True)


def compare(backend: TorchBackend, case: Case, seconds: float) -> Beside:
    """Time a case by both in turn, until the ratio is well known or the time is up."""
    from torch.utils.benchmark import Timer

    device = backend.open(case)
    call, _ = backend.build(case, device).prepare()
    stopwatch = device.stopwatch
    for _ in range(_WARM_CALLS):
        call()
    make = device.reference()
    assert make is not None
    reference = Reference(make, stopwatch)
    call_s = min(stopwatch(call, 1) for _ in range(_WARM_CALLS))
    calls = block_size(call_s)
    samples = min(max(round(TURN_S / (call_s * calls)), 1), MAX_SAMPLES_A_TURN)
    threads = backend.torch.get_num_threads()
    timer = Timer("call()", globals={"call": call}, num_threads=threads)

    def theirs() -> float:
        return statistics.median(float(timer.timeit(calls).median) for _ in range(samples))

    with quiet_collector() as collect:

        def ours() -> float:
            return statistics.median(
                take_sample(call, stopwatch, calls, collect, reference) for _ in range(samples)
            )

        ratios = _ratios(ours, theirs, seconds)
    width = half_width(sorted(ratios))
    return Beside(
        median_of(sorted(ratios)),
        1.0 if width is None else width,
        len(ratios),
        len(reference.times),
    )


def _ratios(ours: Callable[[], float], theirs: Callable[[], float], seconds: float) -> list[float]:
    """Ours over theirs, each pair in the other order than the last."""
    ratios: list[float] = []
    begin = time.perf_counter()
    while True:
        if len(ratios) % 2:
            theirs_s = theirs()
            ratios.append(ours() / theirs_s)
        else:
            ours_s = ours()
            ratios.append(ours_s / theirs())
        width = half_width(sorted(ratios))
        enough = len(ratios) >= MIN_TURNS and len(ratios) % 2 == 0
        if enough and width is not None and width <= NARROW:
            return ratios
        if time.perf_counter() - begin > seconds and len(ratios) >= 2:
            return ratios
