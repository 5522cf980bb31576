"""No code that comes with a model runs, and what cannot be measured as it is says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import nbbench
from tests.conftest import TINY_BERT, worker_processes

PLANTED = sorted(
    name
    for name in sys.stdlib_module_names
    if not name.startswith("_") and name not in sys.builtin_module_names
)


@pytest.mark.parametrize("isolation", ["fork", "process"])
def test_files_beside_a_configuration_are_never_imported(tmp_path, probe, isolation):
    for name in PLANTED:
        code = f"open({str(tmp_path / ('ran_' + name))!r}, 'w')"
        (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    script = (
        "import sys; sys.path[:] = [entry for entry in sys.path if entry]\n"
        "import nbbench\n"
        f"sys.path.append({str(probe)!r})\n"
        "report = nbbench.run('.', frameworks='probe', sequence_lengths=8, max_time=0.1,"
        f" isolation={isolation!r}, progress=False)\n"
        "print(report.speed.status[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "ok", done.stderr
    assert [name for name in os.listdir(tmp_path) if name.startswith("ran_")] == []


def reason_of(config, **arguments):
    pytest.importorskip("torch")
    report = nbbench.run(
        "tiny", configs=[{**TINY_BERT, **config}], batch_sizes=1, sequence_lengths=8,
        max_time=0.1, progress=False, device="cpu", **arguments,
    )  # fmt: skip
    (row,) = report.speed.itertuples()
    assert row.status == "unsupported", row.reason
    return row.reason


@pytest.mark.parametrize(
    "quantized",
    [
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        {"quantization_config": {"quant_method": "fp8"}},
        {"compression_config": {"quant_method": "compressed-tensors"}},
        {"text_config": {"quantization_config": {"quant_method": "awq"}}},
        {"parts": [{"quantization_config": {"quant_method": "awq"}}]},
        {"quantization": {"group_size": 64, "bits": 4}},
    ],
)
def test_a_quantized_model_is_not_measured_as_a_dense_one(quantized):
    reason = reason_of(quantized)
    assert "is quantized" in reason
    assert re.search(r"as configs without (quantization|compression)", reason)
    assert "is quantized" in reason_of(quantized, dtypes="bfloat16")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"_attn_implementation": "someone/kernel"}, "nbbench runs no code of the Hub"),
        ({"attn_implementation": "someone/kernel:flash"}, "nbbench runs no code of the Hub"),
        ({"attn_implementation": {"": "someone/kernel"}}, "nbbench runs no code of the Hub"),
        ({"_attn_implementation_internal": "someone/kernel"}, "nbbench runs no code of the Hub"),
        ({"_experts_implementation": "someone/kernel"}, "nbbench runs no code of the Hub"),
        ({"parts": [{"_attn_implementation": "a/b"}]}, "nbbench runs no code of the Hub"),
        ({"_attn_implementation": 5}, "which is no name"),
        ({"architectures": ["pipeline"]}, "is no class of a model"),
        ({"architectures": ["AutoTokenizer"]}, "is no class of a model"),
        ({"architectures": [5]}, "is no name"),
        ({"architectures": "BertModel"}, "are no list of names"),
        (
            {"architectures": ["MyModel"], "auto_map": {"AutoModel": "modeling.MyModel"}},
            "code beside a configuration is not run",
        ),
    ],
)
def test_a_configuration_that_names_foreign_code_is_a_sentence(config, sentence):
    assert sentence in reason_of(config)


def test_a_warm_worker_serves_one_test_after_the_other(monkeypatch, probe):
    pids = []
    for test in ("tests/test_a.py::test_a (call)", "tests/test_b.py::test_b (call)"):
        monkeypatch.setenv("PYTEST_CURRENT_TEST", test)
        report = nbbench.run(
            frameworks="probe", configs=[{"model_type": "probe"}], sequence_lengths=8,
            max_time=0.1, isolation="fork", progress=False,
        )  # fmt: skip
        assert report.speed.status.tolist() == ["ok"]
        pids.append([worker.pid for worker in worker_processes()])
    assert pids[0] == pids[1]


def test_a_warm_worker_serves_only_runs_with_the_same_variables(monkeypatch, probe):
    config = {"model_type": "probe"}

    def worker():
        report = nbbench.run(
            frameworks="probe", configs=[config], sequence_lengths=8, max_time=0.1, progress=False
        )
        return report.environment["probe"]["settings"]

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = worker()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "OMP_NUM_THREADS=1" in worker()
    assert "OMP_NUM_THREADS" not in before
