"""Which case to take: `best` and `pareto`, also against a check of every pair."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbbench
from nbbench.cli import main
from nbbench.errors import ArgumentError
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.budget import budget_of_texts
from nbbench.report.report import Report
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.memory_profile import MemoryProfile
from nbbench.worker.timing import TokenTime, TokenTimes
from tests.test_original_tables import timing

MIB = 2**20


def row(model, median, low, high, peak_mib=100, batch=1, length=8, device="cuda:0", **case):
    took = replace(timing(median), ci_low_s=low, ci_high_s=high, interval="visits")
    memory = None if peak_mib is None else MemoryProfile("m", peak=int(peak_mib * MIB))
    outcome = Outcome(Status.OK, timing=took, memory=memory, device=device, tokens_per_call=80)
    return Result(Case("pytorch", model, {}, "given", batch, length, **case), outcome)


def generated(model, latency, ttft, tpot, batch=2):
    result = row(model, latency, latency, latency, batch=batch, mode="generation", new_tokens=4)
    times = TokenTimes(TokenTime(ttft, ttft, ttft), TokenTime(tpot, tpot, tpot))
    took = replace(result.outcome.timing, tokens=times)
    return Result(result.case, replace(result.outcome, timing=took))


def failed(model):
    case = Case("pytorch", model, {}, "given", 1, 8)
    return Result(case, Outcome(Status.OOM, "memory ran out", Phase.WARMING))


def report(*results):
    return Report(list(results), MachineFacts(), {})


def choices(choice):
    return [(each.result.case.model, each.choice) for each in choice]


THREE = report(
    row("small", 0.010, 0.009, 0.011, 100),
    row("middle", 0.0115, 0.0105, 0.0125, 80),
    row("large", 0.100, 0.090, 0.110, 300),
)


def test_the_best_comes_first_and_ties_by_interval_are_ties():
    choice = THREE.best(by="latency")
    assert choices(choice) == [("small", "best"), ("middle", "tie")]
    frame = choice.to_frame()
    assert frame.choice.tolist() == ["best", "tie"]
    assert frame.latency_s.tolist() == [0.010, 0.0115]
    assert frame.latency_ci_high_s.tolist() == [0.011, 0.0125]
    assert frame.equals(choice.frame)
    for text in (repr(choice), choice._repr_html_(), choice.to_markdown()):
        assert "best by latency" in text
        assert "tie" in text
        assert "large" not in text


def test_throughput_is_the_default_and_more_is_better():
    fast = report(row("a", 0.010, 0.010, 0.010, batch=1), row("a", 0.020, 0.020, 0.020, batch=8))
    choice = fast.best()
    assert choice.frame.batch_size.tolist() == [8]
    assert choice.frame.samples_per_s.tolist() == [400.0]


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("12 ms", [("small", "best", "surely"), ("middle", "perhaps", "perhaps")]),
        ("13 ms", [("small", "best", "surely"), ("middle", "tie", "surely")]),
        ("10.7 ms", [("small", "best", "perhaps"), ("middle", "tie", "perhaps")]),
        (0.0107, [("small", "best", "perhaps"), ("middle", "tie", "perhaps")]),
        ("5 ms", [("small", "nearest", "no")]),
    ],
)
def test_a_limit_is_kept_surely_perhaps_or_not(limit, found):
    choice = THREE.best(by="latency", latency=limit)
    assert [(each.result.case.model, each.choice, each.limits) for each in choice] == found
    assert choice.met == (found[0][2] != "no")


def test_where_no_case_keeps_to_the_limits_the_nearest_says_by_how_much():
    choice = THREE.best(latency="5 ms", memory="40 MiB")
    assert choices(choice) == [("middle", "nearest")]
    assert choice.frame.missed.tolist() == ["latency by a factor of 2.3, memory by a factor of 2"]
    assert "no case keeps to latency 5 ms, memory 40 MiB; this comes nearest" in repr(choice)
    assert (
        THREE.best(latency="9 ms", by="memory", model="large")
        .rows[0]
        .missed.startswith("latency by a factor of 11.1")
    )
    assert THREE.best(memory="75 MiB").rows[0].missed == "memory by 6.7%"


def test_peaks_on_the_cpu_are_ties_where_they_differ_by_chance():
    on_cpu = report(
        row("a", 0.01, 0.01, 0.01, 500, device="cpu"),
        row("b", 0.01, 0.01, 0.01, 520, device="cpu"),
        row("c", 0.01, 0.01, 0.01, 540, device="cpu"),
    )
    assert choices(on_cpu.best(by="memory")) == [("a", "best"), ("b", "tie")]
    assert on_cpu.best(by="memory", memory="510 MiB").rows[0].limits == "perhaps"
    on_gpu = report(row("a", 0.01, 0.01, 0.01, 500), row("b", 0.01, 0.01, 0.01, 501))
    assert choices(on_gpu.best(by="memory")) == [("a", "best")]


def test_a_time_without_an_interval_is_as_unsure_as_processes_differ():
    unsure = report(row("a", 0.010, None, None), row("b", 0.014, 0.014, 0.014))
    assert choices(unsure.best(by="latency")) == [("a", "best"), ("b", "tie")]
    assert unsure.best(latency="12 ms", model="a").rows[0].limits == "perhaps"


def of_one_process(result):
    """The same with an interval over samples."""
    took = replace(result.outcome.timing, interval="samples")
    return Result(result.case, replace(result.outcome, timing=took))


def test_an_interval_over_samples_is_wider_by_as_much_as_processes_differ():
    two = row("a", 0.0997, 0.0990, 0.1004), row("b", 0.1018, 0.1010, 0.1026)
    surely = report(*two).best(by="latency", latency="101 ms")
    assert [(each.choice, each.limits) for each in surely] == [("best", "surely")]
    unsure = report(*map(of_one_process, two)).best(by="latency", latency="101 ms")
    assert [each.choice for each in unsure] == ["best", "tie"]
    assert [each.limits for each in unsure] == ["perhaps", "perhaps"]
    frame = unsure.to_frame()
    assert frame.latency_ci_low_s.tolist() == pytest.approx([0.0990 / 1.5, 0.1010 / 1.5])
    assert frame.latency_ci_high_s.tolist() == pytest.approx([0.1004 * 1.5, 0.1026 * 1.5])


def test_times_of_tokens_over_samples_are_wider_by_as_much():
    made = report(
        *map(of_one_process, (generated("a", 1, 0.2, 0.02), generated("b", 1, 0.3, 0.01)))
    )
    assert choices(made.best(by="ttft")) == [("a", "best"), ("b", "tie")]
    assert made.best(by="ttft", ttft="250 ms").rows[0].limits == "perhaps"
    assert choices(made.best(by="tpot")) == [("b", "best"), ("a", "tie")]


def test_generation_has_limits_of_its_own():
    made = report(generated("a", 1.0, 0.2, 0.02), generated("b", 0.9, 0.3, 0.01))
    assert choices(made.best(by="tpot", ttft="250 ms")) == [("a", "best")]
    assert choices(made.best(by="latency", tpot="15 ms")) == [("b", "best")]
    assert choices(made.best(by="decode_tokens_per_s")) == [("b", "best")]
    assert made.best(by="decode_tokens_per_s").frame.decode_tokens_per_s.tolist() == [200.0]


def test_axes_choose_which_cases_are_meant_and_other_work_is_noted():
    both = report(row("a", 0.01, 0.01, 0.01), row("a", 0.03, 0.03, 0.03, length=128))
    assert "cases differ in sequence_length" in " ".join(both.best(by="latency").notes)
    choice = both.best(by="latency", sequence_length=128, mode="inference")
    assert choice.frame.sequence_length.tolist() == [128]
    for written in (128, 128.0, "128", "128.0"):
        assert both.best(sequence_length=written, padding=0).results == choice.results
    assert choice.notes == ()
    assert "sequence_length 128" in choice.title


def test_what_failed_or_was_not_measured_is_not_considered_and_noted():
    choice = report(
        row("a", 0.01, 0.01, 0.01), row("b", 0.001, 0.001, 0.001, None), failed("c"), failed("d")
    ).best(by="latency", memory="1 GB")
    assert choices(choice) == [("a", "best")]
    assert choice.notes == (
        "2 cases that did not end well: not considered",
        "1 case without memory: not considered",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"by": "speed"}, r"'speed' is nothing to choose by; it is one of latency, throughput"),
        ({"by": "latncy"}, r"did you mean 'latency'\?"),
        ({"by": ["latency"]}, "is nothing to choose by"),
        ({"by": None}, "is nothing to choose by"),
        ({"by": "ttft"}, "ttft: no case generates; measure with generation=True"),
        ({"tpot": "20 ms"}, "tpot: no case generates"),
        ({"by": "cost_per_million_tokens"}, "cost_per_million_tokens: there is no price"),
        ({"latency": "fast"}, "latency: 'fast' is no time"),
        ({"memory": 4}, "memory: 4 is no size of memory; give a number with its unit"),
        ({"memory": "4 GB", "batch": 8}, "'batch' is neither a limit .* did you mean 'batch_size'"),
        ({"mode": "training"}, "no case has mode 'training'; there are inference"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence) as raised:
        THREE.best(**arguments)
    assert "\n" not in str(raised.value)


def test_a_report_in_which_nothing_ended_well_says_so():
    for empty in (report(failed("a")), report()):
        with pytest.raises(ArgumentError, match="there is nothing to choose from"):
            empty.best()


def test_pareto_keeps_what_no_other_case_surely_beats():
    choice = THREE.pareto()
    assert choices(choice) == [("small", "front"), ("middle", "front")]
    beaten_within_chance = report(
        row("a", 0.010, 0.009, 0.011, 80), row("b", 0.0105, 0.0095, 0.0115, 80)
    )
    assert choices(beaten_within_chance.pareto()) == [("a", "front"), ("b", "tie")]
    twice = report(row("a", 0.01, 0.01, 0.01), row("b", 0.01, 0.01, 0.01))
    assert choices(twice.pareto()) == [("a", "front"), ("b", "front")]
    assert choices(THREE.pareto(x="memory", y="latency"))[0] == ("middle", "front")


def test_pareto_takes_more_than_two_and_columns_of_ones_own():
    with_quality = THREE.with_column("quality", {"large": 60, "small": 50})
    found = with_quality.pareto("latency", "memory", "quality")
    assert choices(found) == [("small", "front"), ("large", "front")]
    assert "1 case without quality: not considered" in found.notes
    with pytest.raises(ArgumentError, match="between two quantities or more"):
        THREE.pareto("latency")
    with pytest.raises(ArgumentError, match="between two quantities or more"):
        THREE.pareto("latency", "latency")
    with pytest.raises(ArgumentError, match="keep one"):
        THREE.pareto("latency", "memory", x="ttft")


numbers = st.integers(1, 12)
rows = st.lists(
    st.tuples(numbers, st.integers(0, 3), st.integers(0, 3), st.one_of(st.none(), numbers)),
    min_size=1,
    max_size=12,
).filter(lambda found: any(peak is not None for *_, peak in found))
limits = st.one_of(st.none(), st.integers(1, 14))


def measured(found):
    return report(
        *(
            row(f"m{number}", middle / 100, max(middle - below, 0.5) / 100, (middle + above) / 100,
                peak)
            for number, (middle, below, above, peak) in enumerate(found)
        )
    )  # fmt: skip


def as_known(result):
    """A case's time and memory, each as value, low and high; read from the result itself."""
    took, memory = result.outcome.timing, result.outcome.memory
    peak = 0 if memory is None else memory.peak
    return (took.median_s, took.ci_low_s, took.ci_high_s), (peak, peak, peak)


def named(choice, kind):
    """The models that were chosen so; each has one case."""
    return [each.result.case.model for each in choice if each.choice == kind]


@settings(max_examples=150, deadline=None)
@given(rows, limits, limits, st.sampled_from(["latency", "memory", "throughput"]))
def test_best_is_what_a_check_of_all_cases_finds(found, latency, memory, by):
    whole = measured(found)
    known = {
        r.case.model: as_known(r)
        for r in whole.results
        if r.outcome.memory is not None or (by != "memory" and memory is None)
    }
    bounds = (
        float("inf") if latency is None else latency / 100,
        float("inf") if memory is None else memory * MIB,
    )

    def within(model, end):
        return all(each[end] <= bound for each, bound in zip(known[model], bounds, strict=True))

    def excess(model):
        pairs = zip(known[model], bounds, strict=True)
        return max(each[0] / bound for each, bound in pairs if each[1] > bound)

    sure = {model for model in known if within(model, 2)}
    able = {model for model in known if within(model, 1)}
    choice = whole.best(
        by=by,
        latency=None if latency is None else f"{latency * 10} ms",
        memory=None if memory is None else f"{memory} MiB",
    )
    if not able:
        least = min(map(excess, known))
        nearest = {model for model in known if excess(model) == pytest.approx(least, rel=1e-12)}
        assert set(named(choice, "nearest")) <= nearest
        assert len(choice) == len(named(choice, "nearest")) > 0
        return
    which = 1 if by == "memory" else 0  # with one sample a call, the fastest has most throughput
    wanted = {model: each[which] for model, each in known.items()}
    pool = sure or able
    (top,) = named(choice, "best")
    assert choice.results[0].case.model == top
    assert top in pool
    assert wanted[top][0] == min(wanted[model][0] for model in pool)
    _, low, high = wanted[top]
    meeting = {m for m in pool - {top} if wanted[m][1] <= high and low <= wanted[m][2]}
    assert set(named(choice, "tie")) == meeting
    rivals = {m for m in able - sure if wanted[m][1] <= high} if sure else set()
    assert set(named(choice, "perhaps")) == rivals


@settings(max_examples=150, deadline=None)
@given(rows, st.booleans())
def test_pareto_is_what_a_check_of_all_pairs_finds(found, with_quality):
    whole, names = measured(found), ["latency", "memory"]
    known = {r.case.model: as_known(r) for r in whole.results if r.outcome.memory is not None}
    if with_quality:
        quality = {f"m{n}": (3 * n) % 5 for n in range(len(found))}
        whole, names = whole.with_column("quality", quality), [*names, "quality"]
        known = {model: (*each, (-quality[model],) * 3) for model, each in known.items()}

    def beats(one, other, end, start):
        pairs = list(zip(known[one], known[other], strict=True))
        return all(a[0] <= b[0] for a, b in pairs) and any(a[end] < b[start] for a, b in pairs)

    choice = whole.pareto(*names)
    front = [m for m in known if not any(beats(other, m, 0, 0) for other in known)]
    kept = [m for m in known if not any(beats(other, m, 2, 1) for other in known)]
    assert set(front) == set(named(choice, "front"))
    assert set(kept) == {*named(choice, "front"), *named(choice, "tie")}
    assert front
    assert len(choice) == len(kept)


def test_costs_follow_from_the_price_and_are_missing_without():
    priced = THREE.with_price(0.36)
    speed = priced.speed
    assert speed.cost_per_thousand_samples.iloc[0] == pytest.approx(0.36 / 3600 * 0.010 * 1000)
    assert speed.cost_per_million_tokens.iloc[0] == pytest.approx(0.36 / 3600 * 0.010 / 80 * 1e6)
    assert THREE.speed.cost_per_million_tokens.isna().all()
    assert "cost/1M tokens" in repr(priced)
    assert "cost/1M tokens" not in repr(THREE)
    choice = priced.best(by="cost_per_thousand_samples")
    assert choices(choice) == [("small", "best"), ("middle", "tie")]


def test_in_generation_the_tokens_that_are_made_are_paid():
    made = report(generated("a", 1.0, 0.2, 0.02, batch=2)).with_price(3600)
    assert made.speed.cost_per_million_tokens.tolist() == pytest.approx([0.02 / 2 * 1e6])
    assert made.speed.cost_per_thousand_samples.tolist() == pytest.approx([1.0 / 2 * 1000])


@pytest.mark.parametrize("wrong", [0, -1, "0.35", None, True, float("nan"), 10**400, 1e10])
def test_what_is_no_price_is_refused(wrong):
    with pytest.raises(ArgumentError, match=r"price_per_hour: .* is no price; give a number"):
        THREE.with_price(wrong)


def test_a_price_is_kept_and_is_no_part_of_a_case(tmp_path):
    saved = THREE.with_price(0.35).save(tmp_path / "x.nbbench.json")
    loaded = nbbench.Report.load(saved)
    assert loaded == THREE.with_price(0.35)
    assert loaded != THREE
    assert [r.case for r in loaded.results] == [r.case for r in THREE.results]


@pytest.mark.parametrize(
    ("within", "limits", "where"),
    [
        (["latency=50ms", "memory=4GB"], {"latency": 0.05, "memory": 4e9}, {}),
        (["latency=50 ms, memory=4 GB"], {"latency": 0.05, "memory": 4e9}, {}),
        (["latency=50", "ms", "memory=4", "GB"], {"latency": 0.05, "memory": 4e9}, {}),
        (["latency = 0.05,memory=4 GiB,"], {"latency": 0.05, "memory": 4 * 2**30}, {}),
        (
            ["mode=inference", "sequence_length=8"],
            {},
            {"mode": "inference", "sequence_length": "8"},
        ),
        (["environment=torch==2.5 numpy<3"], {}, {"environment": "torch==2.5 numpy<3"}),
        (["latency=50ms" + " " * 1900 + ","], {"latency": 0.05}, {}),
        ([], {}, {}),
    ],
)
def test_flags_are_read_as_limits_and_axes(within, limits, where):
    budget = budget_of_texts("latency", within)
    assert budget.by == "latency"
    assert budget.limits == pytest.approx(limits)
    assert budget.where == where
    assert budget_of_texts(budget.flags[1], budget.flags[3:]) == budget


@pytest.mark.parametrize(
    ("within", "sentence"),
    [
        (["50ms"], "within: '50ms' is no limit; give pairs like latency=50ms memory=4GB"),
        (["latency="], "within: latency has no value"),
        (["latency=5ms latency=6ms"], "within: latency is given twice"),
        (["latency=5ms, and more"], "latency: '5ms, and more' is no time"),
        (["speed=5"], "'speed' is neither a limit"),
        (["latency=" + "9" * 5000], "is no limit"),
    ],
)
def test_flags_that_are_no_limits_are_one_sentence(within, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        budget_of_texts(None, within)


def test_the_shell_chooses_from_a_saved_report(tmp_path, capsys):
    file = str(THREE.save(tmp_path / "x.nbbench.json"))
    assert main(["best", file, "--by", "latency", "--within", "latency=12ms"]) == 0
    assert "best by latency within latency 12ms" in capsys.readouterr().out
    assert main(["best", file, "--within", "latency=1ms"]) == 1
    assert "no case keeps to latency 1ms" in capsys.readouterr().out
    assert main(["best", file, "--pareto", "latency", "memory", "--markdown"]) == 0
    assert "| front | small |" in capsys.readouterr().out
    scores = tmp_path / "scores.csv"
    scores.write_text("model,mmlu\nsmall,25.9\nlarge,60\n")
    assert main(["best", file, "--join", str(scores), "--by", "mmlu"]) == 0
    assert "large" in capsys.readouterr().out
    by_cost = ["--by", "cost_per_thousand_samples", "--price-per-hour", "0.35"]
    assert main(["best", file, *by_cost]) == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "takes one saved report, and 0 were given"),
        (["FILE", "FILE"], "takes one saved report, and 2 were given"),
        (["missing.json"], "there is no report 'missing.json'"),
        (["FILE", "--by", "speed"], "'speed' is nothing to choose by"),
        (["FILE", "--price-per-hour", "free"], "--price-per-hour: 'free' is no price above 0"),
        (["FILE", "--by", "latency", "--pareto", "latency", "memory"], "keep one"),
        (["FILE", "--pareto", "latency", "memory", "--within", "memory=4GB"], "has no limits"),
        (["FILE", "--join", "missing.csv"], "'missing.csv' cannot be read as a table"),
    ],
)
def test_bad_usage_of_the_shell_is_one_sentence(flags, sentence, tmp_path, capsys):
    file = str(THREE.save(tmp_path / "x.nbbench.json"))
    assert main(["best", *(file if flag == "FILE" else flag for flag in flags)]) == 2
    assert sentence in capsys.readouterr().err
