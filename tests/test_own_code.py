"""What subclasses of the former classes override is run, as it was in the original."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from nbbench import ArgumentError
from nbbench.execution import turn
from nbbench.hf import (
    Benchmark,
    BenchmarkArguments,
    Memory,
    MemorySummary,
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
    measure_peak_memory_cpu,
    start_memory_tracing,
    stop_memory_tracing,
)
from nbbench.worker import process_memory
from tests.conftest import TINY_BERT, wait_until

pytestmark = [
    pytest.mark.usefixtures("quick_samples"),
    pytest.mark.filterwarnings("ignore:.*measured in this process:UserWarning"),
]

MIB = 2**20


def arguments(kind=PyTorchBenchmarkArguments, **changes):
    one = {"models": ["tiny"], "batch_sizes": [1], "sequence_lengths": [8], "cuda": False}
    return kind(**{**one, **changes})


@pytest.fixture(autouse=True)
def _torch():
    pytest.importorskip("torch")


OVERRIDES = {
    "_measure_speed": lambda *_: 0.125,
    "_measure_memory": lambda *_: (Memory(5 * MIB), None),
    "_inference_speed": lambda *_: 0.125,
    "_train_speed": lambda *_: 0.125,
    "_inference_memory": lambda *_: [Memory(5 * MIB), None][0],
    "_train_memory": lambda *_: (Memory(5 * MIB), None),
    "inference_speed": lambda *_: 0.125,
    "train_memory": lambda *_: (5 * MIB, None),
}


@pytest.mark.parametrize("where", ["subclass", "grandchild", "instance", "class"])
@pytest.mark.parametrize("hook", OVERRIDES)
def test_a_measurement_of_ones_own_is_what_is_reported(hook, where, monkeypatch, capsys):
    def own(*arguments):
        return OVERRIDES[hook](*arguments)

    training = "train" in hook
    kind = PyTorchBenchmark
    if where in ("subclass", "grandchild"):
        kind = type("Own", (kind,), {hook: own})
    if where == "grandchild":
        kind = type("Grandchild", (kind,), {})
    if where == "class":
        monkeypatch.setattr(PyTorchBenchmark, hook, own)
    asked = {"training": training, "inference": not training, "speed": "speed" in hook,
             "memory": "memory" in hook}  # fmt: skip
    benchmark = kind(arguments(**asked), configs=[TINY_BERT])
    if where == "instance":
        setattr(benchmark, hook, own)
    output = benchmark.run()
    (value,) = {
        result["tiny"]["result"][1][8] for result in output[:4] if result["tiny"]["result"][1]
    }
    assert value == (0.125 if "speed" in hook else Memory(5 * MIB))
    shown = capsys.readouterr().out
    assert (" 0.125 " if "speed" in hook else " 5 ") in shown
    assert "N/A" not in shown


@pytest.mark.parametrize("mode", ["inference", "train"])
def test_a_call_of_ones_own_is_measured_in_this_process_and_thread(mode):
    calls = []

    class Own(PyTorchBenchmark):
        def _prepare(self, *size):
            held = bytearray(32 * MIB)
            return lambda: calls.append((size, os.getpid(), threading.get_ident(), len(held)))

        _prepare_inference_func = _prepare_train_func = _prepare

    asked = {"inference": mode == "inference", "training": mode == "train"}
    args = arguments(models=["mine", "other"], batch_sizes=[1, 2], **asked)
    with pytest.warns(UserWarning, match="_prepare_.* overridden, so everything is measured in"):
        output = Own(args).run()
    result = output.time_inference_result if mode == "inference" else output.time_train_result
    for model in ("mine", "other"):
        assert all(0 < result[model]["result"][size][8] < 1 for size in (1, 2))
    sizes, processes, threads, _ = zip(*calls, strict=True)
    assert set(sizes) == {(model, size, 8) for model in ("mine", "other") for size in (1, 2)}
    assert set(processes) == {os.getpid()}
    assert set(threads) == {threading.get_ident()}
    assert len(calls) > 4 * 6  # sampled, and not called once


def test_an_override_may_build_on_what_is_overridden():
    class Own(PyTorchBenchmark):
        def _prepare_inference_func(self, model_name, batch_size, sequence_length):
            self.beneath = super()._prepare_inference_func(model_name, batch_size, sequence_length)
            return self.beneath

        def _measure_speed(self, func):
            self.seconds = super()._measure_speed(func)
            return 1000 * self.seconds

    benchmark = Own(arguments(), configs=[TINY_BERT])
    output = benchmark.run()
    assert benchmark.beneath().last_hidden_state.shape == (1, 8, 64)
    assert output.time_inference_result["tiny"]["result"][1][8] == 1000 * benchmark.seconds
    (result,) = benchmark.report.results
    assert result.outcome.memory.peak > 20 * MIB
    assert benchmark.environment_info["use_multiprocessing"] is False


def test_nbbenchs_own_timing_keeps_its_samples_where_an_override_passes_it_on():
    class Own(PyTorchBenchmark):
        def _prepare_inference_func(self, *_):
            return lambda: sum(range(1000))

    benchmark = Own(arguments(memory=False))
    benchmark.run()
    timing = benchmark.report.results[0].outcome.timing
    assert timing.n >= 3
    assert timing.ci_low_s <= timing.median_s <= timing.ci_high_s


def fail(*_):
    raise RuntimeError("no such layer\nand more")


@pytest.mark.parametrize(
    ("hook", "own", "sentence"),
    [
        ("_prepare_inference_func", fail, "RuntimeError: no such layer"),
        ("_prepare_inference_func", lambda *_: fail, "RuntimeError: no such layer"),
        ("_measure_speed", lambda *_: sys.exit(3), "SystemExit: 3"),
        ("_prepare_inference_func", lambda *_: 3, "own code gave 3 as call to measure"),
        ("_measure_speed", fail, "RuntimeError: no such layer"),
        ("_measure_speed", lambda *_: None, "own code gave None as speed, which is not a number"),
        ("_measure_speed", lambda *_: -1.0, "own code gave -1.0 as speed"),
        ("_measure_speed", lambda *_: "N/A", "own code gave 'N/A' as speed"),
        ("_inference_memory", lambda *_: "many", "own code gave 'many' as memory"),
        ("_inference_memory", lambda *_: (None, None), "own code gave None as memory"),
    ],
)
def test_a_hook_that_fails_is_a_cell_with_its_reason(hook, own, sentence, capsys):
    kind = type("Own", (PyTorchBenchmark,), {hook: own})
    asked = {"memory": "memory" in hook, "speed": "memory" not in hook}
    output = kind(arguments(**asked), configs=[TINY_BERT]).run()
    result = output.memory_inference_result if asked["memory"] else output.time_inference_result
    assert result["tiny"]["result"][1][8] == "N/A"
    assert f"N/A: tiny pytorch inference, batch 1 × length 8: {sentence}" in capsys.readouterr().out


def test_a_memory_that_fails_leaves_the_time(capsys):
    kind = type("Own", (PyTorchBenchmark,), {"_measure_memory": fail})
    output = kind(arguments(), configs=[TINY_BERT]).run()
    assert output.time_inference_result["tiny"]["result"][1][8] > 0
    assert output.memory_inference_result["tiny"]["result"][1][8] == "N/A"


def test_an_interrupt_in_own_code_keeps_what_was_measured():
    class Own(PyTorchBenchmark):
        def _measure_speed(self, func):
            if len(self.done) == 1:
                raise KeyboardInterrupt
            self.done.append(func)
            return 0.5

        done = []  # noqa: RUF012

    args = arguments(batch_sizes=[1, 2, 3], memory=False)
    output = Own(args, configs=[TINY_BERT]).run()
    assert output.time_inference_result["tiny"]["result"] == {
        1: {8: 0.5},
        2: {8: "N/A"},
        3: {8: "N/A"},
    }


def test_an_interrupt_before_its_turn_begins_nothing():
    class Own(PyTorchBenchmark):
        def _inference_speed(self, *_):
            raise AssertionError

    def interrupt_when_it_waits():
        wait_until(lambda: len(turn._line) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    before = turn.Turn()
    before.enter_line()
    thread = threading.Thread(target=interrupt_when_it_waits, daemon=True)
    thread.start()
    try:
        benchmark = Own(arguments(memory=False), configs=[TINY_BERT])
        output = benchmark.run()
    finally:
        before.leave_line()
        thread.join()
    assert output.time_inference_result["tiny"]["result"] == {1: {8: "N/A"}}
    assert benchmark.report.speed.status.tolist() == ["skipped"]


@pytest.mark.parametrize("asked", ["speed", "memory"])
def test_an_interrupt_in_a_call_that_is_measured_is_no_error_of_it(asked):
    calls = []

    class Own(PyTorchBenchmark):
        def _prepare_inference_func(self, model_name, batch_size, sequence_length):
            def call():
                calls.append(batch_size)
                if batch_size == 2:
                    raise KeyboardInterrupt

            return call

    only = {"speed": False, "memory": False, asked: True}
    benchmark = Own(arguments(batch_sizes=[1, 2, 3], **only), configs=[TINY_BERT])
    benchmark.run()
    statuses = [result.outcome.status.value for result in benchmark.report.results]
    assert statuses == ["ok", "cancelled", "skipped"]
    assert set(calls) == {1, 2}


def test_a_summary_of_ones_own_is_the_outputs():
    summary = MemorySummary([], [], [], Memory(7))
    kind = type(
        "Own", (PyTorchBenchmark,), {"_inference_memory": lambda *_: (Memory(MIB), summary)}
    )
    assert kind(arguments(speed=False), configs=[TINY_BERT]).run().inference_summary is summary


def test_own_code_is_written_and_logged_as_ever(tmp_path, capsys):
    files = {
        name: str(tmp_path / name)
        for name in ("inference_time_csv_file", "env_info_csv_file", "log_filename")
    }
    kind = type("Own", (PyTorchBenchmark,), {"_measure_speed": lambda *_: 0.25})
    args = arguments(memory=False, save_to_csv=True, log_print=True, env_print=True, **files)
    kind(args, configs=[TINY_BERT]).run()
    rows = (tmp_path / "inference_time_csv_file").read_text().splitlines()
    assert rows[1:] == ["tiny,1,8,0.2500"]
    assert "framework_version" in (tmp_path / "env_info_csv_file").read_text()
    assert (tmp_path / "log_filename").read_text() == capsys.readouterr().out


def test_printing_and_saving_of_ones_own_is_called():
    seen = []

    class Own(PyTorchBenchmark):
        def print_fn(self, *texts):
            seen.append(("printed", *texts))

        def print_results(self, result_dict, type_label):
            seen.append(("table", type_label, result_dict["tiny"]["result"][1][8]))

        def save_to_csv(self, result_dict, filename):
            seen.append(("saved", filename, list(result_dict)))

    kind = type("Sub", (Own,), {"_measure_speed": lambda *_: 0.25})
    kind(arguments(memory=False, inference_time_csv_file="mine.csv"), [TINY_BERT]).run()
    assert ("table", "Time in s", 0.25) in seen
    assert ("saved", "mine.csv", ["tiny"]) in seen
    assert ("printed", "1 / 1") in seen


def test_without_own_measurement_own_printing_is_called_all_the_same(capsys):
    lines, threads = [], set()

    def print_fn(text):
        threads.add(threading.current_thread())
        lines.append(text)

    benchmark = PyTorchBenchmark(arguments(memory=False), [TINY_BERT])
    benchmark.print_fn = print_fn
    benchmark.print_results = lambda result_dict, type_label: lines.append(type_label)
    benchmark.run()
    assert lines[0] == "1 / 1"
    assert "Time in s" in lines
    assert threads == {threading.current_thread()}
    assert capsys.readouterr().out == ""


def test_printing_that_fails_raises_and_costs_no_row(tmp_path):
    def print_fn(_):
        raise LookupError

    file = tmp_path / "times.csv"
    args = arguments(memory=False, save_to_csv=True, inference_time_csv_file=str(file))
    benchmark = PyTorchBenchmark(args, [TINY_BERT])
    benchmark.print_fn = print_fn
    with pytest.raises(LookupError):
        benchmark.run()
    assert file.read_text().splitlines()[1].startswith("tiny,1,8,0.")


def test_the_members_that_scripts_used_are_there(tmp_path, capsys):
    benchmark = PyTorchBenchmark(arguments(), configs=[TINY_BERT])
    assert benchmark.framework == "PyTorch"
    assert benchmark.config_dict == {"tiny": TINY_BERT}
    before = benchmark.environment_info
    assert before["framework"] == "PyTorch"
    assert before["framework_version"] == benchmark.framework_version
    assert before["use_gpu"] is False
    assert 0 < benchmark.inference_speed("tiny", 1, 8) < 10
    assert benchmark.train_speed("tiny", 1, 8) > 0
    memory, summary = benchmark.inference_memory("tiny", 1, 8)
    assert (memory.bytes > MIB, summary) == (True, None)
    assert benchmark.inference_speed("tiny", 1, 600) == "N/A"
    assert "sequence length 600 is more than tiny takes" in capsys.readouterr().out
    result = {"tiny": {"bs": [1], "ss": [8], "result": {1: {8: 0.25}}}}
    benchmark.print_results(result, "Time in s")
    assert " tiny " in capsys.readouterr().out
    benchmark.args.save_to_csv = True
    benchmark.save_to_csv(result, str(tmp_path / "file.csv"))
    assert (tmp_path / "file.csv").read_text().splitlines()[1] == "tiny,1,8,0.2500"
    assert PyTorchBenchmark.deprecated_args == TensorFlowBenchmark.deprecated_args
    assert "no_multi_process" in PyTorchBenchmark.deprecated_args


def test_a_config_that_is_changed_in_config_dict_is_the_one_that_runs():
    benchmark = PyTorchBenchmark(arguments(models=["bert-tiny"], memory=False))
    assert benchmark.config_dict["bert-tiny"]["model_type"] == "bert"
    benchmark.config_dict["bert-tiny"] = {**TINY_BERT, "num_hidden_layers": 1}
    benchmark.run()
    assert benchmark.report.results[0].case.config["num_hidden_layers"] == 1
    del benchmark.config_dict["bert-tiny"]
    with pytest.raises(ArgumentError, match="config_dict has no configuration of bert-tiny"):
        benchmark.run()


def test_the_base_class_is_for_subclasses_with_a_framework_of_their_own(capsys):
    class Own(Benchmark):
        framework = "Mine"
        framework_version = "7"

        def _inference_speed(self, model_name, batch_size, sequence_length):
            return 0.25 * batch_size

        def _inference_memory(self, model_name, batch_size, sequence_length):
            return Memory(3 * MIB), None

    args = arguments(BenchmarkArguments, env_print=True)
    output = Own(args).run()
    assert output.time_inference_result["tiny"]["result"] == {1: {8: 0.25}}
    assert "- framework: Mine" in capsys.readouterr().out
    for kind in (Benchmark, type("Nothing", (Benchmark,), {})):
        with pytest.raises(ArgumentError, match=f"{kind.__name__} measures nothing by itself"):
            kind(args)
    own = type("Calls", (Benchmark,), {"_prepare_inference_func": lambda *_: lambda: None})
    result = own(args).run().time_inference_result["tiny"]["result"][1][8]
    assert 0 < result < 1


def test_tensorflows_class_runs_own_code_without_tensorflow_where_it_needs_none():
    kind = type("Own", (TensorFlowBenchmark,), {"_inference_speed": lambda *_: 0.5})
    args = arguments(TensorFlowBenchmarkArguments, memory=False)
    output = kind(args).run()
    assert output.time_inference_result["tiny"]["result"][1][8] == 0.5


@pytest.mark.parametrize("own", ["device", "is_gpu", "n_gpu"])
def test_a_device_that_arguments_of_ones_own_name_is_the_one_that_runs(own):
    values = {"device": "cpu", "is_gpu": False, "n_gpu": 0}
    kind = type("Own", (PyTorchBenchmarkArguments,), {own: values[own]})
    assert kind(models=["tiny"]).benchmark_arguments([TINY_BERT]).device == "cpu"
    kind = type("Own", (PyTorchBenchmarkArguments,), {"device_idx": 1, "is_gpu": True})
    assert kind(models=["tiny"]).benchmark_arguments([TINY_BERT]).device == "cuda:1"
    kind = type("Own", (PyTorchBenchmarkArguments,), {"do_multi_processing": False})
    assert kind(models=["tiny"]).benchmark_arguments([TINY_BERT]).isolation == "none"


@pytest.mark.parametrize("kind", [PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments])
@pytest.mark.parametrize("own", ["_setup_devices", "_setup_strategy", "strategy", "gpu_list"])
def test_what_would_set_a_framework_up_is_refused(kind, own):
    args = type("Own", (kind,), {own: property(lambda _: None)})(models=["tiny"])
    with pytest.raises(ArgumentError, match=f"{own} is overridden, and nbbench does not call it"):
        args.benchmark_arguments([TINY_BERT])


def test_arguments_of_ones_own_may_have_more_fields():
    @dataclasses.dataclass
    class Own(PyTorchBenchmarkArguments):
        note: str = "mine"

    args = Own(models=["tiny"], batch_sizes=[1], sequence_lengths=[8], cuda=False, memory=False)
    assert args.note == "mine"
    output = PyTorchBenchmark(args, [TINY_BERT]).run()
    assert output.time_inference_result["tiny"]["result"][1][8] > 0


SCRIPT = """
import sys
from transformers import HfArgumentParser
from nbbench.hf import {framework}Benchmark as Measure
from nbbench.hf import {framework}BenchmarkArguments as Arguments

parser = HfArgumentParser(Arguments)
try:
    (arguments,) = parser.parse_args_into_dataclasses()
except ValueError as error:
    unknown = eval(str(error).split(" ")[-1])
    old = [name[2:] for name in unknown if name[2:] in Measure.deprecated_args]
    sys.exit(f"no longer: {{old}}")
Measure(args=arguments)
print(arguments.to_json_string())
"""


@pytest.mark.parametrize("framework", ["PyTorch", "TensorFlow"])
def test_the_scripts_of_old_run_with_one_line_changed(framework, tmp_path):
    pytest.importorskip("transformers")
    script = tmp_path / "run_benchmark.py"
    script.write_text(SCRIPT.format(framework=framework))

    def run(*flags):
        command = [sys.executable, str(script), *flags]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    shown = run("--help")
    assert shown.returncode == 0, shown.stderr
    for flag in ("inference", "cuda", "tpu", "speed", "memory", "multi_process"):
        assert f"--no_{flag}" in shown.stdout
    ended = run("--models", "bert-tiny", "--no_speed", "--training", "--batch_sizes", "1", "2")
    values = json.loads(ended.stdout)
    assert (values["speed"], values["memory"], values["training"]) == (False, True, True)
    assert values["batch_sizes"] == [1, 2]


def test_a_peak_is_that_of_one_call():
    calls = []

    def allocate():
        calls.append(bytearray(b"\1") * (200 * MIB))
        calls[0] = len(calls[0])

    before = measure_peak_memory_cpu(lambda: None)
    peak = measure_peak_memory_cpu(allocate)
    assert calls == [200 * MIB]  # called once
    assert peak - before == pytest.approx(200 * MIB, abs=32 * MIB)


def test_a_call_that_raises_leaves_no_thread_that_reads_memory(monkeypatch):
    monkeypatch.setattr(process_memory, "high_water_mark_works", lambda: False)
    before = set(threading.enumerate())

    def work():
        assert set(threading.enumerate()) - before
        raise KeyError("layer")

    with pytest.raises(KeyError) as raised:  # its traceback holds what was watched with
        measure_peak_memory_cpu(work)
    assert raised.value.args == ("layer",)
    assert not set(threading.enumerate()) - before


def test_lines_of_ones_own_are_traced():
    kept = []

    def work():
        kept.append(bytearray(b"\1") * (64 * MIB))
        kept.clear()

    earlier = sys.gettrace()
    trace = start_memory_tracing(__name__)
    work()
    summary = stop_memory_tracing(trace)
    assert sys.gettrace() is earlier
    first = max(summary.sequential, key=lambda state: state.cpu_gpu.bytes)
    assert "bytearray" in first.frame.line_text
    assert first.cpu.bytes == pytest.approx(64 * MIB, abs=8 * MIB)
    assert summary.total.bytes >= first.cpu.bytes
    assert stop_memory_tracing(start_memory_tracing("no.such.module")) is None
    with pytest.raises(ArgumentError, match="gpus_to_trace: GPUs are not watched"):
        start_memory_tracing(gpus_to_trace=[0])
