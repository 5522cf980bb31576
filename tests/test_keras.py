"""Keras over TensorFlow, JAX and PyTorch, in the environments that nbbench makes for them."""

from __future__ import annotations

import json
import subprocess

import pytest

import nbbench
from nbbench import environments
from nbbench.environments import EnvironmentNotReady
from nbbench.frameworks import find_backend
from nbbench.worker.boot import boot_command
from tests.conftest import TINY_BERT

pytestmark = pytest.mark.slow

TINY_GPT2 = {
    "model_type": "gpt2",
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "vocab_size": 1000,
}
TINY_BART = {
    "model_type": "bart",
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 200,
    "max_position_embeddings": 64,
}
TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
EXECUTIONS = {
    "keras": ["graph", "eager", "xla"],
    "keras-jax": ["xla", "eager"],
    "keras-torch": ["eager"],
}
"""What each has; the first is the default."""


@pytest.fixture(scope="module", params=EXECUTIONS)
def framework(request):
    """A framework whose environment is ready: made now, unless it has been."""
    try:
        environments.finish(
            environments.prepare(environments.choose("auto", request.param), request.param), print
        )
    except EnvironmentNotReady as error:
        if "go online once" in str(error):
            pytest.skip(str(error))
        raise
    return request.param


def measure(*configs, **arguments):
    arguments = {"batch_sizes": [2], "sequence_lengths": [8], "max_time": 0.3, "device": "cpu",
                 "progress": False, **arguments}  # fmt: skip
    return nbbench.run(configs=list(configs), **arguments)


def test_backbones_have_the_parameters_of_pytorchs_base_models(framework):
    pytest.importorskip("torch")
    report = measure(TINY_BERT, TINY_GPT2, TINY_BART, frameworks=["pytorch", framework])
    speed, memory = report.speed, report.memory
    assert speed.status.tolist() == ["ok"] * 6, speed.reason.tolist()
    assert speed.architecture[3:].tolist() == ["BertBackbone", "GPT2Backbone", "BartBackbone"]
    counts = [result.outcome.parameter_count for result in report.results]
    assert counts[3:] == pytest.approx(counts[:3], rel=0.01)
    assert memory.parameters_mib[3:].tolist() == pytest.approx(
        memory.parameters_mib[:3].tolist(), rel=0.05
    )
    assert (memory.peak_mib > memory.baseline_mib).all()
    assert set(speed.execution[3:]) == {EXECUTIONS[framework][0]}
    assert (speed.tokens_per_s * speed.median_s).tolist() == pytest.approx([16] * 6)
    about = report.environment
    assert about.loc["framework", framework] == "Keras"
    assert about.loc["threads", framework] == about.loc["threads", "pytorch"]


def test_images_have_no_length(framework):
    report = measure(TINY_VIT, frameworks=[framework])
    assert report.speed.status.tolist() == ["ok"], report.speed.reason.tolist()
    assert report.speed.sequence_length.isna().all()
    assert report.speed.architecture[0] == "ViTBackbone"


def test_each_execution_is_what_it_says(framework):
    wanted = ["eager", "graph", "xla"]
    report = measure(TINY_BERT, frameworks=[framework], execution=wanted)
    speed = report.speed.set_index("execution")
    has = EXECUTIONS[framework]
    assert [name for name in wanted if speed.status[name] == "ok"] == sorted(has)
    for name in set(wanted) - set(has):
        assert f"execution {name} is not one that Keras on" in speed.reason[name]
        assert f"use {' or '.join(has)}" in speed.reason[name]
    if len(has) > 1:
        compiled = has[0]  # which shows in the first call, and nowhere else
        assert speed.first_call_s[compiled] > 20 * speed.median_s[compiled]
        assert speed.median_s[compiled] < speed.median_s["eager"]


def test_dtypes_are_keras_policies(framework):
    report = measure(TINY_BERT, frameworks=[framework], dtype=["float32", "bfloat16"])
    assert report.speed.status.tolist() == ["ok", "ok"], report.speed.reason.tolist()
    assert report.speed.dtype.tolist() == ["float32", "mixed_bfloat16"]


def test_weights_are_quantized_by_keras_and_other_ways_say_so(framework):
    report = measure(
        TINY_BERT, frameworks=[framework], quantizations=["none", "int8-dynamic", "int4"]
    )
    none, dynamic, other = report.results
    assert dynamic.outcome.status.value == "ok", dynamic.outcome.reason
    assert "in int8-dynamic; not quantized: " in dynamic.outcome.reason
    assert dynamic.outcome.memory.parameters < 0.6 * none.outcome.memory.parameters
    assert dynamic.outcome.parameter_count == none.outcome.parameter_count
    assert other.outcome.status.value == "unsupported"
    assert "give int8-dynamic, or frameworks pytorch" in other.outcome.reason


def test_what_keras_cannot_run_is_unsupported_and_says_why(framework):
    electra = {"model_type": "electra"}
    report = measure(
        TINY_GPT2,
        electra,
        {"model_type": "qwen9"},
        frameworks=[framework],
        sequence_lengths=[8, 65],
    )
    assert report.speed.status.tolist() == ["ok"] + ["unsupported"] * 5
    reasons = report.speed.reason.tolist()
    assert reasons[1] == (
        "sequence length 65 is more than gpt2-1 takes (64); lower sequence_lengths"
    )
    assert reasons[2].startswith("model type 'electra' has no converter in keras-hub 0.")
    assert reasons[2].endswith("; measure it with frameworks pytorch")
    assert "model type 'qwen9' is unknown to transformers" in reasons[4]
    for arguments in ({"attention": "sdpa"}, {"model_class": "architecture"}, {"device": "cuda:7"}):
        report = measure(TINY_BERT, frameworks=[framework], **arguments)
        assert report.speed.status.tolist() == ["unsupported"], arguments
        assert next(iter(arguments)).partition("_")[0] in report.speed.reason[0]


IN_THE_WORKER = """
import json, sys, time
from nbbench.worker.backends import keras
from nbbench.worker.case import Case

backend = getattr(keras, sys.argv[1])()
backend.load()
case = Case(**json.loads(sys.argv[2]))
call, _ = backend.build(case, backend.open(case)).prepare()
values = backend.keras.tree.flatten(call())
begin, used = time.perf_counter(), time.process_time()
while time.perf_counter() - begin < 1:
    call()
cores = (time.process_time() - used) / (time.perf_counter() - begin)
print(json.dumps([float(backend.keras.ops.sum(backend.keras.ops.abs(values[0]))), cores]))
"""


def test_one_seed_is_one_result_and_threads_are_kept_to(framework):
    class_name = find_backend(framework).class_name
    python = environments.finish(
        environments.prepare(environments.choose("auto", framework), framework)
    ).python

    def run(seed):
        case = {"framework": framework, "model": "tiny", "config": TINY_BERT,
                "config_source": "given", "batch_size": 16, "sequence_length": 128,
                "device": "cpu", "threads": 1, "seed": seed}  # fmt: skip
        done = subprocess.run(
            boot_command(python, IN_THE_WORKER, class_name, json.dumps(case)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    (first, cores), (again, _), (other, _) = run(5), run(5), run(6)
    assert again == pytest.approx(first, rel=1e-6)
    assert other != pytest.approx(first, rel=1e-6)
    assert cores < 1.3


@pytest.mark.timeout(900)
def test_thirty_forks_of_one_server_all_end_well(framework):
    lengths = list(range(8, 38))
    report = measure(
        TINY_BERT, frameworks=[framework], sequence_lengths=lengths, max_time=0.02,
        isolation="fork", timeout=60,
    )  # fmt: skip
    assert report.speed.status.tolist() == ["ok"] * 30, report.failures
