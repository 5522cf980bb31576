"""When warm-up and sampling end, on a clock that only calls move on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nbbench.worker import measure
from nbbench.worker.measure_memory import memory_of_calls


class Clock:
    """A stopwatch whose calls take the seconds they are given, and nothing else any."""

    def __init__(self, monkeypatch, *seconds):
        self.now = 0.0
        self._seconds = seconds
        self._taken = 0
        monkeypatch.setattr(measure.time, "perf_counter", lambda: self.now)

    def __call__(self, call, times):
        took = times * self._seconds[self._taken % len(self._seconds)]
        self._taken += 1
        self.now += took
        return took


def sampled(clock, calls_per_sample=1, **limits):
    return measure.sample(
        lambda: None, clock, calls_per_sample=calls_per_sample, **{"precision": 1e-9, **limits}
    )


@pytest.mark.parametrize(
    ("first", "calls", "samples"),
    [
        (1.0, [1.04, 1.02, 7.0], []),  # the first agrees with the two that follow
        (5.0, [1.1, 1.0, 1.02, 1.01, 7.0], []),
        (5.0, [1.0, 2.0] * 5 + [7.0], []),  # ten, and no three agree
        (200.0, [200.0, 7.0], [200.0]),  # a quarter of max_time is over
        (200.0, [34.0, 35.0, 7.0], [34.0, 35.0]),  # as it is without what the first took longer
        (200.0, [1.1, 1.0, 1.02, 1.01, 7.0], []),  # the first alone was long
        (70.0, [70.0, 7.0], [70.0]),
        (40.0, [35.0, 30.0, 7.0], [35.0, 30.0]),  # before it could be asked whether they agree
        (40.0, [30.0, 15.0, 14.0, 13.0, 7.0], []),
        (1.0, [1e-4, 1e-4, 1e-4, 7.0], []),  # too short for samples of one call
    ],
)
def test_warm_up_ends_and_gives_samples_where_nothing_was_chosen(
    monkeypatch, first, calls, samples
):
    clock = Clock(monkeypatch, *calls)
    warm = measure.warm_up(lambda: None, clock, first, max_time=400.0)
    assert warm.samples == samples
    assert clock.now == pytest.approx(sum(calls[:-1]))


@pytest.mark.parametrize(("first", "call_s", "block"), [(3.0, 0.02, 1), (0.5, 3e-4, 4)])
def test_a_visit_whose_first_call_is_slow_holds_the_samples_of_a_quick_call(
    monkeypatch, first, call_s, block
):
    max_time = 10.0
    clock = Clock(monkeypatch, call_s)
    warm = measure.warm_up(lambda: None, clock, first, measure.VISIT_SHARE * max_time)
    assert warm.samples == []
    assert measure.block_size(warm.call_s) == block
    assert measure.samples_per_visit(first, block * warm.call_s, max_time) > 10


@pytest.mark.parametrize("calls_per_sample", [1, 4])
def test_no_sample_is_begun_that_would_end_after_max_time(monkeypatch, calls_per_sample):
    clock = Clock(monkeypatch, 1.0, 1.25)
    samples = sampled(clock, calls_per_sample, max_time=10.9 * calls_per_sample)
    assert clock.now == 10 * calls_per_sample  # one more second would end at 11
    assert len(samples) == 9


def test_three_samples_are_taken_however_long_they_take(monkeypatch):
    clock = Clock(monkeypatch, 5.0, 6.0)
    assert len(sampled(clock, max_time=10.0)) == 3
    assert len(sampled(clock, max_time=10.0, fewest=9)) == 9


def test_sampling_ends_at_the_first_look_at_a_narrow_interval(monkeypatch):
    assert len(sampled(Clock(monkeypatch, 1.0), precision=0.02, max_time=1e6)) == 6
    assert len(sampled(Clock(monkeypatch, 1.0, 1.25), precision=0.02, max_time=1e6)) == 1000


@pytest.mark.parametrize(("polled", "watched"), [(False, 3), (True, 100)])
def test_a_peak_that_is_polled_is_watched_long_enough_after_a_slow_first_call(
    monkeypatch, polled, watched
):
    calls = []

    def stopwatch(call, times):
        calls.append(times)
        return 3.0 if len(calls) == 1 else times * 1e-3

    memory = SimpleNamespace(
        peak_costs_nothing=not polled, start=lambda: None, stop=lambda parameters: None
    )
    device = SimpleNamespace(memory=memory, stopwatch=stopwatch)
    memory_of_calls(device, SimpleNamespace(parameter_bytes=0), lambda: None, 3)
    assert sum(calls[1:]) == watched
