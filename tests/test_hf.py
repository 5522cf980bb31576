"""Scripts written for Transformers' former benchmark run with one line changed."""

from __future__ import annotations

import csv
import itertools
import json
import warnings
from dataclasses import fields
from pathlib import Path

import pytest

from nbbench import ArgumentError
from nbbench.cli import main
from nbbench.errors import OutputError
from nbbench.hf import (
    Memory,
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
)
from tests.conftest import TINY_BERT

GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 300}
pytestmark = pytest.mark.usefixtures("quick_samples")

SMALL = {"sequence_lengths": [8], "batch_sizes": [1], "cuda": False}


@pytest.fixture(autouse=True)
def _torch():
    pytest.importorskip("torch")


def pytorch(config, **arguments):
    args = PyTorchBenchmarkArguments(models=["tiny"], **{**SMALL, **arguments})
    return PyTorchBenchmark(args, configs=[config]).run()


def test_results_are_nested_dicts_of_seconds_and_memory(capsys):
    args = PyTorchBenchmarkArguments(
        models=["a", "b"], batch_sizes=[1, 2], sequence_lengths=[8, 600], cuda=False, training=False
    )
    output = PyTorchBenchmark(args, configs=[TINY_BERT, GPT2]).run()
    result = output.time_inference_result["a"]
    assert result["bs"] == [1, 2]
    assert result["ss"] == [8, 600]
    assert isinstance(result["result"][2][8], float)
    assert result["result"][2][600] == "N/A"  # longer than BERT takes
    memory = output.memory_inference_result["b"]["result"][1][600]
    assert isinstance(memory, Memory)
    assert repr(memory) == str(memory.bytes >> 20)
    assert output.time_train_result["a"]["result"] == {1: {}, 2: {}}
    shown = capsys.readouterr().out
    assert "INFERENCE - SPEED - RESULT" in shown
    assert "TRAIN" not in shown
    assert "ENVIRONMENT" not in shown
    assert "sequence length 600 is more than a takes (512)" in shown


def test_csv_files_and_log(tmp_path, capsys):
    names = ("inference_time", "inference_memory", "train_time", "train_memory", "env_info")
    files = {f"{name}_csv_file": str(tmp_path / f"{name}.csv") for name in names}
    log = tmp_path / "log.txt"
    pytorch(
        GPT2, training=True, save_to_csv=True, log_print=True, log_filename=str(log),
        env_print=True, **files,
    )  # fmt: skip
    for name in names[:4]:
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            head, row = csv.reader(file)
        assert head == ["model", "batch_size", "sequence_length", "result"]
        assert row[:3] == ["tiny", "1", "8"]
        assert float(row[3]) > 0
    with (tmp_path / "env_info.csv").open(newline="") as file:
        info = dict(csv.reader(file))
    assert info["framework"] == "PyTorch"
    assert {"transformers_version", "python_version", "cpu", "cpu_ram_mb", "use_gpu"} <= set(info)
    printed = capsys.readouterr().out
    assert log.read_text() == printed
    assert printed.count("Saving results to csv.") == 4


def test_arguments_are_the_originals():
    one, other = PyTorchBenchmarkArguments(models=["a"]), PyTorchBenchmarkArguments()
    assert (one.batch_sizes, one.sequence_lengths) == ([8], [8, 32, 128, 512])
    assert one.batch_sizes is not other.batch_sizes
    assert '"fp16_opt_level": "O1"' in one.to_json_string()
    assert one.inference_time_csv_file.startswith("inference_time_")
    assert one.log_filename.startswith("log_")
    with pytest.raises(ValueError, match="models is empty"):
        _ = other.model_names
    with pytest.raises(ArgumentError, match="did you mean 'batch_sizes'"):
        PyTorchBenchmarkArguments(batch_size=[1])
    pytorch, tensorflow = (
        {item.name for item in fields(kind)}
        for kind in (PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments)
    )
    assert len(pytorch | tensorflow) == 31
    assert tensorflow - pytorch == {"tpu_name", "device_idx", "eager_mode", "use_xla"}


@pytest.mark.parametrize("kind", [PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments])
def test_the_seven_old_negatives_work_in_both(kind):
    names = ("inference", "cuda", "tpu", "speed", "memory", "env_print", "multi_process")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        args = kind(**{f"no_{name}": True for name in names})
    assert [getattr(args, name) for name in names] == [False] * 7
    assert len(caught) == 7


def test_arguments_that_make_no_sense_are_one_sentence(tmp_path):
    two = PyTorchBenchmarkArguments(models=["a", "b"])
    with pytest.raises(ArgumentError, match="models has 2 names"):
        PyTorchBenchmark(two, configs=[GPT2])
    both = TensorFlowBenchmarkArguments(models=["a"], eager_mode=True, use_xla=True)
    with pytest.raises(ArgumentError, match="exclude each other"):
        TensorFlowBenchmark(both, [GPT2])
    traced = TensorFlowBenchmarkArguments(models=["a"], trace_memory_line_by_line=True)
    with pytest.raises(ArgumentError, match="needs eager_mode=True"):
        TensorFlowBenchmark(traced, [GPT2])
    for wrong in ({"save_to_csv": True, "env_info_csv_file": "/nowhere/env.csv"},
                  {"log_print": True, "log_filename": "/nowhere/log"}):  # fmt: skip
        args = PyTorchBenchmarkArguments(models=["a"], **wrong)
        with pytest.raises(OutputError, match=r"'/nowhere/.*' cannot be written"):
            PyTorchBenchmark(args, configs=[GPT2]).run()
    args = PyTorchBenchmarkArguments(
        models=["a"], save_to_csv=True, inference_time_csv_file="same", env_info_csv_file="./same"
    )
    with pytest.raises(ArgumentError, match=r"would both write '\./same'"):
        PyTorchBenchmark(args, configs=[GPT2]).run()


def test_the_summary_is_the_last_cases_and_the_report_has_all(capsys):
    args = PyTorchBenchmarkArguments(
        models=["tiny"], sequence_lengths=[8, 16], batch_sizes=[1], cuda=False, speed=False,
        trace_memory_line_by_line=True,
    )  # fmt: skip
    benchmark = PyTorchBenchmark(args, configs=[GPT2])
    output = benchmark.run()
    assert output.train_summary is None
    frame = benchmark.report.lines
    assert set(frame.sequence_length) == {8, 16}
    last = frame[frame.sequence_length == 16]
    assert len(output.inference_summary.sequential) == len(last)
    shown = capsys.readouterr().out
    assert shown.count("INFERENCE - MEMOMRY - LINE BY LINE - SUMMARY") == 1
    assert shown.count("Line by line memory consumption:") == 2
    assert "tiny pytorch inference, batch 1 × length 16" in shown


def test_repeat_is_the_fewest_samples_within_what_nbbench_takes():
    for repeat, samples in ((1, 3), (30, 30), (5000, 1000)):
        args = PyTorchBenchmarkArguments(models=["tiny"], repeat=repeat, cuda=False)
        assert args.benchmark_arguments([GPT2]).min_samples == samples


def test_the_scripts_of_old_are_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(
        ["hf", "pytorch", "--models", "bert-tiny", "--batch_sizes", "1", "2", "--sequence-lengths",
         "8", "--no_memory", "--save_to_csv", "--inference_time_csv_file", "times.csv", "--no-cuda"]
    )  # fmt: skip
    assert code == 0
    assert "INFERENCE - SPEED - RESULT" in capsys.readouterr().out
    with open("times.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["batch_size"]) for row in rows] == [
        ("bert-tiny", "1"),
        ("bert-tiny", "2"),
    ]
    assert main(["hf", "tensorlow"]) == 2
    assert "did you mean 'tensorflow'?" in capsys.readouterr().err


def test_one_value_does_where_a_list_is_taken_and_results_have_it():
    args = PyTorchBenchmarkArguments(
        models="tiny", batch_sizes=1, sequence_lengths="8", memory=False, cuda=False
    )
    output = PyTorchBenchmark(args, GPT2).run()
    assert output.time_inference_result["tiny"]["result"][1][8] > 0
    args.sequence_lengths = [16]  # changed afterwards, as it could be
    benchmark = PyTorchBenchmark(args, [GPT2])
    args.batch_sizes = [2]
    assert list(benchmark.run().time_inference_result["tiny"]["result"]) == [2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"fp16": "banana"}, "fp16: 'banana' is neither True nor False"),
        ({"repeat": "4"}, "repeat: '4' is not a whole number from 1 up to 2147483647"),
        ({"repeat": -3}, "repeat: -3 is not a whole number from 1 up to 2147483647"),
        ({"save_to_csv": True, "env_info_csv_file": None}, "None is no path"),
        ({"save_to_csv": True, "env_info_csv_file": ""}, "'' is no path"),
    ],
)
def test_values_of_a_wrong_kind_are_one_sentence(arguments, sentence):
    args = PyTorchBenchmarkArguments(models=["tiny"], **arguments)
    with pytest.raises((ArgumentError, OutputError), match=sentence):
        PyTorchBenchmark(args, [GPT2]).run()


def test_arguments_of_the_other_framework_are_refused():
    args = TensorFlowBenchmarkArguments(models=["tiny"])
    with pytest.raises(ArgumentError, match="PyTorchBenchmark takes PyTorchBenchmarkArguments"):
        PyTorchBenchmark(args, [GPT2])


def test_two_benchmarks_of_one_second_share_no_file():
    one, other = PyTorchBenchmarkArguments(), PyTorchBenchmarkArguments()
    assert one.inference_time_csv_file != other.inference_time_csv_file


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_loses_no_result(capsys):
    full = {"save_to_csv": True, "log_print": True, "log_filename": "/dev/full"}
    names = ("inference_time", "inference_memory", "env_info")
    full |= {f"{name}_csv_file": "/dev/full" for name in names}
    args = PyTorchBenchmarkArguments(models=["tiny"], **SMALL, **full)
    with pytest.warns(RuntimeWarning, match="'/dev/full' could not be written"):
        output = PyTorchBenchmark(args, [GPT2]).run()
    assert output.time_inference_result["tiny"]["result"][1][8] > 0
    assert "INFERENCE - MEMORY - RESULT" in capsys.readouterr().out


def test_the_command_takes_truths_as_the_scripts_did(capsys):
    small = ["hf", "pytorch", "--models", "bert-tiny", "--batch-sizes", "1", "--sequence-lengths",
             "8", "--cuda", "False", "--memory", "False"]  # fmt: skip
    assert main(small) == 0
    assert "MEMORY" not in capsys.readouterr().out
    assert main([*small, "--training", "banana"]) == 2
    assert "'banana' is neither true nor false" in capsys.readouterr().err
    assert main(["hf", "pytorch", "a.json"]) == 2
    assert "'a.json' belongs to no option" in capsys.readouterr().err


class Ambiguous:
    """A value that can neither be compared nor be true or false, as NumPy's arrays."""

    def __eq__(self, other):
        raise ValueError("two\nlines")

    __bool__ = __iter__ = __repr__ = lambda self: self == self
    __hash__ = None


@pytest.mark.parametrize(
    "values",
    [
        {"log_filename": 3},
        {"tpu_name": [1]},
        {"device_idx": "0"},
        {"device_idx": 10**5000},
        {"device_idx": -1},
        {"repeat": 10**5000},
        {"no_cuda": [1, 2]},
        {"batch_sizes": itertools.count(1)},
        {"models": itertools.repeat("gpt2")},
        {"x" * 5000: 1},
        {"eager_mode": Ambiguous()},
        {"no_memory": Ambiguous()},
        {"log_filename": Ambiguous()},
        {"models": Ambiguous()},
    ],
)
def test_values_that_the_former_arguments_do_not_take_are_one_short_sentence(values):
    with pytest.raises(ArgumentError) as caught:
        TensorFlowBenchmark(TensorFlowBenchmarkArguments(**{"models": ["gpt2"], **values}))
    assert len(str(caught.value)) < 300
    assert "set_int_max_str_digits" not in str(caught.value)


def test_paths_for_file_names_are_in_the_json_of_the_former_arguments(tmp_path):
    args = PyTorchBenchmarkArguments(models=["gpt2"], log_filename=tmp_path / "x")
    assert json.loads(args.to_json_string())["log_filename"] == str(tmp_path / "x")


@pytest.mark.parametrize("kind", [PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments])
def test_the_parser_of_the_old_scripts_keeps_defaults_and_offers_to_switch_them_off(kind):
    parser = pytest.importorskip("transformers").HfArgumentParser(kind)
    given = ["--models", "bert-tiny", "--batch_sizes", "1", "2", "--no_memory", "--training"]
    (arguments,) = parser.parse_args_into_dataclasses(given)
    plain = kind(models=["bert-tiny"], batch_sizes=[1, 2], memory=False, training=True)
    for name in ("inference", "speed", "memory", "training", "cuda", "multi_process", "repeat"):
        assert getattr(arguments, name) == getattr(plain, name), name
    assert arguments.inference_time_csv_file.startswith("inference_time_")
    assert arguments.log_filename != plain.log_filename  # a file of its own for each
    for name in set(kind.deprecated_args) - {"no_env_print"}:  # which is off by default
        (switched,) = parser.parse_args_into_dataclasses([f"--{name}"])
        assert getattr(switched, name.removeprefix("no_")) is False
