"""Predictions from every door: `nbbench plan`, `nbbench.predict`, and beside a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

import nbbench
from nbbench import ArgumentError, BenchmarkArguments
from nbbench.cli import main
from nbbench.execution.events import CaseEnded
from nbbench.execution.measure import measure, predict_cases
from nbbench.execution.predictions import seconds_to_predict
from nbbench.plan.plan import Plan
from nbbench.plan.result import Result
from nbbench.report.fit import AROUND, DeviceMemory, Fit, needed
from nbbench.report.predictions import Predictions, any_unfit
from nbbench.worker import run_case
from nbbench.worker.backends.torch_model import TorchModel
from nbbench.worker.case import Case
from nbbench.worker.messages import RunCase
from nbbench.worker.predict_case import expected_seconds
from nbbench.worker.prediction import ANY_S, CallCount
from tests.conftest import TINY_BERT, first_benchmark_cancelled
from tests.test_generation import LLAMA

FLAGS = ["--batch-sizes", "2", "--sequence-lengths", "8", "--no-wait"]
SIZES = {"batch_sizes": [2], "sequence_lengths": [8]}
QUICK = {**SIZES, "progress": False}
CODE = """
import torch

class Branches(torch.nn.Linear):
    def forward(self, x):
        found = super().forward(x)
        return found * 2 if (found > 0).any() else found

def plain():
    return torch.nn.Linear(64, 8)

def branches():
    return Branches(64, 8)

def inputs(batch_size):
    return torch.ones(batch_size, 64)
"""


@pytest.fixture
def model(tmp_path):
    pytest.importorskip("torch")
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(TINY_BERT))
    return str(folder)


def test_an_interrupted_plan_has_an_exit_code_of_its_own(probe, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "probe", "import": "hang"}')
    with first_benchmark_cancelled():
        assert main(["plan", str(tmp_path), *FLAGS, "--frameworks", "probe"]) == 130


def test_it_prints_what_a_case_needs(model, capsys):
    assert main(["plan", model, *FLAGS]) == 0
    printed = capsys.readouterr()
    assert "predicted peak" in printed.out
    assert "nothing was run; sizes are those of tensors, in MiB" in printed.out
    assert "busy machine" not in printed.err + printed.out


@pytest.mark.parametrize("memory", ["T4", "nvidia t4", "16GB", "16 GiB"])
def test_what_fits_ends_with_0(model, capsys, memory):
    assert main(["plan", model, *FLAGS, "--device-memory", memory]) == 0
    printed = capsys.readouterr().out
    assert "fits" in printed
    assert ("at least" in printed) == ("t4" in memory.lower())


def test_what_does_not_fit_ends_with_1(model, capsys):
    assert main(["plan", model, *FLAGS, "--device-memory", "1KB"]) == 1
    assert "does not fit" in capsys.readouterr().out


@pytest.mark.parametrize("memory", ["nonsense", "16", "0", "0 GB", "-4 GB", "", "T5"])
def test_a_memory_that_is_none_ends_with_2(model, capsys, memory):
    assert main(["plan", model, *FLAGS, "--device-memory", memory]) == 2
    printed = capsys.readouterr().err
    assert "device_memory" in printed
    assert "Traceback" not in printed


def test_it_prints_markdown(model, capsys):
    assert main(["plan", model, *FLAGS, "--markdown"]) == 0
    assert "| model |" in capsys.readouterr().out


def test_what_cannot_be_predicted_ends_with_1(model, capsys):
    assert main(["plan", model, *FLAGS, "--quantizations", "int8"]) == 1
    assert "what quantization int8 needs cannot be predicted; give none" in capsys.readouterr().out


def test_a_framework_without_predictions_says_which_has_them(model, probe):
    found = nbbench.predict(model, frameworks=["probe"], **QUICK)
    assert "framework probe cannot be predicted; give frameworks pytorch" in repr(found)


def test_a_folder_without_a_configuration_is_not_predicted(tmp_path):
    with pytest.raises(nbbench.ModelNotFound, match=r"config\.json"):
        nbbench.predict(str(tmp_path), **QUICK)


@pytest.mark.parametrize("memory", [0, 16, -1, True, "16", ["T4"], {}])
def test_python_refuses_a_memory_that_is_none(model, memory):
    with pytest.raises(ArgumentError, match="device_memory"):
        nbbench.predict(model, device_memory=memory, **QUICK)


def test_a_frame_has_sizes_times_and_whether_it_fits(model):
    frame = nbbench.predict(model, device_memory="T4", training=True, **QUICK).frame
    assert frame["mode"].tolist() == ["inference", "training"]
    assert frame["fit"].tolist() == ["fits", "fits"]
    assert (frame["predicted_peak_mib"] >= frame["weights_mib"]).all()
    assert pd.isna(frame["gradients_mib"][0])
    assert frame["gradients_mib"][1] > 0
    assert (frame["at_least_s"] > 0).all()


@pytest.mark.parametrize("name", ["RTX 3060", "RTX 3090", "RTX 4060", "RTX 4090"])
def test_the_bound_of_geforce_cards_is_with_sums_in_float32(name):
    gpu = DeviceMemory.of(name).gpu
    assert gpu.flops_per_s("float16") == gpu.flops_per_s("bfloat16")
    assert gpu.flops_per_s("bfloat16") == pytest.approx(2 * gpu.flops_per_s("float32"), rel=0.02)


def test_between_fitting_and_not_lies_the_margin():
    memory = DeviceMemory.of("2 GiB")
    assert memory.fit(2**31 + 1) is Fit.NOT
    assert memory.fit(2**31) is Fit.MARGIN
    assert memory.fit(round((2**31 - AROUND) / 1.1) - 1) is Fit.FITS
    assert needed(0) == AROUND


def test_own_code_is_predicted_or_a_sentence_says_why_not(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code_of_mine.py").write_text(CODE)
    names = ["code_of_mine.py:plain", "code_of_mine.py:branches"]
    plain, branches = nbbench.predict(*names, batch_sizes=[2], progress=False).results
    assert plain.outcome.prediction.weights == 4 * (64 * 8 + 8)
    assert "depends on numbers that follow from its weights" in branches.outcome.reason
    assert "measure it" in branches.outcome.reason


def test_padding_is_predicted(model):
    padded = nbbench.predict(model, padding=[0.5], **QUICK).frame
    full = nbbench.predict(model, **QUICK).frame
    assert padded["predicted_peak_mib"][0] > full["predicted_peak_mib"][0], "a mask is made"


def test_a_new_cache_or_length_is_predicted_by_case():
    pytest.importorskip("torch")
    frame = nbbench.predict(
        configs=[LLAMA], inference=False, generation=True, new_tokens=[4, 8], batch_sizes=[2],
        sequence_lengths=[8, 16], progress=False,
    ).frame  # fmt: skip
    positions = frame["sequence_length"] + frame["new_tokens"] - 1
    assert sorted(positions) == [11, 15, 19, 23]
    assert (frame["kv_cache_mib"] / positions).nunique() == 1


@pytest.mark.parametrize(("asked", "there"), [(True, True), (False, False)])
def test_a_run_predicts_where_it_is_asked_to(model, asked, there):
    report = nbbench.run(model, predict=asked, max_time=0.05, **QUICK)
    memory = report.memory
    assert memory["predicted_peak_mib"].notna().tolist() == [there]
    assert memory["tensors_peak_mib"].notna().all(), "is counted in any case"
    if there:
        peaks = memory["tensors_peak_mib"], memory["predicted_peak_mib"]
        assert peaks[0].tolist() == pytest.approx(peaks[1].tolist(), rel=0.02)


def test_a_run_of_few_small_cases_predicts_them_unasked():
    count = CallCount(0, operations=500, flops=0, moved=0, read=0)
    case = Case("pytorch", "m", TINY_BERT, "given", 2, 8)
    seconds = expected_seconds(case, count)
    assert seconds_to_predict(None, 400) < seconds < seconds_to_predict(None, 3)
    assert seconds_to_predict(False, 1) < seconds < seconds_to_predict(True, 10**6)
    assert expected_seconds(case, None) > seconds_to_predict(None, 1), "nobody knows how many"
    assert expected_seconds(case, None) <= seconds_to_predict(True, 1)


@pytest.mark.parametrize(("predict_s", "there"), [(None, True), (0.5, False)])
def test_a_part_of_a_run_predicts_in_the_time_that_it_is_given(probe, predict_s, there):
    count = {"peak": 1, "operations": 2000, "flops": 0, "moved": 0, "read": 0}  # takes 0.65 s
    config = {"model_type": "probe", "count": count, "predicts": 1.0, "grow_kib": 1}
    asked = {"models": ["m"], "configs": [config], "frameworks": ["probe"], **SIZES}
    plan = Plan.of(BenchmarkArguments(**asked, rounds=1, max_time=0.05))
    *_, ended = measure(plan, lambda: False, predict_s)
    assert (ended.outcome.prediction is not None) == there


@pytest.mark.parametrize(("operations", "there"), [(500, True), (50_000, False)])
def test_what_was_counted_decides(backend, monkeypatch, operations, there):
    count = CallCount(0, operations=operations, flops=0, moved=0, read=0)
    monkeypatch.setattr(run_case, "_counted", lambda model, call: count)
    case = Case("pytorch", "m", TINY_BERT, "given", 2, 8, device="cpu", max_time=0.05)
    outcome = run_case.run_case(backend, RunCase(case, predict_s=1.0), lambda event: None)
    assert (outcome.prediction is not None) == there


def test_a_run_says_what_its_prediction_assumes(backend):
    case = Case("pytorch", "m", TINY_BERT, "given", 2, 8, device="cpu", max_time=0.05)
    case = replace(case, execution="torchscript")
    outcome = run_case.run_case(backend, RunCase(case, predict_s=ANY_S), lambda event: None)
    assert outcome.reason.endswith("predicted as executed eagerly, not as torchscript")
    assert outcome.count is None
    assert outcome.prediction is not None


def test_counting_loses_no_case(backend, monkeypatch):
    def fail(model, call):
        raise RuntimeError("an operation that bears no watching")

    monkeypatch.setattr(TorchModel, "count", fail)
    case = Case("pytorch", "m", TINY_BERT, "given", 2, 8, device="cpu", max_time=0.05)
    outcome = run_case.run_case(backend, RunCase(case), lambda event: None)
    assert (outcome.status.value, outcome.count) == ("ok", None)


def test_predictions_are_no_estimates_of_runs(model):
    from nbbench.execution.listeners import recent_results

    before = list(recent_results)
    nbbench.predict(model, **QUICK)
    assert list(recent_results) == before


def test_what_is_cancelled_is_skipped_and_fits_nothing(model):
    plan = Plan.of(BenchmarkArguments.of([model], {**SIZES, "wait": False}))
    ends = [event for event in predict_cases(plan, lambda: True) if isinstance(event, CaseEnded)]
    assert [end.outcome.status.value for end in ends] == ["skipped"]
    predictions = Predictions([Result(end.case, end.outcome) for end in ends])
    assert "the run was cancelled before it" in repr(predictions)
    assert any_unfit(predictions, None)


def test_what_breaks_off_leaves_no_case_unnamed(model, monkeypatch):
    def broken(plan, cancelled):
        raise OSError("no room")
        yield

    monkeypatch.setattr("nbbench.api.predict_cases", broken)
    with pytest.warns(RuntimeWarning, match="no room"):
        found = nbbench.predict(model, **QUICK)
    assert found.frame["status"].tolist() == ["skipped"]
    assert any_unfit(found, None)


def test_it_predicts_in_this_process(model):
    found = nbbench.predict(model, isolation="none", **QUICK)
    assert found.frame["status"].tolist() == ["ok"]
