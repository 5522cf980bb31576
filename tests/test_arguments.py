"""Bad input is one clear sentence, and the flags are the arguments."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import nbbench
from nbbench import ArgumentError, BenchmarkArguments
from nbbench.arguments import conflicts
from nbbench.arguments.flags import benchmark_parser, reference
from nbbench.cli import main
from nbbench.errors import nearest
from nbbench.machine.machine import MachineFacts
from nbbench.plan.cases import expand
from nbbench.plan.models import ModelConfig, find_models
from nbbench.plan.result import Result
from nbbench.worker.case import Outcome, Status
from nbbench.worker.messages import Request, RunCase, decode, encode

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
        ({"rounds": 1001}, "rounds: 1001 is not a number up to 1000"),
        ({"models": pd.DataFrame({"a": ["gpt2"]})}, "models: a DataFrame is no list of values"),
        ({"rounds": True}, "rounds: True is no number"),
        ({"max_time": True}, "max_time: True is no number"),
        ({"precision": False}, "precision: False is no number"),
        ({"seed": True}, "seed: True is no number"),
        ({"environments": ["a\udcff"]}, "is not text: it holds bytes of another encoding"),
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
        ({"batch_sizes": True}, "batch_sizes: True is no number"),
        ({"seed": 2**80}, "does not fit into 64 bits"),
        ({"seed": -(2**63)}, "does not fit into 64 bits"),
        ({"memory_limit": "1e30 GB"}, "memory_limit: '1e30 GB' is too much; give 1,000,000 TB at"),
        (
            {"latency_limit": "1e300 s"},
            "latency_limit: '1e300 s' is too long; give 1e+09 s at most",
        ),
        ({"max_time": 1e300}, "max_time: 1e+300 s is too long; give 1e+09 at most"),
        ({"timeout": 1e10}, "timeout: 1e+10 s is too long; give 1e+09 at most"),
        ({"precision": 1e-200}, "precision: 1e-200 is too small; give 1e-12 or more"),
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


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_isolation_fork_is_refused_where_it_cannot_be_had(system, monkeypatch):
    monkeypatch.setattr(conflicts, "sys", SimpleNamespace(platform=system))
    assert f"isolation fork is for Linux, and this system is {system}" in refused(isolation="fork")
    assert BenchmarkArguments(models="gpt2", isolation="auto").isolation == "auto"


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


@pytest.mark.parametrize(
    "several",
    [
        ["a", "b"],
        ("a", "b"),
        {"b", "a"},
        frozenset(["b", "a"]),
        {"a": 1, "b": 2}.keys(),
        (name for name in ("a", "b")),
        map(str, ["a", "b"]),
        np.array(["a", "b"]),
        pd.Series(["a", "b"], index=[7, 8]),
        pd.Index(["a", "b"]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("by_position", [True, False])
def test_whatever_holds_several_names_is_taken(several, by_position):
    if not hasattr(several, "__len__"):  # it can be read once alone
        several = list(several) if by_position else iter(["a", "b"])
    given = ((several,), {}) if by_position else ((), {"models": several})
    assert BenchmarkArguments.of(*given).models == ["a", "b"]


def test_whatever_holds_several_numbers_is_taken():
    arguments = BenchmarkArguments(
        models="a", batch_sizes={8, 2, 4}, sequence_lengths=pd.Series([16, 8])
    )
    assert arguments.batch_sizes == [2, 4, 8]
    assert arguments.sequence_lengths == [16, 8]
    assert BenchmarkArguments(configs=(BERT for _ in range(2))).model_names() == [
        "bert-1",
        "bert-2",
    ]


class Config:
    model_type = "bert"

    def to_dict(self):
        return BERT


class Model:
    config = Config()

    def forward(self):
        pass

    def __iter__(self):  # as Sequential has it
        return iter(())


class Pipeline:
    model = Model()


class Layers(Model):
    config = None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Model(), "a model object (Model) was given for a name; nbbench builds its own, so give "
         "model.config as configs"),
        (Pipeline(), "so give its model.config as configs"),
        (Layers(), "a model object (Layers) was given for a name; code of your own runs from a "
         "file, so write its cell to one (%%writefile net.py), and give 'net.py:Layers'"),
        (Config(), "a configuration was given for a name; give it as configs"),
        (BERT, "a configuration was given for a name; give it as configs"),
        ({"a": BERT}, "a dict was given for a name; give names, or configurations as configs"),
        (Model, "the class Model was given for a name"),
        (Model, "and give 'net.py:Model'"),
        (lambda: Model(), "the function <lambda> was given for a name; code of your own runs"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["alone", "listed", "by position"])
def test_what_is_no_name_says_what_to_give(wrong, sentence, way):
    given = {"alone": ((), {"models": wrong}), "listed": ((), {"models": ["a", wrong]})}
    if way == "listed" and wrong.__hash__ is not None:
        given["listed"] = ((), {"models": {"a", wrong}})  # which cannot be put in order
    with pytest.raises(ArgumentError) as caught:
        BenchmarkArguments.of(*given.get(way, ((wrong,), {})))
    assert f"models: {sentence}" in str(caught.value) or sentence in str(caught.value)
    assert caught.value.problems.keys() == {"models"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Model(), "configs: number 1 is a model object (Model); give model.config"),
        ([BERT, Pipeline()], "configs: number 2 is a model object (Pipeline); give its model.con"),
        ({"a": BERT, "b": BERT}, "configs: a dict of configurations by name was given; give "
         "models=list(configs), configs=list(configs.values())"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_says_what_to_give(wrong, sentence):
    assert sentence in refused(models=[], configs=wrong)


class Raises:
    """A value whose own code fails, whatever is asked of it."""

    def __getattr__(self, name):
        raise OSError(5, "two\nlines")

    def __repr__(self):
        raise RuntimeError("no text")

    __iter__ = __len__ = __eq__ = __str__ = __bool__ = __repr__
    __hash__ = None


@pytest.mark.parametrize("name", BenchmarkArguments.model_fields)
def test_a_value_whose_own_code_fails_is_one_sentence_that_names_its_argument(name):
    for wrong in (Raises(), [Raises()], {"model_type": Raises()}, iter([1 / 3, Raises()])):
        assert refused(**{name: wrong}).startswith(f"{name}")


@pytest.mark.parametrize("name", ["models", "configs", "batch_sizes", "dtype"])
def test_values_without_end_are_refused(name):
    assert "more than 100,000 values were given" in refused(**{name: count(1)})
    assert "more than 100,000 values were given" in refused(**{name: range(10**12)})


def test_more_cases_than_anyone_can_wait_for_are_refused_at_once():
    sizes = list(range(1, 50_000))
    arguments = BenchmarkArguments(models=["gpt2"], batch_sizes=sizes, sequence_lengths=sizes)
    with pytest.raises(ArgumentError, match=r"make 2,499,900,001 cases, and .* at most 100,000"):
        expand(arguments, find_models(arguments), HERE)


def test_numbers_of_numpy_in_a_configuration_stay_numbers():
    config = {**BERT, "hidden_size": np.int64(64), "sizes": np.arange(2), "eps": np.float32(0.5)}
    (read,) = BenchmarkArguments(configs=config).configs
    assert read == {**BERT, "hidden_size": 64, "sizes": [0, 1], "eps": 0.5}


@pytest.mark.parametrize("edge", [1, -1])
def test_the_largest_numbers_that_are_taken_come_back_from_a_file(tmp_path, edge):
    arguments = BenchmarkArguments(
        models=["gpt2"], seed=edge * (2**63 - 1), memory_limit="1000000 TB", max_time=1e9,
        precision=1e-12, price_per_hour=1e9, batch_sizes=[2**31 - 1], rounds=1000,
    )  # fmt: skip
    cases = expand(arguments, find_models(arguments), HERE)
    report = nbbench.Report(
        [Result(case, Outcome(Status.OK)) for case in cases], MachineFacts(), {}
    )
    assert decode(encode(RunCase(cases[0])).rstrip(b"\n"), Request) == RunCase(cases[0])
    assert nbbench.Report.load(report.save(tmp_path / "x.nbbench.json")) == report


@pytest.mark.parametrize("digits", [400, 5000])  # more than Python prints
@pytest.mark.parametrize("name", ["seed", "batch_sizes", "rounds", "threads", "baseline"])
def test_a_number_too_long_to_print_is_one_sentence(name, digits):
    sentence = refused(**{name: 10**digits})
    assert sentence.startswith(name)
    assert len(sentence) < 300
    assert "set_int_max_str_digits" not in sentence


class Text(str):
    """Text that cannot be compared or be in a dict."""

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError


def test_text_of_a_class_of_its_own_is_text():
    texts = {"models": "gpt2", "frameworks": "torch", "dtype": "fp16", "environments": "auto"}
    arguments = BenchmarkArguments(**{name: Text(text) for name, text in texts.items()})
    assert arguments == BenchmarkArguments(**texts)
    assert type(arguments.models[0]) is str


@pytest.mark.parametrize("kind", [ArgumentError, nbbench.ModelNotFound, nbbench.OutputError])
def test_an_error_is_one_line_whatever_is_in_it(kind):
    assert str(kind("a\nb \x1b[2J \u202e \ud800")) == r"a b \x1b[2J \u202e \ud800"
    assert "\x1b" not in repr(kind("\x1b"))


def test_a_long_name_is_shortened_in_a_message(capsys):
    long = "x" * 5000
    for values in ({long: 1}, {"frameworks": long}, {"device": long}, {"environments": long}):
        assert len(refused(**values) if "environments" not in values else "") < 500
    for argv in (
        [long], ["run", f"--{long}"], ["env", long], ["hf", long],
        ["env", "create", long], ["env", "path", long], ["models", f"-{long}"],
        ["compare", long, long], ["run", "gpt2", "-e", long], ["run", "gpt2", "--baseline", long],
    ):  # fmt: skip
        assert main(argv) == 2, argv
        assert len(capsys.readouterr().err) < 500, argv


def test_a_long_value_is_shortened_in_a_message():
    sentence = refused(models=["x" * 100_000, "x" * 100_000])
    assert len(sentence) < 200
    assert "twice (numbers 1 and 2); keep one" in sentence


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("--lgo", "--log"),
        ("--batch-size", "--batch-sizes"),
        ("--trainig", "--training"),
        ("--seq-len", "--sequence-lengths"),
        ("--batch", "--batch-sizes"),
        ("--foo", ""),
        ("--xyz", ""),
        ("--number", ""),
        ("--b", ""),
    ],
)
def test_a_hint_is_for_a_near_miss_alone(wrong, meant, capsys):
    assert main(["run", "bert-tiny", wrong, "1"]) == 2
    hint = f"; did you mean {meant!r}?" if meant else ""
    assert capsys.readouterr().err == f"nbbench: error: there is no option {wrong!r}{hint}\n"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("brt-tiny", "bert-tiny"), ("BERT-tiny-", "bert-tiny"), ("gpt-2", "gpt2"), ("notathing", ""),
     ("depth", "depth_anything"), ("", ""), ("-", ""), ("x" * 10**6, "")],
)  # fmt: skip
def test_the_nearest_model_is_named_if_it_is_near(wrong, meant):
    assert nearest(wrong, ["depth_anything", *nbbench.catalogue()]) == meant


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
        (
            {"use_xla": True},
            "use_xla is for frameworks tensorflow, not asked for; ask for that, or omit use_xla",
        ),
        ({"eager_mode": True, "frameworks": ["pytorch", "keras"]}, "eager_mode is for frameworks"),
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
