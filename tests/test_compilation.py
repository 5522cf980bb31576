"""torch.compile in the open: what it costs, cold and warm, and when it has paid."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

import nbbench
from nbbench.plan.result import Result
from nbbench.report.dataframes import speed_frame
from nbbench.report.tables import summary
from tests.conftest import TINY_BERT

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, x):
        x = self.layer(x)
        {between}
        return self.layer(x)

def build():
    return Net()

def inputs(batch_size, sequence_length=None):
    return {{"x": torch.ones(batch_size, 4)}}
"""


def run(*models, **values):
    pytest.importorskip("torch")
    defaults = {"batch_sizes": [2], "device": "cpu", "max_time": 0.5, "progress": False}
    return nbbench.run(*models, **{**defaults, **values})


@pytest.fixture(scope="module")
def report():
    """Eagerly, and through all of torch.compile but its compiler, which takes its time."""
    return run(
        "bert",
        configs=[TINY_BERT],
        sequence_lengths=[8],
        executions=["eager", "compile"],
        compile_backend="aot_eager",
    )


def test_compiling_has_columns_of_its_own_cold_and_warm(report):
    eager, compiled = report.speed.iloc[0], report.speed.iloc[1]
    assert math.isnan(eager.compile_cold_s)
    assert math.isnan(eager.compile_warm_s)
    assert compiled.compile_cold_s == pytest.approx(compiled.first_call_s - compiled.median_s)
    assert compiled.compile_warm_s > 0
    assert compiled.visits >= 3  # the first one's cost says nothing of the others'
    assert compiled.graph_breaks == 0
    assert compiled.recompilations == 0


def test_graph_breaks_are_counted(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NET.format(between="torch._dynamo.graph_break()"))
    report = run(f"{file}:build", executions=["compile"], compile_backend="eager")
    assert report.speed.status[0] == "ok", report.speed.reason[0]
    assert report.speed.graph_breaks[0] == 1


COUNTED = """
import torch
from nbbench.worker.backends.torch_compilation import Compilation

run = torch.compile(lambda x: x + 1, backend="eager", dynamic=False)
compilation = Compilation(torch)
run(torch.ones(2))
compilation.begin_sampling()
before = compilation.recompilations
run(torch.ones(3))
print(before, compilation.recompilations)
"""


def test_what_is_compiled_anew_amid_the_samples_is_counted():
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_times_with_compiling_amid_their_samples_are_marked(report):
    compiled = report.results[1]
    first, *others = compiled.outcome.timing.visits
    visits = (replace(first, recompilations=2), *others)
    timing = replace(compiled.outcome.timing, visits=visits)
    table = summary([Result(compiled.case, replace(compiled.outcome, timing=timing))])
    assert table.rows[0][table.heads.index("time")].endswith("recompiled")
    assert timing.recompilations == 2


def test_the_calls_that_make_up_for_compiling_are_counted_from_both_rows(report):
    eager, compiled = report.results
    timing = compiled.outcome.timing
    half = eager.outcome.timing.median_s / 2
    over = {"interval": "visits"}
    fast = replace(timing, median_s=half, ci_low_s=0.9 * half, ci_high_s=1.1 * half, **over)
    sure = replace(eager.outcome.timing, ci_low_s=1.8 * half, ci_high_s=2.2 * half, **over)
    eager = Result(eager.case, replace(eager.outcome, timing=sure))
    faster = Result(compiled.case, replace(compiled.outcome, timing=fast))
    row = speed_frame([eager, faster]).iloc[1]
    saved = eager.outcome.timing.median_s / 2
    assert row.break_even_calls == math.ceil((timing.visits[0].first_call_s - saved) / saved)
    elsewhere = Result(eager.case, replace(eager.outcome, node="another machine"))
    assert speed_frame([elsewhere, faster]).break_even_calls.isna().all()
    unsure = replace(fast, ci_high_s=1.9 * half)
    meeting = Result(compiled.case, replace(compiled.outcome, timing=unsure))
    assert speed_frame([eager, meeting]).break_even_calls.isna().all()
    one_process = replace(compiled.outcome, timing=replace(fast, interval="samples"))
    of_samples = Result(compiled.case, one_process)
    assert speed_frame([eager, of_samples]).break_even_calls.notna().any()
    sure_alone = replace(eager.outcome, timing=replace(sure, interval="samples"))
    both = [Result(eager.case, sure_alone), of_samples]
    assert speed_frame(both).break_even_calls.isna().all()
    slower = Result(
        compiled.case,
        replace(
            compiled.outcome, timing=replace(timing, median_s=1e3, ci_low_s=9e2, ci_high_s=1.1e3)
        ),
    )
    assert speed_frame([eager, slower]).break_even_calls.isna().all()


def test_eager_and_compiled_are_compared_by_their_execution(report):
    (difference,) = report.compare(by="execution").differences
    assert difference.other.execution == "eager"
    assert difference.case.execution == "compile"
    assert difference.ratio > 0


def test_each_mode_is_compared_with_eager_and_told_apart():
    modes = ["default", "max-autotune"]
    report = run(
        "bert", configs=[TINY_BERT], sequence_lengths=[8], executions=["eager", "compile"],
        compile_modes=modes, compile_backend="aot_eager", baseline="eager",
    )  # fmt: skip
    assert [d.case.compile_mode for d in report.compare(by="execution").differences] == modes
    assert list(report.summary["compile mode"]) == ["", *modes]
    assert report.summary["verdict"].iloc[1]
    (between,) = report.compare(by="compile_mode").differences
    assert between.other.compile_mode == "default"


def test_the_compiling_calls_take_no_samples_time(report):
    timing = report.results[1].outcome.timing
    assert min(len(visit.samples) for visit in timing.visits) > 3
    assert max(timing.samples) < timing.first_call_s / 2
    first = timing.visits[0]
    beside_samples_s = first.calls_s - sum(first.samples) * first.calls_per_sample
    assert beside_samples_s < first.first_call_s


def test_the_table_has_what_compiling_took(report):
    table = summary(report.results)
    eager, compiled = (row[table.heads.index("compiling")] for row in table.rows)
    assert eager == ""
    assert compiled.endswith(" s")
    assert "warm" in compiled


def test_an_axis_in_which_nothing_differs_says_so(report):
    with pytest.raises(nbbench.ArgumentError, match="have one cache alone"):
        report.compare(by="cache")


def test_modes_are_an_axis():
    arguments = nbbench.BenchmarkArguments(
        models=["m"], executions=["eager", "compile"], compile_modes=["default", "max-autotune"]
    )
    assert arguments.compilations("pytorch") == [
        ("eager", ""),
        ("compile", "default"),
        ("compile", "max-autotune"),
    ]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"compile_mode": "max-autotune"}, "compile_modes is for executions compile"),
        ({"compile_dynamic": True}, "compile_dynamic is for executions compile"),
        ({"compile_backend": "eager"}, "compile_backend is for executions compile"),
    ],
)
def test_what_is_for_torch_compile_wants_it(values, sentence):
    with pytest.raises(nbbench.ArgumentError, match=sentence):
        nbbench.BenchmarkArguments(models=["m"], **values)


def test_a_backend_that_is_not_there_is_named_with_those_that_are():
    report = run(
        "bert", configs=[TINY_BERT], sequence_lengths=[8], executions=["compile"],
        compile_backend="tvm2",
    )  # fmt: skip
    assert report.speed.status[0] == "unsupported"
    assert "tvm2 is not one that PyTorch" in report.speed.reason[0]
    assert "inductor" in report.speed.reason[0]


@pytest.mark.slow
def test_a_second_run_is_as_cold_as_the_first():
    values = {"configs": [TINY_BERT], "sequence_lengths": [8], "executions": ["compile"]}
    first, second = run("bert", **values).speed, run("bert", **values).speed
    for speed in (first, second):
        assert speed.compile_cold_s[0] > 2 * speed.compile_warm_s[0]
    assert second.compile_cold_s[0] / first.compile_cold_s[0] == pytest.approx(1, abs=0.5)
