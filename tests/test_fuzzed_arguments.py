"""Whatever the arguments are, they make a plan or are refused in a sentence."""

from __future__ import annotations

import dataclasses
import warnings
from typing import get_origin

import pytest

import nbbench
from nbbench import hf
from nbbench.plan.plan import Plan
from nbbench.report.atomic_write import check_writable
from nbbench.worker.messages import Request, RunCase, decode, encode
from tests.fuzzing import ANYTHING, Given, answer_or_sentence, fuzzed
from tests.fuzzing import st as st
from tests.public_listing import FIXTURE

pytestmark = pytest.mark.usefixtures("probe", "offline")

REPORT = nbbench.Report.load(FIXTURE)
FIELDS = nbbench.BenchmarkArguments.model_fields

CONFIG = {"model_type": "bert", "hidden_size": 64, "id2label": {0: "a"}, "x": [None, {"y": 1.5}]}

GOOD = {
    "models": ["bert-base-uncased", "vit-base-patch16-224", "gpt2"],
    "configs": [CONFIG, {"model_type": "probe"}],
    "frameworks": ["probe", "pytorch", "torch", "tensorflow"],
    "device": ["auto", "cpu", "cuda:3"],
    "dtypes": ["float32", "fp16", "auto"],
    "attentions": ["default", "sdpa"],
    "executions": ["default", "graph"],
    "environments": ["auto", "kernel", "transformers==4.57.6", "./x", "probe"],
    "isolation": ["auto", "fork", "process", "none"],
    "model_class": ["auto", "base"],
    "baseline": ["first", "8", "eager", "gpt2"],
    "seed": [0, -1],
    "threads": [None, 1],
    "rounds": [None, 1, 1000],
    "min_samples": [6, 1000],
}


def takes_several(name):
    return get_origin(FIELDS[name].annotation) is list


def good_values(name):
    annotation = FIELDS[name].annotation
    usual = [True, False] if annotation is bool else [1, 8, "32", 0.5]
    one = st.sampled_from(GOOD.get(name, usual))
    return one | st.lists(one, min_size=1, max_size=3) if takes_several(name) else one


REQUIREMENTS = """
a b==1 @ https://x/a.whl http://[x file:///x file://[ git+ssh://g@h/x ; os_name ~= 'x' [dev] ${X}
python_version<'3' extra=='x' -e . ./x #egg=x ~ ~nouser /x .whl ==== >=1,<2
"""
ENVIRONMENTS = st.lists(st.sampled_from(REQUIREMENTS.split()), max_size=4).flatmap(
    lambda parts: st.sampled_from([" ".join(parts), "".join(parts)])
)


def any_values(name):
    """A value of any kind; for an argument that takes several, also one among good ones."""
    several = st.lists(st.sampled_from(GOOD.get(name, [1, 8])), max_size=2, unique_by=str)
    among = st.builds(lambda good, bad: [*good, bad], several, ANYTHING)
    if name == "environments":
        return ANYTHING | among | ENVIRONMENTS
    return ANYTHING | among if takes_several(name) else ANYTHING


@st.composite
def arguments(draw):
    """Arguments of which all but one are good, so that it is met at every depth."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True))
    values = {name: draw(good_values(name)) for name in names}
    wrong = draw(st.sampled_from(sorted(FIELDS)))
    values[wrong] = draw(any_values(wrong))
    if draw(st.integers(0, 30)) == 7:
        values[draw(st.text(max_size=8) | st.sampled_from(["batch_sizs", "a" * 5000]))] = 1
    return Given({"models": ["gpt2"], "frameworks": ["probe"], **values})


def planned(given):
    """What `nbbench.run` plans for these arguments."""
    return Plan.of(nbbench.BenchmarkArguments.of((), given.value))


@fuzzed(arguments(), examples=150)
def test_any_arguments_make_a_plan_or_a_sentence(given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of code of a model's own
        plan = answer_or_sentence(lambda: planned(given))
    if plan is None:
        return
    assert plan.cases or plan.problems
    for case in plan.cases[:3]:
        assert decode(encode(RunCase(case)), Request).case.key == case.key
        assert case.label.encode()


@fuzzed(ANYTHING.map(Given), st.sampled_from([True, False]), examples=50)
def test_any_value_for_a_file_is_a_path_or_refused_in_a_sentence(given, folder):
    answer_or_sentence(lambda: check_writable(given.value, folder=folder))
    assert answer_or_sentence(lambda: nbbench.Report.load(given.value)) is None


@fuzzed(
    st.dictionaries(st.sampled_from(["other", "by", "baseline", "matters"]), ANYTHING, min_size=1),
    examples=50,
)
def test_any_arguments_of_a_comparison_compare_or_are_refused_in_a_sentence(values):
    answer_or_sentence(lambda: REPORT.compare(**values))


KINDS = (hf.PyTorchBenchmarkArguments, hf.TensorFlowBenchmarkArguments)
BENCHMARKS = {KINDS[0]: hf.PyTorchBenchmark, KINDS[1]: hf.TensorFlowBenchmark}
NEGATED = [f"no_{name}" for name in ("inference", "cuda", "speed", "env_print", "multi_process")]


@st.composite
def former_arguments(draw):
    """A kind of arguments, values for some of them, and configurations; one of these is bad."""
    kind = draw(st.sampled_from(KINDS))
    fields = {item.name: item for item in dataclasses.fields(kind)}
    switches = sorted(name for name, item in fields.items() if item.type == "bool")
    values = draw(st.dictionaries(st.sampled_from(switches), st.booleans(), max_size=3))
    wrong = draw(st.sampled_from([*fields, *NEGATED, "configs", "configs"]))
    if wrong in ("models", "batch_sizes", "sequence_lengths"):
        values[wrong] = draw(any_values(wrong))
    elif wrong != "configs":
        values[wrong] = draw(ANYTHING)
    if draw(st.integers(0, 30)) == 7:
        values[draw(st.text(max_size=8) | st.just("a" * 5000))] = 1
    configs = draw(any_values("configs") if wrong == "configs" else st.sampled_from([None, CONFIG]))
    return Given((kind, {"models": ["gpt2"], **values}, configs))


@fuzzed(former_arguments(), examples=150)
def test_any_former_arguments_make_a_plan_or_a_sentence(given):
    kind, values, configs = given.value

    def made():
        args = kind(**values)
        return Plan.of(BENCHMARKS[kind](args, configs).arguments()), args

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the former names of arguments, and no isolation
        answer = answer_or_sentence(made)
    if answer is not None:
        plan, args = answer
        assert plan.cases or plan.problems
        assert args.to_json_string()
        assert isinstance(args.is_gpu, bool)
