"""What nbbench itself costs."""

from __future__ import annotations

import time

import pytest

import nbbench
from tests.conftest import TINY_BERT


def small_cases(**arguments):
    return nbbench.run(
        "tiny",
        configs=[TINY_BERT],
        batch_sizes=[1, 2, 4],
        sequence_lengths=[8, 32, 64, 128],
        dtype=["float32", "bfloat16"],
        attention=["eager", "sdpa"],
        device="cpu",
        progress=False,
        **arguments,
    )


@pytest.mark.slow
def test_48_small_cases_take_45_seconds_warm():
    pytest.importorskip("torch")
    small_cases(max_time=0.01)  # the server and the files it reads are warm now
    begin = time.perf_counter()
    report = small_cases()
    took = time.perf_counter() - begin
    assert report.speed.status.tolist() == ["ok"] * 48
    timings = [result.outcome.timing for result in report.results]
    measured = sum(timing.calls_s for timing in timings)
    built = sum(r.outcome.build_s * len(r.outcome.timing.visits) for r in report.results)
    own = (took - measured - built) / report.speed.visits.sum()
    print(f"48 cases in {took:.1f} s; {own:.3f} s a visit beside building and calls")
    assert took <= 45
    assert own <= 0.15
