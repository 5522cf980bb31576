"""Bad input is one clear sentence, and the flags are the arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nbbench
from nbbench import ArgumentError, BenchmarkArguments
from nbbench.arguments.flags import benchmark_parser, reference
from nbbench.plan.cases import expand
from nbbench.plan.models import ModelConfig, find_models

BERT = {"model_type": "bert"}

HERE = [("pytorch", "kernel")]


def refused(**values):
    with pytest.raises(ArgumentError) as caught:
        BenchmarkArguments(**{"models": ["gpt2"], **values})
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"batch_size": [1]}, "there is no argument 'batch_size'; did you mean 'batch_sizes'?"),
        ({"batch_sizes": [-1]}, "batch_sizes: -1 is not a whole number above 0"),
        ({"batch_sizes": [0]}, "batch_sizes: 0 is not a whole number above 0"),
        ({"batch_sizes": []}, "batch_sizes is empty; give at least one"),
        ({"batch_sizes": [8, 1, 8]}, "batch_sizes has 8 twice (numbers 1 and 3); keep one"),
        ({"sequence_lengths": ["x"]}, "sequence_lengths: 'x' is not a whole number"),
        ({"frameworks": ["pytroch"]}, "did you mean 'pytorch'?"),
        ({"dtype": "flaot32"}, "did you mean 'float32'?"),
        ({"device": "gpu"}, "device: 'gpu' is not one of auto, cpu, cuda"),
        ({"precision": 2}, "precision: 2 is not a fraction below 1; 0.05 means ±5 %"),
        ({"max_time": 0}, "max_time: 0 is not a finite number above 0"),
        ({"inference": False}, "nothing to measure"),
        ({"speed": False, "memory": False}, "nothing to measure"),
        ({"models": []}, "no model was named"),
        ({"models": [""]}, "models: '' is not a name"),
        ({"batch_sizes": True}, "batch_sizes: True is not a whole number"),
        ({"seed": 2**80}, "does not fit into 64 bits"),
        ({"models": ["a", "a"]}, "models has 'a' twice (numbers 1 and 2)"),
        (
            {"models": ["a", "b", "c"], "configs": [BERT, {"model_type": "gpt2"}]},
            "models has 3 names (a, b, c) but configs has 2 (bert, gpt2)",
        ),
        ({"configs": [{"hidden_size": 3}]}, "configs: number 1 has no model_type"),
        ({"configs": [3]}, "configs: number 1 is a int; give a dict"),
    ],
)
def test_bad_values_are_one_sentence(values, sentence):
    assert sentence in refused(**values)


def test_one_value_stands_for_a_list_of_one():
    arguments = BenchmarkArguments(models="gpt2", batch_sizes=4, dtype="bfloat16")
    assert arguments.models == ["gpt2"]
    assert arguments.batch_sizes == [4]
    assert arguments.dtype == ["bfloat16"]


def test_arrays_scalars_of_numpy_and_paths_are_taken():
    arguments = BenchmarkArguments(
        models=Path("some") / "folder",
        batch_sizes=np.int64(4),
        sequence_lengths=np.array([8, 16]),
    )
    assert arguments.models == ["some/folder"]
    assert arguments.batch_sizes == [4]
    assert arguments.sequence_lengths == [8, 16]


def test_models_by_position_and_by_name_are_refused():
    with pytest.raises(ArgumentError, match="by position and by name"):
        nbbench.run("gpt2", models=["a"])


def test_a_list_of_models_by_position_is_taken_as_models():
    assert BenchmarkArguments.of((["a", "b"],), {}).models == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"models": [{"model_type": "bert"}]}, "a configuration was given for a name"),
        ({"configs": type("BertConfig", (), {"to_dict": dict})}, "is the class BertConfig"),
        ({"batch_sizes": 10**30}, "more than any machine takes"),
        ({"environment": "a", "environments": "b"}, "are the same; keep one"),
        ({"eager_mode": True, "use_xla": True}, "exclude each other"),
        ({"use_xla": True, "execution": "eager"}, "keep one of them"),
        ({"threads": 0}, "threads: 0 is not a whole number above 0"),
    ],
)
def test_more_bad_values_are_one_sentence(values, sentence):
    with pytest.raises(ArgumentError) as caught:
        BenchmarkArguments(**{"models": "a", **values})
    assert sentence in str(caught.value)


def test_defaults_belong_to_each_instance():
    one, other = BenchmarkArguments(models="a"), BenchmarkArguments(models="a")
    assert one.batch_sizes == other.batch_sizes == [8]
    assert one.batch_sizes is not other.batch_sizes
    assert one.sequence_lengths == [8, 32, 128, 512]


def test_configs_without_names_are_numbered_by_type():
    arguments = BenchmarkArguments(configs=[BERT, {"model_type": "gpt2"}, {**BERT, "a": 1}])
    assert arguments.model_names() == ["bert-1", "gpt2-1", "bert-2"]


def test_config_objects_are_taken_as_they_are():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(num_hidden_layers=3, dtype="float16")
    given = BenchmarkArguments(configs=config).configs[0]
    assert given["model_type"] == "bert"
    assert given["num_hidden_layers"] == 3
    assert given["architectures"] is None
    assert given["dtype"] == "float16"


def read(line):
    return benchmark_parser("test", "").read(line.split())


def test_flags_are_the_arguments_names():
    values = read("gpt2 bert-tiny -b 1 8 --sequence_lengths 32 --no-memory --dtype float32 auto")
    assert values == {
        "models": ["gpt2", "bert-tiny"],
        "batch_sizes": ["1", "8"],
        "sequence_lengths": ["32"],
        "memory": False,
        "dtypes": ["float32", "auto"],
    }
    assert BenchmarkArguments(**values).batch_sizes == [1, 8]


def test_a_flag_given_twice_adds_to_its_list():
    assert read("gpt2 -b 1 -b 2 4 -e kernel --environment a==1")["batch_sizes"] == ["1", "2", "4"]
    assert read("gpt2 -e kernel --environment a==1")["environments"] == ["kernel", "a==1"]


def test_models_may_stand_after_a_flag():
    assert read("--no-memory gpt2")["models"] == ["gpt2"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("gpt2 --batch-size 1", "there is no option '--batch-size'; did you mean '--batch-sizes'?"),
        ("gpt2 --sequence-lenghts=8", "did you mean '--sequence-lengths'?"),
        ("gpt2 -b", "-b/--batch-sizes: expected at least one argument"),
    ],
)
def test_bad_flags_are_one_sentence(line, sentence):
    with pytest.raises(ArgumentError) as caught:
        read(line)
    assert sentence in str(caught.value)


def test_help_and_reference_name_every_argument_and_its_default():
    shown = benchmark_parser("test", "").format_help()
    table = reference()
    for name in BenchmarkArguments.model_fields:
        assert f"`{name}`" in table
        if name not in ("models", "configs"):
            assert "--" + name.replace("_", "-") in shown
    assert "[default: 8 32 128 512]" in shown


def test_the_reference_page_is_the_schema():
    page = Path(__file__).parent.parent / "docs" / "arguments.md"
    assert reference() in page.read_text(encoding="utf-8")


def test_cases_are_the_product_of_what_was_asked_for():
    arguments = BenchmarkArguments(
        models=["gpt2", "vit-base-patch16-224"], batch_sizes=[1, 2], dtype=["float32", "bfloat16"]
    )
    cases = expand(arguments, find_models(arguments), HERE)
    assert len(cases) == len(set(cases)) == 2 * 2 * 4 + 2 * 2  # an image has no length
    assert cases[0].model == "gpt2"
    assert {c.sequence_length for c in cases if c.model.startswith("vit")} == {None}


def test_a_key_is_of_all_that_changes_the_result_and_nothing_else():
    arguments = BenchmarkArguments(models=["a"], batch_sizes=[1], sequence_lengths=[8])
    (case,) = expand(arguments, [ModelConfig("a", BERT, "given")], HERE)
    (renamed,) = expand(arguments, [ModelConfig("b", BERT, "catalogue")], HERE)
    (other,) = expand(arguments, [ModelConfig("a", {**BERT, "hidden_size": 8}, "given")], HERE)
    assert case.key == renamed.key != other.key
