"""`nbbench selftest`: what is known beforehand is found, and its verdicts are right."""

from __future__ import annotations

import time

import pytest

from nbbench import selftest
from nbbench.cli import main
from nbbench.cli.selftest import show
from nbbench.frameworks import backend_names, has_backend
from nbbench.report.verdict import Difference
from nbbench.report.verdict import Verdict as Compared
from nbbench.selftest import Check, Sizes, Verdict, checks, passed
from nbbench.worker.backends.selftest import slowed
from nbbench.worker.case import Case, Status
from tests.conftest import first_benchmark_cancelled, wait_until

TINY = Sizes(
    waits_s=(0.002,),
    memory_mib=(16,),
    sizes=((16, 4),),
    compared=(16, 4),
    known_s=0.1,
    beside_s=0.2,
    compared_s=0.2,
)


def without_torch(monkeypatch):
    monkeypatch.setattr(selftest, "_missing", lambda: ["torch"])


@pytest.mark.slow
@pytest.mark.newest
def test_each_check_runs_and_says_what_it_found():
    pytest.importorskip("torch")
    found = list(checks(TINY))
    assert [check.name for check in found] == [
        "a wait of 2.00 ms",
        "memory of 16 MiB, held for a moment",
        "beside torch.utils.benchmark, size 16 × 4",
        "a case against itself",
        "calls 5% longer",
    ]
    wait, memory, beside, itself, longer = found
    assert "ms (" in wait.found
    assert memory.verdict is Verdict.OK, memory
    assert "of its time" in beside.found
    for compared in (itself, longer):
        assert compared.found.split(",")[0] in {each.value for each in Compared}


def test_without_torch_its_rows_are_skipped_with_the_reason(monkeypatch, capsys):
    without_torch(monkeypatch)
    monkeypatch.setattr(selftest, "judged", lambda *_: Verdict.OK)
    assert show(TINY) == 0
    out = capsys.readouterr().out
    assert out.count("skipped      torch: not installed in this interpreter") == 3
    assert "all is well: 2 checks, 3 skipped" in out


def test_a_check_that_fails_is_told_by_the_exit_code(monkeypatch, capsys):
    without_torch(monkeypatch)
    monkeypatch.setattr(selftest, "judged_memory", lambda *_: Verdict.FAILED)
    assert show(TINY) == 1
    assert "see nbbench doctor" in capsys.readouterr().out


def test_an_interrupt_ends_all_of_it(capsys):
    with first_benchmark_cancelled():
        assert main(["selftest"]) == 130
    assert len(capsys.readouterr().out.splitlines()) == 1  # the head of the table


def test_an_interrupt_amid_the_visits_ends_it_too(monkeypatch):
    """The cases are ok then, with fewer visits."""

    def cut_short(job, **more):
        wait_until(lambda: any(each.outcome.timing for each in job.report().results))
        job.cancel()
        report = watched(job, **more)
        assert [result.outcome.status for result in report.results] == [Status.OK]
        return report

    watched = selftest.watched
    monkeypatch.setattr(selftest, "watched", cut_short)
    with pytest.raises(KeyboardInterrupt):
        selftest._run(
            "m", configs={"model_type": "selftest", "wait_s": 0.01}, frameworks=["selftest"],
            batch_sizes=[1], sequence_lengths=[8], max_time=30.0, precision=1e-6,
        )  # fmt: skip


def test_a_case_that_breaks_fails_with_its_reason(monkeypatch):
    without_torch(monkeypatch)
    monkeypatch.setattr(
        selftest, "_measured", lambda framework, configs, s: broken_results(len(configs))
    )
    found = list(checks(TINY))
    assert [check.verdict for check in found[:2]] == [Verdict.FAILED] * 2
    assert found[0].found == "it broke"


def broken_results(count):
    from nbbench.plan.result import Result
    from nbbench.worker.case import Outcome, Status

    case = Case("selftest", "m", {}, "given", 1, 8)
    return [Result(case, Outcome(Status.CRASHED, "it broke"))] * count


@pytest.mark.parametrize(
    ("found", "low", "high", "verdict"),
    [
        (1.01, 0.5, 1.5, Verdict.OK),
        (1.03, 1.00, 1.06, Verdict.UNSURE),
        (1.10, 1.05, 1.15, Verdict.FAILED),
        (0.90, 0.85, 0.95, Verdict.FAILED),
        (1.10, None, None, Verdict.FAILED),
    ],
)
def test_a_figure_is_right_within_2_percent(found, low, high, verdict):
    assert selftest.judged(found, low, high, 1.0) is verdict


@pytest.mark.parametrize(
    ("found", "expected", "verdict"),
    [(64.9, 64, Verdict.OK), (65.1, 64, Verdict.FAILED), (258, 256, Verdict.OK)],
)
def test_memory_is_right_within_a_mebibyte_or_1_percent(found, expected, verdict):
    assert selftest.judged_memory(found, expected) is verdict


def difference(verdict, ratio=1.0):
    case = Case("selftest-torch", "m", {}, "given", 1, 8)
    return Difference(case, case, verdict, ratio, 0.99, 1.01)


@pytest.mark.parametrize(
    ("compared", "itself", "longer"),
    [
        (Compared.SAME, Verdict.OK, Verdict.FAILED),
        (Compared.UNSURE, Verdict.OK, Verdict.OK),
        (Compared.SLOWER, Verdict.FAILED, Verdict.OK),
        (Compared.FASTER, Verdict.FAILED, Verdict.FAILED),
    ],
)
def test_what_comparisons_must_say(compared, itself, longer):
    assert selftest.judged_against_itself(difference(compared)) is itself
    assert selftest.judged_slowdown(difference(compared)) is longer


def test_a_comparison_of_nothing_fails():
    nothing = difference(Compared.UNSURE, ratio=None)
    assert selftest.judged_against_itself(nothing) is Verdict.FAILED
    assert selftest.judged_slowdown(nothing) is Verdict.FAILED


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([Compared.SLOWER, Compared.SAME], Verdict.OK),
        ([Compared.SLOWER, Compared.SLOWER], Verdict.FAILED),
    ],
)
def test_one_in_twenty_is_called_different_by_chance_and_is_measured_once_more(
    monkeypatch, verdicts, expected
):
    left = list(verdicts)
    monkeypatch.setattr(selftest, "_compared", lambda *_: difference(left.pop(0)))
    check = selftest._against_itself(TINY)
    assert check.verdict is expected
    assert left == []
    assert "at the second attempt" in check.found


def test_a_slowed_call_lasts_longer_by_its_part():
    taken = []

    def call():
        begin = time.perf_counter()
        time.sleep(0.02)
        taken.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    slowed(call, 0.5)()
    assert time.perf_counter() - begin >= 1.5 * taken[0]


def test_cannot_tell_is_no_pass():
    def check(verdict):
        return Check("", "", "", verdict)

    assert passed([check(Verdict.OK), check(Verdict.SKIPPED)])
    assert not passed([check(Verdict.OK), check(Verdict.UNSURE)])


def test_its_backends_are_not_offered_among_the_frameworks(capsys):
    assert has_backend("selftest")
    assert not {"selftest", "selftest-torch"} & set(backend_names())
    assert main(["run", "m", "--frameworks", "selftets"]) == 2
    assert "selftest" not in capsys.readouterr().err


def test_quick_takes_the_smaller_sizes(monkeypatch):
    seen = []
    monkeypatch.setattr("nbbench.cli.selftest.show", lambda sizes: seen.append(sizes) or 0)
    assert main(["selftest", "--quick"]) == main(["selftest"]) == 0
    assert seen == [selftest.QUICK, selftest.FULL]


@pytest.mark.slow  # it takes minutes, and wants a quiet machine
@pytest.mark.timeout(900)
def test_the_instrument_is_right_on_this_machine():
    assert main(["selftest"]) == 0
