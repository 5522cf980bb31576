"""About how long it will take, learned from what was measured: counted, not timed."""

from __future__ import annotations

import pytest

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.execution.events import CaseEnded, CaseVisited
from nbbench.execution.job import Job
from nbbench.execution.listeners import recent_results
from nbbench.execution.progress import Progress
from nbbench.plan.estimate import estimate, expected_seconds
from nbbench.plan.plan import Plan
from nbbench.plan.result import Result
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.timing import Timing, Visit


def case(length=8, batch=1, **more):
    return Case("pytorch", "m", {}, "given", batch, length, **{"max_time": 3, **more})


def timing(visits, call_s=0.001, calls_s=0.1, **more):
    """So many visits, each of which called for ``calls_s``."""
    taken = tuple(Visit((call_s,) * 6, calls_s=calls_s, round=n, **more) for n in range(visits))
    return Timing(taken, call_s, call_s, call_s, call_s, call_s, 0.0, None, None, False)


def known(of, visits, visit_s, start_s=0.0, **more):
    """A case whose visits took so many seconds each, after its framework had started."""
    wall_s = start_s + visits * visit_s
    outcome = Outcome(Status.OK, timing=timing(visits, **more), wall_s=wall_s, start_s=start_s)
    return Result(of, outcome)


@pytest.fixture
def two_runs(probe, tmp_path):
    """The arguments of a sweep, and the report of its first run."""
    log = tmp_path / "visits.log"
    arguments = {
        "models": ["a", "b"],
        "configs": [
            {"model_type": "probe", "call": "wait", "wait_s": 0.001, "visit_log": str(log)},
            {"model_type": "probe", "call": "wait", "wait_s": 0.004},
        ],
        "frameworks": ["probe"],
        "batch_sizes": [1],
        "sequence_lengths": [8],
        "training": True,
        "max_time": 0.5,
    }
    nbbench.close_workers()
    recent_results.clear()
    report = nbbench.run(progress=False, **arguments)
    return arguments, report, log


def test_a_second_run_is_estimated_by_all_the_visits_of_the_first(two_runs):
    arguments, report, log = two_runs
    outcomes = [result.outcome for result in report.results]
    assert [outcome.status for outcome in outcomes] == [Status.OK] * 4
    count, seconds = estimate(BenchmarkArguments(**arguments), recent_results)
    assert count == 4
    visits = [len(outcome.timing.visits) for outcome in outcomes]
    assert sum(visits[:2]) == len(log.read_text().splitlines())
    assert seconds == pytest.approx(sum(o.wall_s - o.start_s for o in outcomes))
    assert all(0 < o.start_s < o.wall_s - o.timing.calls_s for o in outcomes)


def test_progress_of_a_second_run_begins_with_what_the_first_took(two_runs):
    arguments, report, _ = two_runs
    _, seconds = estimate(BenchmarkArguments(**arguments), recent_results)
    job = nbbench.submit(**arguments)
    job.cancel()
    job.wait()
    begun = Progress([result.case for result in report.results], list(recent_results))
    assert begun.seconds_left() == pytest.approx(seconds)  # what was cancelled has changed nothing
    assert job.progress._known[:4] == list(recent_results)[:4]


def test_predictions_take_as_long_as_predictions_and_not_as_measurements():
    recent_results.append(known(case(), visits=5, visit_s=10.0))
    plan = Plan(BenchmarkArguments(models=["m"]), [case(), case(16), case(32)], {}, {})
    job = Job(plan, lambda is_cancelled: iter(()), is_timed=False)
    recent_results.pop()
    assert job.wait(60)
    assert job.progress.seconds_left() == 3 * 2.0
    job.progress.on_event(CaseEnded(case(), Outcome(Status.OK, wall_s=1.5)))
    assert job.progress.seconds_left() == 2 * 1.5


def test_like_cases_are_told_from_each_other():
    ran = [known(case(mode="inference"), 5, 1), known(case(mode="training"), 5, 10)]
    assert expected_seconds([case(mode="training")], ran) == pytest.approx(50)
    assert expected_seconds([case(mode="inference"), case(mode="training")], ran) == 55
    other = case(mode="training", device="cuda")
    assert expected_seconds([other], ran) == pytest.approx(50)


def test_more_new_tokens_take_longer_in_proportion():
    ran = [known(case(mode="generation", new_tokens=8), 5, 0.2)]
    seconds = expected_seconds([case(mode="generation", new_tokens=32, max_time=30)], ran)
    assert seconds == pytest.approx(5 * (0.1 + 4 * 0.1))
    ran.append(known(case(mode="generation", new_tokens=512), 5, 6.4))
    assert expected_seconds([case(mode="generation", new_tokens=500)], ran) == pytest.approx(32)


def test_quantized_compiled_and_divided_cases_are_told_from_others():
    for more in ({"quantization": "int8"}, {"compile_mode": "max-autotune"}, {"ranks": 2}):
        ran = [known(case(), 5, 1), known(case(**more), 5, 10)]
        assert expected_seconds([case(16)], ran) < 20
        assert expected_seconds([case(16, **more)], ran) >= 50


def test_the_start_of_a_framework_is_the_first_case_s_alone():
    assert expected_seconds([case()], [known(case(), 5, 0.2, start_s=30)]) == pytest.approx(1)
    assert expected_seconds([case(16)], [known(case(), 5, 0.2, start_s=30)]) < 2


def test_an_estimate_is_no_more_than_the_case_may_take():
    ran = [known(case(), 5, 0.3)]
    precise = expected_seconds([case(precision=1e-6)], ran)
    assert precise == pytest.approx(30 * 0.3)  # as many visits as there may be, 0.1 s of calls each
    short = expected_seconds([case(precision=1e-6, max_time=0.5)], ran)
    assert short == pytest.approx(5 * 0.3)
    assert expected_seconds([case(8000)], ran) == pytest.approx(4 + 0.2)  # 4 calls of a second


def test_rounds_that_are_asked_for_are_counted():
    ran = [known(case(), 7, 0.3)]
    assert expected_seconds([case(rounds=20)], ran) == pytest.approx(20 * 0.3)
    assert expected_seconds([case(rounds=2)], ran) == pytest.approx(2 * 0.3)
    assert expected_seconds([case()], [known(case(rounds=2), 2, 0.3)]) == pytest.approx(5 * 0.3)


@pytest.mark.parametrize("ended", [1, 2])
def test_a_case_that_was_cancelled_says_nothing_of_how_many_visits_it_takes(ended):
    assert expected_seconds([case()], [known(case(), ended, 0.3)]) == pytest.approx(5 * 0.3)


def test_one_long_visit_is_all_of_its_case():
    ran = [known(case(), 1, 40, calls_s=30, alone=True)]
    assert expected_seconds([case()], ran) == pytest.approx(40)


def test_a_case_that_failed_takes_as_long_to_fail_again():
    outcome = Outcome(Status.TIMEOUT, "too late", Phase.BUILDING, wall_s=60)
    assert expected_seconds([case()], [Result(case(), outcome)]) == 60
    assert expected_seconds([case(16)], [Result(case(), outcome)]) == 3 + 5 * 2
    assert expected_seconds([case(16, rounds=1)], [Result(case(), outcome)]) == 3 + 2


def test_a_case_that_was_visited_has_as_many_visits_left_as_it_took_before():
    ran = known(case(), 9, 0.3)
    first = known(case(), 1, 0.3, start_s=8).outcome
    for before, left in ((), 4), ((ran,), 8):
        progress = Progress([case()], before)
        progress.on_event(CaseVisited(case(), first))
        assert progress.seconds_left() == pytest.approx(left * 0.3)
