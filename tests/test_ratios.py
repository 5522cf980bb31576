"""What visits say of two cases: how often a difference is found that is none, or is not found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nbbench.plan.result import Result
from nbbench.report.ratios import LOOKS, paired_ratio, trimmed_mean_of, unpaired_ratio
from nbbench.report.verdict import compare_results
from nbbench.report.visits import summarize_visits
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.timing import Visit

SECONDS, LEVEL = 5e-3, 2e-4


def visit(number, seconds, reference=LEVEL):
    return Visit((seconds,) * 3, references=(reference,) * 3, round=number)


def rounds(random, ratio, noise, hit, drift=0.0):
    """Two cases side by side: each visit has its chance, and now and then one is hit."""
    mine, theirs = [], []
    for number in range(LOOKS[-1]):
        for visits, factor in ((mine, ratio), (theirs, 1.0)):
            slow = random.normal(0, drift)
            late = random.exponential(0.12) if random.random() < hit else 0.0
            seconds = SECONDS * factor * math.exp(random.normal(0, noise) + late + 0.5 * slow)
            visits.append(visit(number, seconds, LEVEL * math.exp(slow)))
    return mine, theirs


def called(random, ratio, noise, hit, **more):
    """What is called of a ratio: 1 for slower, -1 for faster, 0 for neither; looks included."""
    mine, theirs = rounds(random, ratio, noise, hit, **more)
    for look in LOOKS:
        estimate = paired_ratio(mine[:look], theirs[:look])
        if max(abs(estimate.low), abs(estimate.high)) < math.log1p(0.02):
            return 0
        if estimate.low > 0 or estimate.high < 0:
            return 1 if estimate.low > 0 else -1
    return 0


def part_called(ratio, noise, trials=400, **more):
    random = np.random.default_rng(0)
    results = [called(random, ratio, noise, **more) for _ in range(trials)]
    return results.count(1) / trials, results.count(-1) / trials


@pytest.mark.parametrize("noise", [0.01, 0.035])
@pytest.mark.parametrize("hit", [0.0, 0.1])
def test_a_case_against_itself_is_seldom_called_different(noise, hit):
    assert sum(part_called(1.0, noise, hit=hit)) <= 0.06


@pytest.mark.parametrize("hit", [0.0, 0.1])
def test_a_slowdown_of_five_per_cent_is_found(hit):
    slower, faster = part_called(1.05, 0.035, hit=hit)
    assert slower >= 0.9
    assert faster == 0


def test_drift_between_the_two_visits_of_a_round_is_taken_out():
    random = np.random.default_rng(0)
    mine, theirs = rounds(random, 1.05, 0.01, 0.0, drift=0.2)
    plain = trimmed_mean_of(
        [math.log(a.samples[0] / b.samples[0]) for a, b in zip(mine, theirs, strict=True)]
    )
    assert paired_ratio(mine, theirs).half < plain.half / 2


def test_a_round_that_was_hit_hardly_moves_the_ratio():
    values = [0.05, 0.051, 0.049, 0.052, 0.048, 0.05, 0.05, 0.049, 3.0]
    estimate = trimmed_mean_of(values)
    assert estimate.mean == pytest.approx(0.05, abs=0.001)
    assert estimate.half < 0.005


def test_without_references_the_plain_ratio_is_taken():
    mine = [Visit((SECONDS * 1.1,) * 3, round=number) for number in range(6)]
    theirs = [Visit((SECONDS,) * 3, round=number) for number in range(1, 7)]
    assert paired_ratio(mine, theirs).mean == pytest.approx(math.log(1.1))
    assert paired_ratio(mine[:3], theirs) is None  # two rounds in common
    assert unpaired_ratio(mine, theirs).mean == pytest.approx(math.log(1.1))
    assert unpaired_ratio(mine[:2], theirs) is None


def test_visits_of_two_runs_are_no_neighbours():
    """They have the machine's drift from day to day in them, which no round takes out."""
    mine, theirs = rounds(np.random.default_rng(0), 1.0, 0.01, 0.0)
    slower = [replace(each, samples=tuple(1.01 * s for s in each.samples)) for each in theirs]
    before = [replace(each, run="yesterday") for each in slower]
    assert paired_ratio(mine, before) is None
    partly = paired_ratio(mine, [*before[:20], *theirs[20:]])
    assert partly.mean == pytest.approx(paired_ratio(mine[20:], theirs[20:]).mean)
    case, widths = Case("pytorch", "m", {}, "given", 1, 8), []
    for others in (slower, before):
        result, base = (
            Result(case, Outcome(Status.OK, timing=summarize_visits(visits, 0.02, None)))
            for visits in (mine, others)
        )
        found = compare_results(result, base, paired=True)
        widths.append(math.log(found.high / found.low))
    assert widths[1] > 1.3 * widths[0]


def test_two_runs_that_are_noisy_within_are_taken_to_differ_as_runs():
    random = np.random.default_rng(0)
    halves = []
    for noise in (0.005, 0.05):
        runs = [
            [visit(n, SECONDS * math.exp(random.normal(0, noise))) for n in range(30)]
            for _ in range(2)
        ]
        halves.append(unpaired_ratio(*runs).half)
    assert halves[0] < 0.015
    assert halves[1] > 0.05


def results_of(*of_visits, **more):
    cases = [Case(each, "m", {}, "given", 1, 8) for each in more.pop("frameworks", ["pytorch"] * 2)]
    return [
        Result(case, Outcome(Status.OK, timing=summarize_visits(visits, 0.02, None), **more))
        for case, visits in zip(cases, of_visits, strict=True)
    ]


def with_kernel(visits, kernel, factor):
    """The same visits beside another kernel, which takes so many times as long."""
    return [
        replace(each, kernel=kernel, references=tuple(factor * s for s in each.references))
        for each in visits
    ]


@pytest.mark.parametrize("factor", [0.3, 1.2, 5.0])
@pytest.mark.parametrize("paired", [True, False])
def test_kernels_that_are_not_the_same_say_nothing_of_each_other(factor, paired):
    """Two frameworks or versions: a case against itself is not called faster by their kernels."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        mine, theirs = rounds(random, 1.0, 0.01, 0.0, drift=0.1)
        mine, theirs = with_kernel(mine[:10], "one", factor), with_kernel(theirs[:10], "other", 1)
        for frameworks in (["pytorch"] * 2, ["tensorflow", "pytorch"]):
            result, base = results_of(mine, theirs, frameworks=frameworks)
            found = compare_results(result, base, paired=paired)
            assert 0.8 < found.ratio < 1.25
            plain = math.exp(
                sum(
                    math.log(a.samples[0] / b.samples[0]) for a, b in zip(mine, theirs, strict=True)
                )
                / 10
            )
            assert found.low < plain < found.high
            if not paired:
                assert found.low < 1 < found.high


def test_of_two_machines_the_slower_one_is_called_so():
    """Its reference is slower, too, which is no drift."""
    random = np.random.default_rng(0)
    mine, theirs = rounds(random, 1.0, 0.01, 0.0, drift=0.02)
    slow = [
        replace(each, samples=tuple(2 * s for s in each.samples), kernel="k")
        for each in with_kernel(mine[:10], "k", 2.0)
    ]
    result, base = results_of(slow, with_kernel(theirs[:10], "k", 1.0))
    other = Result(base.case, replace(base.outcome, device_name="another processor"))
    result = Result(result.case, replace(result.outcome, device_name="this processor"))
    found = compare_results(result, other, paired=False)
    assert found.verdict.value == "slower"
    assert found.ratio == pytest.approx(2.0, rel=0.05)
