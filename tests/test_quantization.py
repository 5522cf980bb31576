"""Quantized weights: bytes as the number formats have them, outputs as numbers, and what is not."""

from __future__ import annotations

import sys

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.case import Case
from tests.conftest import SMALL_LLAMA, TINY_BERT

pytest.importorskip("torchao")
pytestmark = [pytest.mark.slow, pytest.mark.newest]  # Transformers imports it into every worker

VIT = {
    "model_type": "vit",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 16,
}
MODELS = {"llama": SMALL_LLAMA, "bert": {**TINY_BERT, "hidden_size": 128}, "vit": VIT}


def built(backend, config, quantization, **values):
    length = None if config["model_type"] == "vit" else 16
    case = Case(
        "pytorch", "m", config, "given", 2, length, device="cpu", quantization=quantization,
        **values,
    )  # fmt: skip
    return backend.build(case, backend.open(case))


def expected_bytes(backend, config, bits):
    """Of codes and of a scale (in 4 bits: and a zero point) for each row or group, and the rest."""
    torch, dense = backend.torch, built(backend, config, "none")._model
    head = getattr(dense, "get_output_embeddings", lambda: None)()
    total = 0
    linear = [m for m in dense.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    weights = {id(module.weight) for module in linear}
    for module in linear:
        outputs, inputs = module.weight.shape
        scales = outputs if bits == 8 else 2 * outputs * inputs // 128
        total += outputs * inputs * bits // 8 + 4 * scales
    rest = [t for t in (*dense.parameters(), *dense.buffers()) if id(t) not in weights]
    return total + sum(t.numel() * t.element_size() for t in rest)


@pytest.mark.parametrize(("quantization", "bits"), [("int8", 8), ("float8", 8), ("int4", 4)])
@pytest.mark.parametrize("name", MODELS)
def test_bytes_are_those_of_the_number_format_and_outputs_are_numbers(
    backend, name, quantization, bits
):
    model = built(backend, MODELS[name], quantization)
    expected = expected_bytes(backend, MODELS[name], bits)
    assert model.parameter_bytes == pytest.approx(expected, rel=0.05)
    call, _ = model.prepare()
    output = call()
    assert all(t.isfinite().all() for t in output.values() if hasattr(t, "isfinite"))
    assert f"in {quantization}" in model.note
    assert "not quantized" in model.note


def test_the_number_of_parameters_stays(backend):
    dense, quantized = (built(backend, SMALL_LLAMA, kind) for kind in ("none", "int8"))
    assert quantized.parameter_count == dense.parameter_count


def test_shared_weights_of_the_head_stay_shared(backend):
    tied = {**SMALL_LLAMA, "tie_word_embeddings": True, "architectures": ["LlamaForCausalLM"]}
    model = built(backend, tied, "int8")
    inner = model._model
    assert inner.lm_head.weight is inner.model.embed_tokens.weight
    assert "embed_tokens" in model.note


def test_a_model_that_generates_may_be_quantized(backend):
    model = built(backend, SMALL_LLAMA, "int8", mode="generation", new_tokens=3, cache="dynamic")
    call, _ = model.prepare()
    call()
    assert len(model.generation.tokens) == 3


@pytest.mark.parametrize(
    ("config", "quantization", "values", "sentence"),
    [
        (SMALL_LLAMA, "int8", {"mode": "training"}, "is for inference and generation"),
        ({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2}, "int8", {}, "Conv1D"),
        ({**SMALL_LLAMA, "hidden_size": 40, "intermediate_size": 56, "num_attention_heads": 2,
          "head_dim": 20}, "int4", {}, "inputs in groups of 32, outputs of 16"),
    ],
)  # fmt: skip
def test_what_is_not_quantized_says_why(backend, config, quantization, values, sentence):
    with pytest.raises(Unsupported, match=sentence):
        built(backend, config, quantization, **values)


def test_without_torchao_the_row_names_it(backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(Unsupported, match="install torchao"):
        built(backend, SMALL_LLAMA, "int8")


def test_memory_that_runs_out_while_quantizing_is_no_lack_of_torchaos(backend, monkeypatch):
    def runs_out(*_):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr("torchao.quantization.quantize_", runs_out)
    with pytest.raises(RuntimeError, match="out of memory"):
        built(backend, SMALL_LLAMA, "int8")


def test_a_framework_that_quantizes_nothing_says_so(probe):
    report = nbbench.run(
        "m", configs=[{"model_type": "probe"}], frameworks=["probe"], quantizations=["int8"],
        batch_sizes=[1], sequence_lengths=[4], progress=False,
    )  # fmt: skip
    assert report.speed.status[0] == "unsupported"
    assert "framework probe has no quantization int8" in report.speed.reason[0]


def test_it_is_an_axis_with_a_verdict_and_the_peak_while_loading_stands_apart():
    report = nbbench.run(
        "m", configs=[SMALL_LLAMA], quantizations=["none", "int8"], batch_sizes=[1],
        sequence_lengths=[16], device="cpu", max_time=0.3, baseline="none", progress=False,
    )  # fmt: skip
    speed, memory = report.speed, report.memory
    assert list(speed.quantization) == ["none", "int8"]
    assert (speed.status == "ok").all()
    assert "not quantized" in speed.reason[1]
    assert memory.parameters_mib[1] < memory.parameters_mib[0] / 2
    assert memory.load_peak_mib.notna().all()
    assert {d.verdict.value for d in report.compare(by="quantization").differences} <= {
        "faster", "slower", "same", "cannot tell",
    }  # fmt: skip
