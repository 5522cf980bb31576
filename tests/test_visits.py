"""What visits say together: coverage under drift, and drift that is taken out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbbench.execution.rounds import MAX_VISITS, MIN_VISITS_FOR_PRECISION
from nbbench.machine import reference_level
from nbbench.report.drift_coefficient import Prior, coefficient_of, prior_of
from nbbench.report.visits import (
    is_beyond_visits,
    mean_of,
    summarize_visits,
)
from nbbench.worker.timing import Visit

LEVEL, TRUTH = 1e-3, 5e-3
"""Seconds that the reference and the call take at the machine's usual speed."""


def ar1(random, times, deviation, seconds):
    """A stationary process of order one, seen at times."""
    values = [random.normal(0, deviation)]
    for gap in np.diff(times):
        kept = math.exp(-gap / seconds)
        spread = deviation * math.sqrt(1 - kept**2)
        values.append(kept * values[-1] + random.normal(0, spread))
    return np.array(values)


def shifts(random, times, deviation, seconds):
    """A level that jumps now and then."""
    values = [random.normal(0, deviation)]
    for gap in np.diff(times):
        jumps = random.random() < 1 - math.exp(-gap / seconds)
        values.append(random.normal(0, deviation) if jumps else values[-1])
    return np.array(values)


MACHINES = {
    "independent": lambda random, times: np.zeros(len(times)),
    "drifts within a second": lambda random, times: ar1(random, times, 0.08, 0.9),
    "drifts within a minute": lambda random, times: ar1(random, times, 0.08, 20),
    "level shifts": lambda random, times: (
        ar1(random, times, 0.05, 20) + shifts(random, times, 0.08, 15)
    ),
}


def run(random, machine, coefficient, apart, precision, spikes=0.0):
    """A simulated run of one case: visits as the rule for stopping has them."""
    state = MACHINES[machine](random, np.arange(MAX_VISITS) * apart)
    processes = random.normal(0, 0.01, MAX_VISITS)
    hit = np.where(random.random(MAX_VISITS) < spikes, random.exponential(0.3, MAX_VISITS), 0.0)
    visits = []
    for number in range(MAX_VISITS):
        centre = coefficient * state[number] + processes[number] + hit[number]
        samples = TRUTH * np.exp(centre + random.normal(0, 0.05, 9))
        references = LEVEL * np.exp(state[number] + random.normal(0, 0.04, 5))
        visits.append(Visit(tuple(samples), references=tuple(references)))
        if len(visits) >= MIN_VISITS_FOR_PRECISION:
            timing = summarize_visits(visits, precision, LEVEL)
            if not timing.noisy or is_beyond_visits(timing, precision):
                break
    return timing


def coverage(machine, coefficient, trials=600, **more):
    random = np.random.default_rng(0)
    held = 0
    for trial in range(trials):
        timing = run(random, machine, coefficient, (0.15, 1.0)[trial % 2], 0.05, **more)
        held += timing.ci_low_s <= TRUTH <= timing.ci_high_s
    return held / trials


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "coefficient",
    [
        0.9,
        *(
            pytest.param(each, marks=(pytest.mark.slow, pytest.mark.newest))
            for each in (1.0, 0.7, 0.4)
        ),
    ],
)
def test_the_interval_holds_the_truth_stopping_included(machine, coefficient):
    assert 0.93 <= coverage(machine, coefficient) <= 0.995


@pytest.mark.slow
@pytest.mark.newest
def test_the_interval_holds_the_truth_under_spikes():
    assert coverage("drifts within a second", 0.9, spikes=0.08) >= 0.93


def test_drift_is_taken_out_and_reported():
    visits = [
        Visit((TRUTH * slow,) * 5, references=(LEVEL * slow,) * 5)
        for slow in (1.2, 1.3, 1.1, 1.25, 1.15)
    ]
    timing = summarize_visits(visits, 0.05, LEVEL)
    assert timing.median_s == pytest.approx(TRUTH, rel=0.01)
    assert timing.drift == pytest.approx(0.2, abs=0.01)
    assert timing.samples[0] == pytest.approx(1.2 * TRUTH)  # as they were


def test_a_model_that_does_not_follow_the_reference_keeps_its_time():
    random = np.random.default_rng(0)
    slows = 1 + 0.1 * random.random(6)
    visits = [
        Visit((TRUTH * (1 + 1e-4 * number),) * 5, references=(LEVEL * slow,) * 5)
        for number, slow in enumerate(slows)
    ]
    timing = summarize_visits(visits, 0.05, LEVEL)
    assert timing.median_s == pytest.approx(TRUTH, rel=0.002)


@pytest.mark.parametrize(
    ("computing", "taken_out"), [(0.0, 0.0), (0.5, 0.35), (0.95, 0.7), (None, 0.7)]
)
def test_a_call_that_waits_does_not_follow_the_reference(computing, taken_out):
    visits = [
        Visit((TRUTH,) * 5, references=(1.2 * LEVEL,) * 5, computing=computing) for _ in range(3)
    ]
    timing = summarize_visits(visits, 0.05, LEVEL)
    assert timing.median_s == pytest.approx(TRUTH / 1.2**taken_out, rel=0.01)


def test_without_references_or_visits_nothing_is_taken_out():
    plain = [Visit((TRUTH * (1 + 0.01 * n),) * 7) for n in range(5)]
    assert summarize_visits(plain, 0.05, LEVEL).drift is None
    two = summarize_visits(plain[:2], 0.05, LEVEL)
    assert (two.interval, two.drift) == ("samples", None)
    assert summarize_visits(plain[:3], 0.05, LEVEL).interval == "visits"


PRIOR = Prior(0.7, 0.15, 0.1)


def test_the_coefficient_is_between_none_and_all():
    up = [0.1, 0.2, 0.3, 0.4]
    assert coefficient_of(up, [2 * value for value in up], PRIOR).value == pytest.approx(
        0.5, abs=0.02
    )
    assert coefficient_of(up, [-value for value in up], PRIOR).value == 0.0
    assert coefficient_of(up, [value / 3 for value in up], PRIOR).value == 1.0
    same = coefficient_of(up, [0.2] * 4, PRIOR)  # nothing is seen of it: the prior
    assert (same.value, same.deviation) == (0.7, pytest.approx(math.hypot(0.15, 0.1)))


def test_long_calls_are_expected_to_follow_the_reference_less():
    means = [prior_of([Visit((seconds,) * 3)]).mean for seconds in (1e-4, 5e-3, 0.05, 0.5, 5)]
    assert means == [pytest.approx(each) for each in (0.7, 0.7, 0.4, 0.1, 0.1)]


def test_a_mean_of_correlated_values_is_less_sure():
    random = np.random.default_rng(0)
    drifting = ar1(random, np.arange(20) * 1.0, 0.05, 5.0)
    mixed = random.permutation(drifting)
    assert mean_of(list(drifting)).half > mean_of(list(mixed)).half


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Levels in a folder of their own, and a clock that the test turns."""
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path))
    now = [1e9]
    monkeypatch.setattr(reference_level.time, "time", lambda: now[0])
    return now


def keep(clock, *found, apart=reference_level.APART_S):
    for seconds in found:
        reference_level.keep_levels({"key": seconds})
        clock[0] += apart


def test_the_first_level_stays_unless_it_is_outdone(clock):
    keep(clock, LEVEL, 0.95 * LEVEL)
    assert reference_level.read_levels() == {"key": LEVEL}
    reference_level.keep_levels({"key": 0.7 * LEVEL, "another": 1.0})
    assert reference_level.read_levels() == {"key": 0.7 * LEVEL, "another": 1.0}


def test_what_is_usual_over_several_runs_becomes_the_level(clock):
    keep(clock, LEVEL, *[1.3 * LEVEL] * (reference_level.RECENT - 2))
    assert reference_level.read_levels()["key"] == LEVEL  # fewer may be one bad quarter of an hour
    keep(clock, 1.2 * LEVEL)
    assert reference_level.read_levels()["key"] == pytest.approx(1.3 * LEVEL)
    keep(clock, *[1.2 * LEVEL] * 20)  # near enough: numbers shall come out the same again
    assert reference_level.read_levels()["key"] == pytest.approx(1.3 * LEVEL)


def test_many_runs_within_a_minute_count_as_one(clock):
    keep(clock, LEVEL, *[1.4 * LEVEL] * 50, apart=1.0)
    assert reference_level.read_levels() == {"key": LEVEL}


@pytest.mark.parametrize("damage", ["{", "[]", '{"key": -1}', '{"key": {"seconds": "no"}}', "\0"])
def test_damaged_levels_are_none_and_the_next_run_sets_them(clock, tmp_path, damage):
    (tmp_path / "reference-levels.json").write_text(damage)
    assert reference_level.read_levels() == {}
    keep(clock, LEVEL)
    assert reference_level.read_levels() == {"key": LEVEL}
    reference_level.forget_levels()
    assert not (tmp_path / "reference-levels.json").exists()


def test_a_folder_without_locks_keeps_no_level_and_ends_no_run(clock, monkeypatch):
    def fake_lock(file, timeout):  # as older versions of filelock do
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(reference_level, "FileLock", fake_lock)
    keep(clock, LEVEL)
    assert reference_level.read_levels() == {}


def test_a_level_is_of_one_processor_framework_and_number_of_threads():
    keys = {
        reference_level.level_key("a processor", None, "cpu", threads, "pytorch", version)
        for threads in (1, 2)
        for version in ("2.12", "2.13")
    }
    assert len(keys) == 4


def test_a_level_of_a_busy_machine_is_not_extrapolated_from():
    visits = [Visit((TRUTH,) * 5, references=(LEVEL * slow,) * 5) for slow in (1, 1.01, 0.99)]
    timing = summarize_visits(visits, 0.05, 2 * LEVEL)
    assert timing.median_s == pytest.approx(TRUTH, rel=0.02)


def visits_at(slow, count, spread):
    """Visits of a machine that is so much slower than usual, whose times differ by ``spread``."""
    signs = [(-1) ** number for number in range(count)]
    return [
        Visit((TRUTH * slow * (1 + spread * sign),) * 5, references=(LEVEL * slow,) * 5)
        for sign in signs
    ]


def test_no_visit_is_made_that_cannot_make_the_interval_narrower():
    far = summarize_visits(visits_at(1.5, 10, 0.02), 0.05, LEVEL)
    assert far.noisy  # and more visits leave it so
    assert summarize_visits(visits_at(1.5, 30, 0.02), 0.05, LEVEL).noisy
    assert is_beyond_visits(far, 0.05)
    spread = summarize_visits(visits_at(1.0, 5, 0.1), 0.05, LEVEL)
    assert spread.noisy  # and more visits make it narrower
    assert not is_beyond_visits(spread, 0.05)
    assert not is_beyond_visits(summarize_visits(visits_at(1.5, 5, 0.1), 0.05, LEVEL), 0.05)
