"""Cases are visited in rounds, each visit a process of its own, and none is lost or run on."""

from __future__ import annotations

import math
import time

import pytest

import nbbench
from nbbench.execution.rounds import MAX_VISITS, MIN_VISITS_FOR_PRECISION

pytestmark = pytest.mark.usefixtures("probe")


def probe_run(*calls, **arguments):
    configs = [{"model_type": "probe", **call} for call in calls]
    arguments = {"max_time": 0.5, "sequence_lengths": [8], "progress": False, **arguments}
    return nbbench.run(frameworks=["probe"], configs=configs, **arguments)


def visits_in(log):
    """The model and the process of every visit, in order."""
    return [line.split() for line in log.read_text().splitlines()]


@pytest.mark.parametrize("isolation", ["fork", "process"])
def test_every_visit_is_a_process_and_every_round_visits_each_case(tmp_path, isolation):
    log = tmp_path / "log"
    log.touch()
    report = probe_run(*[{"visit_log": str(log)}] * 3, rounds=4, isolation=isolation)
    seen = visits_in(log)
    assert len({process for _, process in seen}) == len(seen) == 12
    rounds = [[model for model, _ in seen[start : start + 3]] for start in range(0, 12, 3)]
    assert all(sorted(models) == ["probe-1", "probe-2", "probe-3"] for models in rounds)
    assert rounds[0] == ["probe-1", "probe-2", "probe-3"]  # the first in the order that was given
    assert report.speed.visits.tolist() == [4, 4, 4]
    assert set(report.speed.interval) == {"visits"}
    timing = report.results[0].outcome.timing
    assert [visit.round for visit in timing.visits] == [0, 1, 2, 3]
    assert all(visit.references for visit in timing.visits)


def test_rounds_are_shuffled(tmp_path):
    log = tmp_path / "log"
    log.touch()
    probe_run(*[{"visit_log": str(log)}] * 6, rounds=4)
    models = [model for model, _ in visits_in(log)]
    assert len({tuple(models[start : start + 6]) for start in range(0, 24, 6)}) > 1


def test_visits_go_on_until_precise_or_out_of_time_and_are_at_least_three():
    report = probe_run(*[{"call": "wait", "wait_s": 0.01}] * 2, precision=0.5)
    assert report.speed.visits.tolist() == [MIN_VISITS_FOR_PRECISION] * 2
    report = probe_run({"call": "wait", "wait_s": 0.02}, precision=1e-9, max_time=0.7)
    (row,) = report.speed.itertuples()
    assert 3 <= row.visits <= MAX_VISITS
    assert row.noisy
    calls_s = report.results[0].outcome.timing.calls_s
    assert calls_s <= 0.7 + 2 * calls_s / row.visits  # no visit is begun that cannot end in time


def test_a_case_whose_visits_cost_too_much_has_one_and_says_so():
    report = probe_run({"call": "wait", "wait_s": 0.2}, max_time=0.5)
    (row,) = report.speed.itertuples()
    assert (row.visits, row.interval, row.n) == (1, "samples", 3)


def test_one_round_is_one_process_that_samples_until_precise():
    (row,) = probe_run({"call": "wait", "wait_s": 0.002}, rounds=1).speed.itertuples()
    assert (row.visits, row.interval) == (1, "samples")
    assert row.n >= 6


def test_memory_alone_takes_one_visit(tmp_path):
    log = tmp_path / "log"
    log.touch()
    probe_run({"visit_log": str(log)}, speed=False)
    assert len(visits_in(log)) == 1


def test_a_case_that_crashes_in_a_later_visit_is_reported_so_and_not_measured_on(tmp_path):
    log = tmp_path / "log"
    log.touch()
    report = probe_run({"call": "dies_in_third_visit", "visit_log": str(log)}, {})
    failed, other = report.speed.itertuples()
    assert failed.status == "crashed"
    assert failed.reason.endswith("(in visit 3, after 2 that went well)")
    assert math.isnan(failed.median_s)
    assert len(visits_in(log)) == 3
    assert other.status == "ok"


def test_what_visits_have_measured_is_kept_when_a_run_is_cancelled(tmp_path):
    log = tmp_path / "log"
    log.touch()
    job = nbbench.submit(
        frameworks=["probe"],
        configs=[{"model_type": "probe", "call": "hangs_in_third_visit", "visit_log": str(log)}],
        sequence_lengths=[8],
        max_time=0.5,
    )
    deadline = time.monotonic() + 60
    while len(visits_in(log)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.cancel()
    assert job.wait(60)
    (row,) = job.report().speed.itertuples()
    assert (row.status, row.visits) == ("ok", 2)


def test_a_report_with_visits_is_saved_and_loaded(tmp_path):
    report = probe_run({}, {})
    loaded = nbbench.Report.load(report.save(tmp_path / "x.nbbench.json"))
    assert loaded == report
    visits = loaded.results[0].outcome.timing.visits
    assert visits == report.results[0].outcome.timing.visits
    assert all(visit.references for visit in visits)


def test_the_reference_takes_at_most_a_twentieth_of_the_calls_time():
    report = probe_run({"call": "wait", "wait_s": 0.001}, {"call": "wait", "wait_s": 0.02})
    for result in report.results:
        for visit in result.outcome.timing.visits:
            assert sum(visit.references) <= 0.05 * visit.calls_s + max(visit.references, default=0)
