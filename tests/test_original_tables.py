"""The printed tables are those of Transformers' former benchmark, to the letter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbbench.hf.tables import former_tables
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.report import Report
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.memory_profile import MemoryProfile
from nbbench.worker.timing import Timing, Visit

GOLDEN = Path(__file__).parent / "golden" / "original_tables.txt"


def timing(median):
    values = {"median_s": median, "min_s": median, "mean_s": median, "ci_low_s": median,
              "ci_high_s": median, "std_s": 0.0, "p90_s": None, "p99_s": None}  # fmt: skip
    return Timing((Visit((median,) * 6, calls_s=6 * median),), noisy=False, **values)


def result(model, length, median=None, peak_mib=None, **case):
    outcome = Outcome(Status.OOM, "memory ran out", Phase.WARMING)
    if median is not None:
        memory = MemoryProfile("high-water mark", peak=int(peak_mib * 2**20))
        outcome = Outcome(Status.OK, timing=timing(median), memory=memory)
    return Result(Case("pytorch", model, {}, "given", 8, length, **case), outcome)


def report(*results):
    facts = {"framework": "PyTorch", "framework_version": "2.13.0"}
    workers = {("pytorch", "kernel"): WorkerFacts(facts)}
    return Report(list(results), MachineFacts(system="Linux"), workers)


def tables(report):
    return former_tables(report.results, report.facts)


RESULTS = (
    result("bert-base-uncased", 8, 0.0064, 1330.7),
    result("bert-base-uncased", 32, 0.0004, 1331.2),
    result("bert-base-uncased", 512, 1.25, 2000),
    result("a-model-whose-name-is-longer-than-thirty-characters", 8),
    result("bert-base-uncased", 8, 0.02, 1500, mode="training"),
)


def test_the_layout_is_the_originals(capsys):
    report(*RESULTS).print_tables()
    assert capsys.readouterr().out == GOLDEN.read_text(encoding="utf-8")


def test_only_what_was_asked_for_is_printed():
    text = tables(report(result("a", 8, 0.1, 10, memory=False)))
    assert "INFERENCE - SPEED - RESULT" in text
    assert "MEMORY" not in text
    assert "TRAIN" not in text


def test_long_names_are_not_cut_where_two_would_read_the_same():
    names = ["x" * 30 + "-small", "x" * 30 + "-large"]
    text = tables(report(*(result(name, 8, 0.1, 10) for name in names)))
    assert all(name in text for name in names)
    assert "x" * 31 not in tables(report(result(names[0], 8, 0.1, 10)))


def test_what_the_original_had_one_of_is_told_beside_the_name():
    one = result("a", 8, 0.1, 10)
    other = replace(one, case=replace(one.case, dtype="bfloat16"))
    assert "a bfloat16" in tables(report(one, other))
