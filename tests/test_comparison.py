"""What differs, by how much, how surely; and what is never called different."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import nbbench
from nbbench.cli import main
from nbbench.cli.compare import REGRESSION, UNSURE, judge
from nbbench.machine.machine import MachineFacts
from nbbench.plan.baseline import check_baseline
from nbbench.plan.result import Result
from nbbench.report.comparison import Comparison
from nbbench.report.differences import Differences, differences_from
from nbbench.report.environment import WorkerFacts
from nbbench.report.report import Report
from nbbench.report.verdict import Difference, Verdict
from nbbench.report.visits import summarize_visits
from nbbench.worker.case import AXES, Case, Outcome, Status
from nbbench.worker.memory_profile import MemoryProfile
from nbbench.worker.timing import Visit

MACHINE = MachineFacts(cpu="a processor", cpu_cores_usable=2, nbbench_version="1")
WORKERS = {("pytorch", "kernel"): WorkerFacts({"framework": "PyTorch", "threads": 2})}
LEVEL = 1e-3
HEADS = {axis.name: axis.head for axis in AXES}


def visits_of(random, seconds, count=8, slow=None, noise=0.004):
    """Visits of a case; ``slow`` is how slow the machine is in each of them."""
    slow = np.ones(count) if slow is None else slow
    visits = []
    for number in range(count):
        centre = math.log(seconds * slow[number]) + random.normal(0, noise)
        samples = np.exp(centre + random.normal(0, 0.02, 9))
        references = LEVEL * slow[number] * np.exp(random.normal(0, 0.02, 9))
        visits.append(Visit(tuple(samples), references=tuple(references), round=number))
    return visits


def result_of(visits, peak_mib=500, **case):
    values = {"execution": "eager", **case}
    model, config = values.pop("model", "m"), values.pop("config", {"model_type": "bert"})
    timing = summarize_visits(visits, 0.05, LEVEL)
    memory = MemoryProfile("high-water mark", peak=peak_mib << 20)
    outcome = Outcome(Status.OK, device="cpu", timing=timing, memory=memory)
    return Result(Case("pytorch", model, config, "given", 8, 32, **values), outcome)


def report_of(*results, machine=MACHINE, workers=WORKERS, baseline=None):
    return Report(results, machine, workers, baseline)


def pair(random, ratio, **more):
    """Two cases of one run, measured side by side on a machine that drifts."""
    slow = np.exp(np.cumsum(random.normal(0, 0.05, 8)))
    return report_of(
        result_of(visits_of(random, 0.01, slow=slow, **more)),
        result_of(
            visits_of(random, 0.01 * ratio, slow=slow * np.exp(random.normal(0, 0.01, 8)), **more),
            execution="compile",
        ),
    )


def verdicts(ratio, trials=100):
    random = np.random.default_rng(0)
    return [pair(random, ratio).compare().frame.verdict[0] for _ in range(trials)]


def test_a_thing_beside_itself_is_seldom_called_different():
    found = verdicts(1.0, trials=200)
    assert sum(verdict in ("faster", "slower") for verdict in found) <= 12


def test_a_slowdown_of_5_percent_is_found_and_never_called_faster():
    found = verdicts(1.05)
    assert found.count("slower") >= 90
    assert "faster" not in found
    assert verdicts(0.95).count("faster") >= 90


def test_a_row_has_its_ratio_with_an_interval_that_holds_the_truth():
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        row = pair(random, 1.3).compare().frame.iloc[0]
        held += row.ratio_low <= 1.3 <= row.ratio_high
    assert held >= 186


def test_the_baseline_decides_the_direction_and_stands_in_no_row():
    report = pair(np.random.default_rng(0), 2.0)
    (row,) = report.compare(by="execution").frame.itertuples()
    assert (row.execution, row.verdict) == ("compile", "slower")
    (row,) = report.compare(by="execution", baseline="compile").frame.itertuples()
    assert (row.execution, row.verdict) == ("eager", "faster")
    assert row.ratio == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"by": "execution", "baseline": "eagre"},
            "is no execution of these.*did you mean 'eager'",
        ),
        ({"by": "exection"}, "is not one of model.*did you mean 'execution'"),
        ({"baseline": "xla"}, "do not differ in 'xla'"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(arguments, sentence):
    report = pair(np.random.default_rng(0), 1.0)
    with pytest.raises(nbbench.ArgumentError, match=sentence):
        report.compare(**arguments)


def test_the_first_of_several_ways_is_what_the_others_are_compared_with():
    random = np.random.default_rng(0)
    ways = [("eager", "none"), ("eager", "int8"), ("compile", "none"), ("compile", "int8")]
    made = [
        result_of(visits_of(random, seconds), execution=execution, quantization=quantization,
                  model=model)
        for model in ("a", "b")
        for seconds, (execution, quantization) in zip((0.01, 0.02, 0.005, 0.01), ways, strict=True)
    ]  # fmt: skip
    comparison = report_of(*made, baseline="first").compare()
    found = [(d.case.model, d.other.model, d.verdict.value) for d in comparison.differences]
    assert [each[:2] for each in found] == [("a", "a")] * 3 + [("b", "b")] * 3
    assert [each[2] for each in found][:2] == ["slower", "faster"]
    assert {(d.other.execution, d.other.quantization) for d in comparison.differences} == {
        ("eager", "none")
    }
    assert "against the first of each" in str(comparison)


def of_framework(random, framework, execution, seconds):
    result = result_of(visits_of(random, seconds), execution=execution)
    return replace(result, case=replace(result.case, framework=framework))


def test_a_framework_is_compared_with_the_same_execution_or_else_with_the_usual_one():
    random = np.random.default_rng(0)
    comparison = report_of(
        of_framework(random, "pytorch", "eager", 0.010),
        of_framework(random, "pytorch", "compile", 0.005),
        of_framework(random, "onnxruntime", "default", 0.008),
        of_framework(random, "jax", "compile", 0.008),
    ).compare(by="framework")
    found = [(d.case.framework, d.other.execution, d.verdict) for d in comparison.differences]
    assert found == [
        ("onnxruntime", "eager", Verdict.FASTER),
        ("jax", "compile", Verdict.SLOWER),
    ]
    assert "against execution" in repr(comparison)


def test_a_framework_is_compared_with_what_the_other_one_can_do():
    random = np.random.default_rng(0)
    eager, graph = (
        of_framework(random, "pytorch", execution, 0.01) for execution in ("eager", "graph")
    )
    graph = Result(graph.case, Outcome(Status.UNSUPPORTED, "PyTorch has no graph"))
    others = [of_framework(random, "tensorflow", way, 0.02) for way in ("eager", "graph")]
    comparison = report_of(eager, graph, *others).compare(by="framework")
    assert [(d.other.execution, d.verdict) for d in comparison.differences] == [
        ("eager", Verdict.SLOWER)
    ] * 2
    alone = report_of(eager, others[0]).compare(by="framework")
    assert "against execution" not in repr(alone)


def test_several_axes_ask_by_which():
    random = np.random.default_rng(0)
    report = report_of(
        result_of(visits_of(random, 0.01)),
        result_of(visits_of(random, 0.01), execution="compile", dtype="float16"),
    )
    with pytest.raises(nbbench.ArgumentError, match="differ in dtype, execution; say by which"):
        report.compare()


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.3, "cannot tell"), (5, "slower"), (0.2, "faster")]
)
def test_single_processes_are_called_different_only_where_they_lie_far_apart(factor, verdict):
    random = np.random.default_rng(0)
    one = result_of(visits_of(random, 0.01, count=1))
    other = result_of(visits_of(random, factor * 0.01, count=1), execution="compile")
    row = report_of(one, other).compare().frame.iloc[0]
    assert row.verdict == verdict
    assert row.ratio == pytest.approx(factor, rel=0.1)
    assert "fewer than 3 visits" in row.reason
    assert math.isnan(row.ratio_low or math.nan) == (verdict == "cannot tell")
    if verdict != "cannot tell":
        assert row.ratio_low < factor < row.ratio_high


def test_a_failed_case_is_not_compared_and_says_why():
    random = np.random.default_rng(0)
    good = result_of(visits_of(random, 0.01))
    bad = Result(replace(good.case, execution="compile"), Outcome(Status.OOM, "memory ran out"))
    row = report_of(good, bad).compare().frame.iloc[0]
    assert row.verdict == "cannot tell"
    assert "memory ran out" in row.reason


def test_memory_is_compared_with_a_tolerance_of_its_own():
    random = np.random.default_rng(0)
    visits = visits_of(random, 0.01)
    for peak, verdict in ((510, "same"), (530, "same"), (700, "larger"), (300, "smaller")):
        report = report_of(result_of(visits), result_of(visits, peak_mib=peak, execution="compile"))
        assert report.compare().frame.memory_verdict[0] == verdict


@pytest.mark.parametrize(
    ("device", "method", "is_compared"),
    [
        ("cpu", "high-water mark", True),
        ("cuda:0", "high-water mark", False),
        ("cpu", "polling at 5 ms", False),
    ],
)
def test_peaks_of_two_kinds_are_not_compared(device, method, is_compared):
    process = result_of(visits_of(np.random.default_rng(0), 0.01))
    memory = MemoryProfile(method, peak=100 << 20)
    outcome = replace(process.outcome, memory=memory, device=device)
    other = Result(replace(process.case, execution="compile"), outcome)
    (difference,) = report_of(process, other).compare().differences
    assert (difference.memory == "smaller") == is_compared
    assert (difference.memory_ratio is not None) == is_compared


def runs(random, ratio):
    """Two runs, minutes apart: the machine is at another speed in each."""
    reports = []
    for factor in (1.0, ratio):
        slow = np.exp(random.normal(0, 0.06) + np.cumsum(random.normal(0, 0.02, 8)))
        reports.append(report_of(result_of(visits_of(random, 0.01 * factor, slow=slow))))
    return reports


def across(ratio, trials=60):
    random = np.random.default_rng(0)
    pairs = [runs(random, ratio) for _ in range(trials)]
    return [new.compare(old).frame.verdict[0] for old, new in pairs]


def test_across_runs_the_reference_connects():
    same, slower = across(1.0), across(1.05)
    assert sum(verdict in ("faster", "slower") for verdict in same) <= 4
    assert slower.count("slower") >= 45
    assert "faster" not in slower


@pytest.mark.parametrize(
    ("machine", "workers", "note"),
    [
        (replace(MACHINE, cpu="another"), WORKERS, "processor: another before, a processor now"),
        (MACHINE, {("pytorch", "kernel"): WorkerFacts({"threads": 1})}, "threads: 1 before, 2 now"),
    ],
)
def test_nothing_is_called_faster_across_machines_or_threads(machine, workers, note):
    random = np.random.default_rng(0)
    old = report_of(result_of(visits_of(random, 0.02)), machine=machine, workers=workers)
    comparison = report_of(result_of(visits_of(random, 0.01))).compare(old)
    assert comparison.frame.verdict.tolist() == ["cannot tell"]
    assert note in comparison.notes
    assert repr(comparison).startswith(f"the environment differs: {note}")


def of_nodes(random, *nodes):
    """A report of a cluster: each node's processor is its own, with the case that ran there."""
    made = [result_of(visits_of(random, seconds), model=model) for model, seconds, _ in nodes]
    results = [
        replace(result, outcome=replace(result.outcome, node=node))
        for result, (_, _, node) in zip(made, nodes, strict=True)
    ]
    workers = {
        ("pytorch", f"kernel on {node}"): replace(
            WORKERS["pytorch", "kernel"], machine=replace(MACHINE, cpu=cpu)
        )
        for node, cpu in (("node 1", "EPYC"), ("node 2", "Xeon"))
    }
    return report_of(*results, workers=workers)


def test_cases_of_a_cluster_are_judged_by_the_machine_that_each_ran_on():
    random = np.random.default_rng(0)
    old = of_nodes(random, ("a", 0.01, "node 1"), ("b", 0.01, "node 2"))
    new = of_nodes(random, ("a", 0.02, "node 2"), ("b", 0.02, "node 2"))
    comparison = new.compare(old)
    assert [(d.case.model, d.verdict, d.reason) for d in comparison.differences] == [
        ("a", Verdict.UNSURE, "the environments differ"),
        ("b", Verdict.SLOWER, ""),
    ]
    assert comparison.notes == ("processor: EPYC before, Xeon now",)


def test_more_cases_make_a_mean_no_surer_of_what_they_share():
    case = result_of(visits_of(np.random.default_rng(0), 0.01)).case
    each = Difference(case, case, Verdict.UNSURE, 1.0, 1 / 1.1, 1.1)
    assert Comparison(Differences("", (each,) * 20)).mean == pytest.approx((1.0, 1 / 1.1, 1.1))


def test_cases_of_one_side_alone_are_listed():
    random = np.random.default_rng(0)
    shared = result_of(visits_of(random, 0.01))
    old = report_of(shared, result_of(visits_of(random, 0.01), model="old"))
    new = report_of(shared, result_of(visits_of(random, 0.01), model="new"))
    comparison = new.compare(old)
    assert len(comparison.differences) == 1
    assert [label.split()[0] for label in comparison.unmatched] == ["new", "old"]


def test_it_reads_as_text_markdown_html_and_a_plot():
    comparison = pair(np.random.default_rng(0), 2.0).compare()
    for text in (repr(comparison), comparison.to_markdown(), comparison._repr_html_()):
        assert "slower" in text
        assert "compile" in text
    pytest.importorskip("matplotlib")
    assert comparison.plot().axes.get_xlabel().startswith("time ratio")


def test_a_runs_baseline_stands_beside_its_times(tmp_path):
    report = pair(np.random.default_rng(0), 2.0)
    report = report_of(*report.results, baseline="eager")
    assert "verdict" in repr(report)
    assert "slower" in repr(report)
    assert "slower" in report._repr_html_()
    loaded = Report.load(report.save(tmp_path / "x.nbbench.json"))
    assert repr(loaded) == repr(report)


def saved(folder, name, *results):
    return str(report_of(*results).save(folder / f"{name}.nbbench.json"))


@pytest.mark.parametrize(
    ("ratio", "peak", "flags", "code"),
    [
        (1.0, 500, ["--fail-slower", "5%"], 0),
        (1.2, 500, ["--fail-slower", "5%"], 1),
        (0.8, 500, ["--fail-slower", "0.05"], 0),
        (1.0, 900, ["--fail-slower", "5%", "--fail-larger", "5%"], 1),
        (1.0, 900, ["--fail-slower", "5%"], 0),
    ],
)
def test_the_gate_has_an_exit_code_for_each_end(tmp_path, capsys, ratio, peak, flags, code):
    random = np.random.default_rng(0)
    old = saved(tmp_path, "old", result_of(visits_of(random, 0.01)))
    new = saved(tmp_path, "new", result_of(visits_of(random, 0.01 * ratio), peak_mib=peak))
    assert main(["compare", old, new, *flags]) == code
    assert ("no regression", "regression: ")[code] in capsys.readouterr().out


def test_the_gate_says_that_it_cannot_tell(tmp_path, capsys):
    random = np.random.default_rng(0)
    old = saved(tmp_path, "old", result_of(visits_of(random, 0.01, noise=0.3)))
    new = saved(tmp_path, "new", result_of(visits_of(random, 0.01, noise=0.3)))
    assert main(["compare", old, new]) == 0
    assert "regression" not in capsys.readouterr().out
    assert main(["compare", old, new, "--fail-slower", "5%"]) == 0
    assert "cannot tell: m pytorch" in capsys.readouterr().out
    assert main(["compare", old, new, "--fail-slower", "5%", "--fail-unsure"]) == 3


def test_the_gate_fails_where_a_case_fails_that_did_not(tmp_path, capsys):
    random = np.random.default_rng(0)
    good = result_of(visits_of(random, 0.01))
    other = result_of(visits_of(random, 0.01), model="other")
    failed = Result(good.case, Outcome(Status.OOM, "memory ran out"))
    old, new = saved(tmp_path, "old", good, other), saved(tmp_path, "new", failed, other)
    for flags in (["--fail-slower", "5%"], ["--fail-larger", "5%"]):
        assert main(["compare", old, new, *flags]) == 1
        assert "regression: m pytorch" in (printed := capsys.readouterr().out)
        assert "(oom)" in printed
    assert main(["compare", old, new]) == 0
    assert main(["compare", new, old, "--fail-larger", "5%"]) == 0
    assert main(["compare", old, saved(tmp_path, "all", failed), "--fail-slower", "5%"]) == 1
    stopped = saved(tmp_path, "stopped", Result(good.case, Outcome.skipped()), other)
    assert main(["compare", old, stopped, "--fail-larger", "5%", "--fail-unsure"]) == 3


def test_the_gate_cannot_tell_of_a_case_that_is_gone(tmp_path, capsys):
    random = np.random.default_rng(0)
    shared, gone = (result_of(visits_of(random, 0.01), model=model) for model in ("m", "gone"))
    never = Result(replace(gone.case, model="never"), Outcome(Status.OOM, "memory ran out"))
    old, new = saved(tmp_path, "old", shared, gone, never), saved(tmp_path, "new", shared)
    flags = ["compare", old, new, "--fail-slower", "20%"]
    assert main(flags) == 0
    assert "cannot tell: gone pytorch" in (printed := capsys.readouterr().out)
    assert "never" not in printed.splitlines()[-1]
    assert main([*flags, "--fail-unsure"]) == 3


def test_the_gate_fails_only_where_the_whole_interval_is_above():
    case = result_of(visits_of(np.random.default_rng(0), 0.01)).case
    for low, verdict, code in (
        (1.06, Verdict.SLOWER, REGRESSION),
        (1.04, Verdict.SLOWER, UNSURE),  # slower, but not surely by 5 %
        (1.06, Verdict.UNSURE, UNSURE),  # environments differ
    ):
        reason = "the environments differ" if verdict is Verdict.UNSURE else ""
        found = Difference(case, case, verdict, 1.08, low, 1.1, reason=reason)
        assert judge(Comparison(Differences("", (found,))), 0.05, None, True)[0] == code


def test_memory_is_compared_and_judged_without_times():
    good = result_of(visits_of(np.random.default_rng(0), 0.01), peak_mib=900)
    old, new, unknown = (
        report_of(replace(good, outcome=replace(good.outcome, timing=None, memory=memory)))
        for memory in (MemoryProfile("m", peak=500 << 20), MemoryProfile("m", peak=900 << 20), None)
    )
    (difference,) = new.compare(old).differences
    assert (difference.memory, difference.reason) == ("larger", "no time was taken")
    assert judge(new.compare(old), None, 0.05, False)[0] == REGRESSION
    both = report_of(*unknown.results, replace(good, case=replace(good.case, model="n")))
    assert judge(both.compare(both), None, 0.05, True)[0] == UNSURE


def test_a_setting_that_was_swapped_between_two_runs_is_compared_and_noted():
    random = np.random.default_rng(0)
    config = {"model_type": "bert", "transformers_version": "5.1"}
    old = report_of(result_of(visits_of(random, 0.01), attention="sdpa", config=config))
    config = {**config, "transformers_version": "5.2"}
    new = report_of(result_of(visits_of(random, 0.013), attention="eager", config=config))
    compared = new.compare(old)
    assert compared.frame.verdict.tolist() == ["slower"]
    assert "attention: sdpa before, eager now" in repr(compared)
    elsewhere = nbbench.Report(
        (result_of(visits_of(random, 0.013), environment="newer"),),
        MACHINE,
        {("pytorch", "newer"): WORKERS["pytorch", "kernel"]},
    )
    compared = elsewhere.compare(report_of(result_of(visits_of(random, 0.01))))
    assert compared.frame.verdict.tolist() == ["slower"]
    assert "environment: kernel before, newer now" in repr(compared)


def test_settings_that_a_run_has_several_of_are_not_taken_for_each_other():
    random = np.random.default_rng(0)
    old = report_of(result_of(visits_of(random, 0.01), attention="sdpa"))
    new = report_of(
        *(
            result_of(visits_of(random, 0.01), attention=name)
            for name in ("eager", "flex_attention")
        )
    )
    assert len(new.compare(old).frame) == 0


def test_a_baseline_that_cannot_be_written_is_refused():
    random = np.random.default_rng(0)
    report = report_of(
        *(result_of(visits_of(random, 0.01), model=model) for model in ("one", "two"))
    )
    with pytest.raises(nbbench.ArgumentError, match="these cases do not differ in"):
        report.compare(baseline=-(10**5000))


def test_nothing_compared_is_never_a_success(tmp_path):
    random = np.random.default_rng(0)
    old = saved(tmp_path, "old", result_of(visits_of(random, 0.01), model="a"))
    new = saved(tmp_path, "new", result_of(visits_of(random, 0.01), model="b"))
    assert main(["compare", old, new]) == 3


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["a.json"], "takes two reports"),
        (["a.json", "b.json"], "there is no report"),
        (["a.json", "b.json", "--fail-slower", "much"], "is no part like 5%"),
        (["a.json", "b.json", "--fail-slower", "5"], "'5' has no unit; write 5% or a part"),
        (["a.json", "b.json", "--fail-larger", "1.5"], "'1.5' has no unit; write 1.5% or"),
    ],
)
def test_bad_usage_is_2(argv, sentence, capsys):
    assert main(["compare", *argv]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.usefixtures("probe")
def test_a_baseline_is_refused_before_anything_runs_where_it_is_none():
    configs = [{"model_type": "probe"}] * 2
    with pytest.raises(nbbench.ArgumentError, match="did you mean 'probe-1'"):
        nbbench.run(frameworks=["probe"], configs=configs, baseline="prob-1")


@pytest.mark.parametrize(
    ("baseline", "axes"),
    [("eager", ["attention", "execution"]), (8, ["batch_size", "sequence_length"])],
)
def test_a_baseline_that_is_a_value_of_two_axes_is_refused(baseline, axes):
    random = np.random.default_rng(0)
    first = result_of(visits_of(random, 0.01), attention="eager")
    others = [
        replace(first, case=replace(first.case, **values))
        for values in (
            {"execution": "compile"},
            {"attention": "sdpa"},
            {"batch_size": 1},
            {"sequence_length": 8},
        )
    ]
    report = report_of(first, *others)
    with pytest.raises(nbbench.ArgumentError, match=f"{' and of '.join(axes)}; say by which"):
        report.compare(baseline=baseline)
    for axis in axes:
        assert f"by {HEADS[axis]}, against {baseline}" in str(
            report.compare(by=axis, baseline=baseline)
        )
    with pytest.raises(nbbench.ArgumentError, match=f"{' and of '.join(axes)}; give first, or"):
        check_baseline(str(baseline), [result.case for result in report.results])


def test_a_baseline_is_not_taken_for_what_follows_from_another_axis():
    case = result_of(visits_of(np.random.default_rng(0), 0.01)).case
    cases = [
        replace(case, batch_size=size, parallel=parallel, ranks=ranks)
        for size in (1, 8)
        for parallel, ranks in (("none", 1), ("tensor", 2))
    ]
    check_baseline("1", cases)  # the batch size: one rank is what none in parallel is
    with pytest.raises(nbbench.ArgumentError, match="is no value in which these cases differ"):
        check_baseline("2", cases)


def test_a_baseline_that_is_none_of_the_values_says_which_there_are():
    case = result_of(visits_of(np.random.default_rng(0), 0.01)).case
    cases = [
        replace(case, sequence_length=length, dtype=dtype)
        for length in (512, 8, 128, 32)
        for dtype in ("float32", "bfloat16")
    ]
    listed = "one of dtype bfloat16, float32; sequence_length 8, 32, 128, 512"
    with pytest.raises(nbbench.ArgumentError, match=listed):
        check_baseline("foo", cases)
    with pytest.raises(nbbench.ArgumentError, match="the cases do not differ"):
        check_baseline("foo", [case])


@pytest.mark.usefixtures("probe")
def test_a_baseline_compares_real_cases():
    report = nbbench.run(
        frameworks=["probe"],
        configs=[
            {"model_type": "probe", "call": "wait", "wait_s": wait} for wait in (0.004, 0.012)
        ],
        sequence_lengths=[8],
        max_time=1.0,
        baseline="first",
        progress=False,
    )
    (row,) = report.compare().frame.itertuples()
    assert (row.model, row.verdict) == ("probe-2", "slower")
    assert "slower" in repr(report)


@pytest.mark.parametrize("baseline", [None, "first", "8"])
def test_a_report_without_a_case_is_compared_by_nothing(baseline):
    with pytest.raises(nbbench.ArgumentError, match="no case; compare one that has"):
        Report([], MACHINE, {}, baseline).compare(by="sequence_length")


def test_an_interval_that_says_nothing_is_not_written_out():
    visits = [Visit((s,) * 5, round=n) for n, s in enumerate((0.002, 0.2, 0.01))]
    report = report_of(result_of(visits))
    assert report.speed.ci_high_s[0] > 10 * report.speed.median_s[0]
    (line,) = [line for line in repr(report).splitlines() if " ms" in line]
    assert "noisy" in line
    assert "[" not in line


def test_a_case_that_failed_early_leaves_a_baseline_of_one_meaning():
    """What executes it is not known then, which is no second axis in which cases differ."""
    visits = visits_of(np.random.default_rng(0), 0.01)
    asked = {"execution": "default"}
    fast, slow = (result_of(visits, attention=each, **asked) for each in ("eager", "sdpa"))
    ran = [replace(each, outcome=replace(each.outcome, execution="eager")) for each in (fast, slow)]
    case = replace(fast.case, attention="flash_attention_2")
    failed = Result(case, Outcome(Status.UNSUPPORTED, "not installed"))
    cases = [each.case for each in (*ran, failed)]
    check_baseline("eager", cases)
    differences = differences_from([*ran, failed], "eager")
    assert differences.title == "by attention, against eager"
    assert [each.case.attention for each in differences.each] == ["sdpa", "flash_attention_2"]


def test_the_default_of_executions_is_no_name_of_one():
    """It runs as eager or graph; as the mode of torch.compile it has one meaning."""
    eager = Case("pytorch", "m", {}, "given", 8, 32, execution="default")
    modes = [
        replace(eager, execution="compile", compile_mode=m) for m in ("default", "reduce-overhead")
    ]
    check_baseline("default", [eager, *modes])
    check_baseline("eager", [eager, *modes])


def test_a_case_that_is_now_too_large_is_a_regression():
    before = result_of(visits_of(np.random.default_rng(0), 0.01))
    for reason, failed in (
        ("larger than batch 4, which ran out of memory", "skipped"),
        (Outcome.skipped().reason, ""),
    ):
        now = Result(before.case, Outcome(Status.SKIPPED, reason))
        (difference,) = report_of(now).compare(report_of(before)).differences
        assert difference.failure == failed
