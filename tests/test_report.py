"""The frames are tidy, keep what is missing missing, and survive being saved."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import platform

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import nbbench
from nbbench.hf.environment import environment_info

IDENTITY = {
    *("framework", "model", "mode", "batch_size", "sequence_length"),
    *("dtype", "device", "status", "reason"),
}
SPEED = {
    *("median_s", "ci_low_s", "ci_high_s", "min_s", "mean_s", "std_s", "p90_s", "p99_s", "n"),
    *("noisy", "first_call_s", "build_s", "samples_per_s", "tokens_per_s"),
}
MEMORY = {
    *("baseline_mib", "parameters_mib", "weights_mib", "activations_mib", "peak_mib"),
    *("reserved_mib", "process_mib", "method", "parameters"),
}
ORIGINAL_ENVIRONMENT = {
    *("transformers_version", "framework", "framework_version", "python_version", "system"),
    *("cpu", "architecture", "date", "time", "cpu_ram_mb", "use_gpu", "num_gpus", "gpu"),
    *("gpu_ram_mb", "gpu_power_watts", "gpu_performance_state"),
}


@pytest.fixture(scope="module")
def report(request):
    pytest.importorskip("torch")
    from tests.conftest import TINY_BERT

    measured = nbbench.run(
        "tiny",
        "broken",
        configs=[TINY_BERT, {**TINY_BERT, "hidden_size": 63}],
        batch_sizes=[2],
        sequence_lengths=[8, 4096],
        max_time=0.5,
        device="cpu",
        progress=False,
    )
    content = measured._content
    quiet = dataclasses.replace(content.machine, other_load_cores=0.0, own_load_cores=0.0)
    return nbbench.Report(content.results, quiet, content.workers, content.baseline)


def test_rows_and_columns(report):
    assert set(report.speed.columns) >= IDENTITY | SPEED
    assert set(report.memory.columns) >= IDENTITY | MEMORY
    assert len(report.speed) == len(report.memory) == 4


def test_what_was_measured_comes_after_the_case_and_constants_last(report):
    speed, memory = list(report.speed.columns), list(report.memory.columns)
    assert speed[:4] == ["model", "batch_size", "sequence_length", "median_s"]
    assert memory[:4] == ["model", "batch_size", "sequence_length", "peak_mib"]
    for columns in (speed, memory):
        assert columns.index("status") < columns.index("framework")  # which is the same for all
        assert columns[-1] in ("config_source", "lengths", "device", "mode", "dtype", "execution")
    assert memory.index("parameters_mib") == memory.index("parameters") + 1
    assert sorted(set(speed) & set(memory)) == sorted(
        {
            *IDENTITY,
            "environment",
            "device_name",
            "parallel",
            "ranks",
            "node",
            "attention",
            "execution",
            "modalities",
            "architecture",
            "config_source",
            "lengths",
            "padding",
            "new_tokens",
            "cache",
            "compile_mode",
            "quantization",
            "phase",
            "searched_runs",
            "memory_limit_mib",
        }
    )


def test_parameters_are_counted(report):
    memory = report.memory
    assert memory.parameters.dtype == "Int64"
    assert 4 * memory.parameters[0] <= memory.parameters_mib[0] * 2**20  # and buffers
    assert pd.isna(memory.parameters[2])


def test_the_summary_is_the_table_that_is_shown(report):
    heads = list(report.summary.columns)
    assert repr(report).splitlines()[0].split() == " ".join(heads).split()
    assert len(report.summary) == 4
    assert report.summary.model.tolist() == ["tiny", "tiny", "broken", "broken"]
    markdown = report.to_markdown().splitlines()
    assert markdown[0] == f"| {' | '.join(heads)} |"


def test_markdown_is_given_and_written(report, tmp_path):
    text = report.to_markdown(tmp_path / "x.md")
    assert (tmp_path / "x.md").read_text(encoding="utf-8") == f"{text}\n"
    with pytest.raises(nbbench.OutputError, match="cannot be written"):
        report.to_markdown("/nowhere/x.md")


def test_parquet_keeps_types_and_what_is_missing(report, tmp_path):
    pytest.importorskip("pyarrow")
    paths = report.to_parquet(tmp_path / "new")
    assert [path.name for path in paths] == [
        "speed.parquet", "memory.parquet", "environment.parquet",
    ]  # fmt: skip
    read = pd.read_parquet(paths[0])
    assert read.columns.tolist() == report.speed.columns.tolist()
    assert read.median_s.tolist()[0] == report.speed.median_s[0]
    assert read.sequence_length.dtype == "Int64"
    assert pd.read_parquet(paths[2]).pytorch["framework"] == "PyTorch"


def test_without_pyarrow_parquet_is_one_sentence(report, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(nbbench.NbbenchError, match="pip install pyarrow, or use to_csv"):
        report.to_parquet(tmp_path)


def test_a_row_makes_sense(report):
    row, memory = report.speed.iloc[0], report.memory.iloc[0]
    assert row.status == "ok"
    assert row.reason == ""
    assert row.ci_low_s <= row.median_s <= row.ci_high_s
    assert 0 < row.min_s <= row.mean_s
    assert row.samples_per_s == pytest.approx(2 / row.median_s)
    assert row.tokens_per_s == pytest.approx(16 / row.median_s)
    assert row.noisy == (row.ci_high_s / row.median_s > 1.05)
    assert pd.isna(row.p99_s) == (row.n < 299)
    assert memory.peak_mib == pytest.approx(
        memory.baseline_mib + memory.weights_mib + memory.activations_mib
    )
    assert memory.parameters_mib > 0
    assert pd.isna(memory.reserved_mib)  # a CPU has no such figure: missing, not 0


def test_a_length_over_the_maximum_is_unsupported_and_says_so(report):
    row = report.speed.iloc[1]
    assert row.status == "unsupported"
    assert row.reason == (
        "sequence length 4096 is more than tiny takes (512); lower sequence_lengths"
    )


def test_a_config_that_cannot_be_built_is_an_error_row(report):
    rows = report.speed.iloc[2:]
    assert rows.status.tolist() == ["error", "error"]
    assert "63" in rows.reason.iloc[0]
    assert rows.phase.tolist() == ["building", "building"]


def test_saved_and_loaded_it_is_the_same(report, tmp_path):
    loaded = nbbench.Report.load(report.save(tmp_path / "x.nbbench.json"))
    assert loaded == report
    for name in ("speed", "memory", "environment"):
        assert_frame_equal(getattr(loaded, name), getattr(report, name))
    assert loaded.results[0].outcome.timing.samples == report.results[0].outcome.timing.samples
    assert len(loaded.results[0].outcome.timing.samples) == report.speed.n[0]


def test_csv(report, tmp_path):
    paths = report.to_csv(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["speed.csv", "memory.csv", "environment.csv"]
    read = pd.read_csv(paths[0], dtype={"median_s": str})
    assert float(read.median_s[0]) == report.speed.median_s[0]
    assert read.columns.tolist() == report.speed.columns.tolist()


def test_the_environment_has_all_that_the_original_had_and_more(report):
    environment = report.environment["pytorch"]
    assert set(environment.index) >= ORIGINAL_ENVIRONMENT
    switches = ["use_torchscript", "fp16", "use_multiprocessing", "only_pretrain_model", "use_tpu"]
    assert set(environment_info(report.facts[0])) >= ORIGINAL_ENVIRONMENT.union(switches)
    more = "cpu_cores_physical threads cuda cudnn gpu_driver settings cpu_load_1min nbbench_version"
    assert set(more.split()) <= set(environment.index)
    assert environment["framework"] == "PyTorch"
    assert environment["cpu"] not in ("", "x86_64")
    assert environment["nbbench_version"] == nbbench.__version__


def test_nothing_names_the_user_the_host_or_a_folder(report, tmp_path):
    saved = report.save(tmp_path / "x.nbbench.json").read_text()
    environment = json.dumps(report.environment["pytorch"].tolist(), default=str)
    for text in (saved, environment):
        assert platform.node() not in text
        assert os.path.expanduser("~") not in text
        assert os.getcwd() not in text
    assert getpass.getuser() not in environment.replace(platform.release(), "")


def test_it_reads_well_as_text_and_as_html(report):
    text, html = repr(report), report._repr_html_()
    assert "tiny" in text.splitlines()[1]
    assert "unsupported: tiny pytorch inference, batch 2 × length 4096: sequence length" in text
    assert "and 1 more" in text  # the broken model's two cases have one reason
    assert "<table" in html
    assert "<script" not in html
    assert "sequence length 4096" in html


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "cannot be read"), ("{}", "no nbbench report"), (None, "there is no report")],
)
def test_what_is_no_report_is_one_sentence(tmp_path, content, sentence):
    file = tmp_path / "x.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(nbbench.OutputError, match=sentence):
        nbbench.Report.load(file)


def test_a_place_that_cannot_be_written_is_one_sentence(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(nbbench.OutputError, match="cannot be written: "):
        report.to_csv(tmp_path / "file" / "folder")
    with pytest.raises(nbbench.OutputError, match="cannot be written: "):
        report.save(tmp_path / "nowhere" / "x.json")


@pytest.mark.parametrize("damage", ["results", "case", "text"])
def test_a_damaged_report_is_refused_in_one_sentence(tmp_path, damage):
    file = tmp_path / "x.nbbench.json"
    content = {"format": "nbbench report", "version": 1, "machine": {}, "environments": []}
    if damage != "results":
        content["results"] = [{}] if damage == "case" else "abc"
    file.write_text(json.dumps(content))
    with pytest.raises(nbbench.OutputError, match="is a damaged report"):
        nbbench.Report.load(file)
