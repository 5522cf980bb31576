"""The ten worst flaws of Transformers' former benchmark, each tried to be made to happen."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments
from nbbench.worker.backends.torch_gpu import GpuDevice
from tests.conftest import TINY_BERT, wait_until
from tests.test_cuda import MIB, fake_driver, fake_torch, with_driver  # noqa: F401 - a fixture

FAST = {"batch_sizes": [1], "sequence_lengths": [8], "max_time": 0.2, "progress": False}


def probing(*configs, **arguments):
    configs = [{"model_type": "x", **config} for config in configs]
    return nbbench.run(configs=configs, frameworks="probe", **{**FAST, **arguments})


def test_1_a_gpus_time_is_the_devices_and_the_median():
    torch = fake_torch()
    cuda, waiting = torch.cuda, []

    def event(enable_timing):
        made = SimpleNamespace(at=None)
        made.record = lambda: waiting.append(lambda: setattr(made, "at", cuda.now_ms))
        made.elapsed_time = lambda end: end.at - made.at  # fails unless both have been reached
        return made

    def synchronize(*_):
        while waiting:
            waiting.pop(0)()

    cuda.Event, cuda.synchronize = event, synchronize
    device = GpuDevice(torch, 0)

    def call():  # returns at once; the device takes 7 ms
        waiting.append(lambda: setattr(cuda, "now_ms", cuda.now_ms + 7))

    assert device.stopwatch(call, 1) == pytest.approx(0.007)
    from nbbench.worker.summarize import summarize
    from nbbench.worker.timing import Visit

    timing = summarize(Visit((1.0, 2.0, 3.0) * 3), precision=0.02)
    assert timing.median_s == 2.0


def test_2_a_gpus_peak_is_this_processs_own_and_a_peak(fake_driver):  # noqa: F811
    torch = fake_torch()
    memory = GpuDevice(torch, 0).memory
    memory.before_model()
    memory.after_model()
    memory.start()
    torch.cuda.allocate(300 * MIB)
    torch.cuda.allocate(-300 * MIB)  # gone before anybody reads
    assert memory.stop(None).peak == pytest.approx(300 * MIB, abs=MIB)
    code = """
import json, os
from nbbench.worker.nvml import process_bytes
print(json.dumps(process_bytes("GPU-fa4e", os.getpid())))
"""
    for visible in ("0", "1", "GPU-fa4e"):  # no number decides which GPU is read
        assert with_driver(fake_driver, code, CUDA_VISIBLE_DEVICES=visible) == 1234 * MIB


@pytest.mark.slow
@pytest.mark.newest
def test_3_a_failure_loses_no_row_and_neither_does_a_kill(tmp_path, probe):
    report = probing({}, {"call": "memory_error"}, {}, {"call": "segfault"}, {})
    assert report.speed.status.tolist() == ["ok", "oom", "ok", "crashed", "ok"]
    files = {name: tmp_path / f"{name}.csv" for name in ("time", "memory")}
    code = f"""
from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments
args = PyTorchBenchmarkArguments(
    models=["a", "b"], batch_sizes=[1], sequence_lengths=[8], cuda=False, save_to_csv=True,
    inference_time_csv_file={str(files["time"])!r}, repeat=1000,
    inference_memory_csv_file={str(files["memory"])!r}, env_info_csv_file={str(tmp_path / "env")!r})
slow = {{**{TINY_BERT!r}, "hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 1024}}
PyTorchBenchmark(args, configs=[{TINY_BERT!r}, slow]).run()
"""
    pytest.importorskip("torch")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    memory = files["memory"]
    try:
        wait_until(lambda: memory.exists() and memory.read_text().count("\n") > 1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for file in files.values():
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert rows
        for row in rows:  # whichever case ended first: they are visited in rounds
            assert row["model"] in ("a", "b")
            assert (row["batch_size"], row["sequence_length"]) == ("1", "8")
            assert float(row["result"]) > 0


def test_4_nothing_is_forked_or_pickled_from_a_script_without_a_guard(tmp_path):
    pytest.importorskip("torch")
    script = tmp_path / "script.py"
    script.write_text(f"""
import os, nbbench
forks = []
os.register_at_fork(before=lambda: forks.append(1))
held = bytearray(b"1" * (400 << 20))  # what a notebook holds is no memory of a model

def make():
    class Config:  # local, so that nothing could pickle it
        model_type = "bert"
        def to_dict(self):
            return {TINY_BERT!r}
    return Config()

report = nbbench.run(configs=[make()], sequence_lengths=[8], max_time=0.1, device="cpu",
                     progress=False)
print(report.speed.status.tolist(), len(forks), report.memory.peak_mib[0])
""")
    said = subprocess.run([sys.executable, script], capture_output=True, text=True).stdout
    statuses, forks, peak = said.rsplit(maxsplit=2)
    assert statuses == "['ok']"
    assert forks == "0"
    assert float(peak) < 400


def test_5_an_unrelated_child_survives_and_the_cause_is_told(probe):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        report = probing({"call": "segfault"}, {"call": "memory_error"}, {"build": "raise"},
                         {"call": "hang"}, timeout=4)  # fmt: skip
        assert child.poll() is None
        assert report.speed.status.tolist() == ["crashed", "oom", "error", "timeout"]
        for words, reason in zip(
            ("SIGSEGV", "no 5 GiB to be had", "this config cannot be built", "longer than 4 s"),
            report.speed.reason, strict=True,
        ):  # fmt: skip
            assert words in reason
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is Linux's")
def test_6_a_cpu_peak_is_exact_and_costs_no_call(tmp_path, probe):
    log = tmp_path / "calls"
    report = probing({"call": "log", "call_log": str(log), "touch_mib": 217}, max_time=1)
    assert report.memory.activations_mib[0] == pytest.approx(217, abs=2.2)
    calls = len(log.read_text().splitlines())
    assert 0 <= calls - 1 - report.speed.n[0] <= 10  # the first and the warm-up, and no other


def test_7_every_error_has_its_own_name_and_none_hangs(probe, patience):
    begin = time.monotonic()
    report = probing({"call": "not_implemented"}, {"build": "memory_error"}, {"call": "killed"},
                     {"call": "unsupported"}, {"call": "exit"})  # fmt: skip
    assert time.monotonic() - begin < 30 * patience
    speed = report.speed
    assert speed.status.tolist() == ["error", "oom", "crashed", "unsupported", "crashed"]
    assert speed.phase.tolist() == ["warming", "building", "warming", "warming", "warming"]
    assert speed.reason[0] == "NotImplementedError: this model has no such layer"
    assert "SIGKILL" in speed.reason[2]
    assert "the weights alone need more than there is" in speed.reason[1]
    assert not speed.reason.str.contains("GPU").any()


@pytest.mark.parametrize("call", ["missing_package", "missing_kernels"])
def test_7_a_package_that_a_model_wants_is_a_row_that_says_so(probe, call):
    (row,) = probing({"call": call}).speed.itertuples()
    assert row.status == "unsupported"
    assert "needs a package that is not installed (" in row.reason


def test_8_a_time_has_a_warm_up_a_spread_and_its_raw_data(tmp_path, probe):
    log = tmp_path / "calls"
    report = probing({"call": "log", "call_log": str(log), "touch_mib": 1}, {}, max_time=1)
    slow_to_start = report.speed.iloc[0]
    assert slow_to_start.first_call_s > 0.3
    assert slow_to_start.median_s < 0.1
    for result in report.results:
        timing = result.outcome.timing
        assert len(timing.samples) == timing.n >= 6
        assert timing.ci_low_s <= timing.median_s <= timing.ci_high_s
        assert timing.std_s >= 0
    assert 0 < report.speed.median_s[1] < 1e-5  # where the original had "< 0.001"


def test_9_a_model_is_built_once_and_works_on_what_it_would_be_given(tmp_path, probe):
    log = tmp_path / "builds"
    probing({"build_log": str(log)}, rounds=1)  # speed and memory
    assert log.read_text() == "built\n"
    pytest.importorskip("torch")
    heads = [f"BertFor{name}" for name in ("SequenceClassification", "QuestionAnswering")]
    configs = [{**TINY_BERT, "architectures": [head]} for head in heads]
    report = nbbench.run(configs=configs, training=True, optimizer=True, **FAST)
    assert report.speed.status.tolist() == ["ok"] * 4
    from nbbench.worker.inputs.describe import describe_inputs

    parameters = dict.fromkeys(
        ("input_ids", "attention_mask"), SimpleNamespace(default=None, kind=1)
    )
    config = SimpleNamespace(vocab_size=100, model_type="bert", pad_token_id=0)
    described = describe_inputs(parameters, config, model="m", batch_size=1, sequence_length=8)
    assert [tensor.name for tensor in described.tensors] == ["input_ids", "attention_mask"]


def test_10_arguments_keep_their_word(tmp_path, monkeypatch):
    with pytest.warns(FutureWarning):
        args = PyTorchBenchmarkArguments(no_speed=True, no_multi_process=True)
    assert (args.speed, args.multi_process) == (False, False)
    assert args.models is not PyTorchBenchmarkArguments().models
    with pytest.raises(ValueError, match="name at least one"):
        PyTorchBenchmark(args)
    for kind in (PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments):
        for unread in {"verbose", "fp16_opt_level"} & set(kind.__dataclass_fields__):
            assert "not read" in kind.__dataclass_fields__[unread].metadata["help"]
    at = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: at)
    assert PyTorchBenchmarkArguments().env_info_csv_file == f"env_info_{round(at)}.csv"
    with pytest.raises(ValueError, match="models has 2 names"):
        PyTorchBenchmark(PyTorchBenchmarkArguments(models=["a", "b"]), configs=[TINY_BERT])
    with pytest.raises(ValueError, match="twice"):
        PyTorchBenchmark(PyTorchBenchmarkArguments(models=["a", "a"]), configs=[TINY_BERT] * 2)
    from nbbench.machine.machine import describe_machine

    assert describe_machine().cpu not in ("", "x86_64", "arm64", None)
