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
def test_48_small_cases_take_10_seconds_warm():
    pytest.importorskip("torch")
    small_cases(max_time=0.01)  # the server and the files it reads are warm now
    begin = time.perf_counter()
    report = small_cases()
    took = time.perf_counter() - begin
    assert report.speed.status.tolist() == ["ok"] * 48
    timings = [result.outcome.timing for result in report.results]
    measured = sum(sum(t.samples) * t.calls_per_sample + t.first_call_s for t in timings)
    own = (took - measured - report.speed.build_s.sum()) / 48
    print(f"48 cases in {took:.1f} s; {own:.3f} s a case beside building and calls")
    assert took <= 10
    assert own <= 0.15
