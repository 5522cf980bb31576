"""Scripts written for Transformers' former benchmark run with one line changed."""

from __future__ import annotations

import csv
import warnings
from dataclasses import fields

import pytest

from nbbench import ArgumentError
from nbbench.hf import (
    BenchmarkOutput,
    Memory,
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
)
from tests.conftest import TINY_BERT

GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 300}
BART = {"model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64, "vocab_size": 300}  # fmt: skip
SMALL = {"sequence_lengths": [8], "batch_sizes": [1], "cuda": False}


@pytest.fixture(autouse=True)
def _torch():
    pytest.importorskip("torch")


def check_results_dict_not_empty(results):
    for result in results.values():
        for batch_size, length in zip(result["bs"], result["ss"], strict=True):
            assert result["result"][batch_size][length] not in (None, "N/A")


def pytorch(config, **arguments):
    args = PyTorchBenchmarkArguments(models=["tiny"], **{**SMALL, **arguments})
    return PyTorchBenchmark(args, configs=[config]).run()


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        (GPT2, {}),
        ({**TINY_BERT, "architectures": ["BertForSequenceClassification"]}, {}),
        (TINY_BERT, {"only_pretrain_model": True}),
        (GPT2, {"torchscript": True}),
        ({**GPT2, "architectures": None}, {"training": True}),
        (GPT2, {"training": True, "inference": False}),
        (BART, {}),
        (BART, {"training": True}),
    ],
)
def test_pytorch(config, arguments):
    output = pytorch(config, **arguments)
    assert isinstance(output, BenchmarkOutput)
    if arguments.get("inference", True):
        check_results_dict_not_empty(output.time_inference_result)
        check_results_dict_not_empty(output.memory_inference_result)
    if arguments.get("training"):
        check_results_dict_not_empty(output.time_train_result)
        check_results_dict_not_empty(output.memory_train_result)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"eager_mode": True}, {"training": True}])
def test_tensorflow(arguments):
    args = TensorFlowBenchmarkArguments(models=["tiny"], **SMALL, **arguments)
    output = TensorFlowBenchmark(args, [GPT2]).run()  # configs by position
    check_results_dict_not_empty(output.time_inference_result)
    if arguments.get("training"):
        check_results_dict_not_empty(output.memory_train_result)


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


def test_what_has_no_effect_or_is_missing_says_so():
    args = PyTorchBenchmarkArguments(models=["tiny"], multi_process=False)
    with pytest.warns(UserWarning, match="multi_process=False has no effect"):
        PyTorchBenchmark(args, configs=[GPT2])
    args = PyTorchBenchmarkArguments(models=["tiny"], trace_memory_line_by_line=True)
    with pytest.raises(ArgumentError, match="not available in nbbench yet"):
        PyTorchBenchmark(args, configs=[GPT2])
    args = PyTorchBenchmarkArguments(models=["a", "b"])
    with pytest.raises(ArgumentError, match="models has 2 names"):
        PyTorchBenchmark(args, configs=[GPT2]).run()
