"""Configurations of quantized weights: run by their library, or a sentence that names it."""

from __future__ import annotations

import sys

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends import quantized_configs
from nbbench.worker.backends.transformers_models import make_config
from nbbench.worker.case import ADAPTER_KEY, Case
from tests.conftest import SMALL_LLAMA, TINY_BERT

BERT = {**TINY_BERT, "hidden_size": 128, "intermediate_size": 256}
MODELS = {"llama": SMALL_LLAMA, "bert": BERT}
BITNET = {"quant_method": "bitnet", "quantization_mode": "offline"}
INT8 = {"_type": "Int8WeightOnlyConfig", "_data": {}, "_version": 2}
HQQ = {
    "weight_quant_params": {
        "nbits": 4, "group_size": 64, "channel_wise": True, "optimize": False,
        "round_zero": False, "axis": 1, "view_as_float": False,
    },
    "scale_quant_params": None,
    "zero_quant_params": None,
    "offload_meta": False,
}  # fmt: skip

METHODS = [
    ("bitsandbytes", {"quant_method": "bitsandbytes", "load_in_4bit": True}, 4, 64, 1),
    ("bitsandbytes", {"quant_method": "bitsandbytes", "load_in_8bit": True}, 8, 256, 1),
    ("torchao", {"quant_method": "torchao", "quant_type": {"default": INT8}}, 8, 256, 1),
    ("optimum.quanto", {"quant_method": "quanto", "weights": "int8"}, 8, 256, 1),
    ("optimum.quanto", {"quant_method": "quanto", "weights": "int4"}, 4, 128, 2),
    ("hqq", {"quant_method": "hqq", "quant_config": HQQ, "skip_modules": []}, 4, 64, 2),
    ("accelerate", BITNET, 2, 10**9, 1),
    ("gptqmodel", {"quant_method": "gptq", "bits": 4, "group_size": 128}, 4, 128, 1.2),
    ("gptqmodel", {"quant_method": "awq", "bits": 4, "group_size": 128}, 4, 128, 1.2),
]
"""The package, the configuration, the bits of a code, the codes of a scale, and its numbers."""


def case_of(quantized, config=SMALL_LLAMA, framework="pytorch", **values):
    config = {**config, "quantization_config": quantized} if quantized else config
    return Case(framework, "m", config, "given", 2, 16, device="cpu", **values)


def built(backend, quantized, config=SMALL_LLAMA, **values):
    case = case_of(quantized, config, **values)
    backend.import_model(case)
    return backend.build(case, backend.open(case))


def sentence_of(backend, quantized, **values):
    with pytest.raises(Unsupported) as refused:
        built(backend, quantized, **values)
    assert "to measure it dense, give its configuration as configs without" in str(refused.value)
    return str(refused.value)


def bytes_as_the_format_has_them(backend, config, note, bits, group, numbers):
    """Codes and scales of the layers that are quantized, and the rest as it is dense."""
    torch, dense = backend.torch, built(backend, None, config)
    linear = [m for m in dense.module.modules() if isinstance(m, torch.nn.Linear)]
    assert note.startswith(f"{len(linear)} linear layers in ")
    codes = sum(module.weight.numel() for module in linear)
    return dense.parameter_bytes - 4 * codes + codes * bits / 8 + 4 * numbers * codes / group


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("package", "quantized", "bits", "group", "numbers"), METHODS)
def test_its_library_quantizes_it_and_the_bytes_are_those_of_the_format(
    backend, package, quantized, bits, group, numbers, name
):
    pytest.importorskip(package)
    if package == "hqq" and int(backend.transformers.__version__.partition(".")[0]) >= 5:
        pytest.skip("Transformers 5 has no quantizer for it yet")
    if (quantized["quant_method"], name) == ("gptq", "bert"):
        pytest.skip("optimum knows no blocks of it")
    model, config = built(backend, quantized, MODELS[name]), MODELS[name]
    expected = bytes_as_the_format_has_them(backend, config, model.note, bits, group, numbers)
    assert model.parameter_bytes == pytest.approx(expected, rel=0.05)
    assert model.parameter_count == built(backend, None, config).parameter_count
    assert "not quantized: " in model.note
    call, _ = model.prepare()
    output = call()
    assert all(t.isfinite().all() for t in output.values() if hasattr(t, "isfinite"))


@pytest.fixture
def without_accelerate(monkeypatch):
    """BitNet and 8-bit floats without accelerate, which Transformers wants but needs on GPUs."""
    for module in ("bitnet", "finegrained_fp8"):
        name = f"transformers.quantizers.quantizer_{module}.is_accelerate_available"
        monkeypatch.setattr(name, lambda: True)
    monkeypatch.setattr(quantized_configs, "_version", lambda name: "1.0" if name else None)


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_a_format_of_files_gets_random_codes_of_its_own(backend):
    config = {**SMALL_LLAMA, "architectures": ["LlamaForCausalLM"]}
    model, dense = built(backend, BITNET, config), built(backend, None, config)
    layer = model.module.model.layers[0].mlp.up_proj
    assert layer.weight.dtype == backend.torch.uint8
    assert layer.weight.unique().numel() > 200
    assert 0 < float(layer.weight_scale) < 0.01
    assert model.note == (
        "14 linear layers in bitnet-offline by transformers 1.0; not quantized: embed_tokens, "
        "lm_head"
    )
    assert model.parameter_count == dense.parameter_count
    assert model.parameter_bytes < dense.parameter_bytes / 2
    norm = model.module.model.norm.weight
    assert (norm == 1).all(), "what is not quantized is as Transformers initialises it"


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_the_same_seed_gives_the_same_codes(backend):
    first, second = (built(backend, BITNET).module.layers[0].mlp.up_proj for _ in range(2))
    assert (first.weight == second.weight).all()


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_layers_whose_weights_stay_dense_are_named_as_such(backend):
    offline = {**BITNET, "linear_class": "autobitlinear"}
    assert "stored as dense numbers" in built(backend, offline).note
    assert "dense" not in built(backend, BITNET).note


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_experts_that_no_quantizer_knows_are_named(backend):
    mixtral = {
        **SMALL_LLAMA,
        "model_type": "mixtral",
        "num_key_value_heads": 4,
        "num_local_experts": 2,
    }
    assert "experts" in built(backend, BITNET, mixtral).note.partition("not quantized")[2]


@pytest.mark.slow
@pytest.mark.newest
def test_what_the_library_cannot_do_for_a_layer_is_in_the_sentence(backend, monkeypatch):
    quantization = pytest.importorskip("torchao.quantization")

    def fail(*_, **__):
        raise ImportError("it needs a package for GPUs")

    monkeypatch.setattr(quantization, "quantize_", fail)
    int8 = {"quant_method": "torchao", "quant_type": {"default": INT8}}
    assert "it needs a package for GPUs" in sentence_of(backend, int8)


def test_the_library_loads_no_kernels_of_the_hub(backend, monkeypatch, tmp_path):
    """`bitsandbytes` stands for a library that asks for them as it is imported."""
    (tmp_path / "kernels.py").write_text("")
    (tmp_path / "bitsandbytes.py").write_text(
        "try:\n    import kernels\nexcept ImportError:\n    kernels = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    quantized_configs.import_library(case_of({"load_in_4bit": True}))
    assert sys.modules.pop("bitsandbytes").kernels is None
    assert "kernels" not in sys.modules


@pytest.mark.parametrize(
    ("quantized", "package"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
        ({"quant_method": "quanto", "weights": "int8"}, "optimum-quanto"),
        ({"quant_method": "hqq"}, "hqq"),
        ({"quant_method": "fp8"}, "accelerate"),
        ({"quant_method": "bitnet"}, "accelerate"),
        ({"quant_method": "vptq"}, "vptq"),
    ],
)
def test_without_its_library_the_sentence_names_it(backend, monkeypatch, quantized, package):
    monkeypatch.setattr(quantized_configs, "_version", lambda _: None)
    sentence = sentence_of(backend, quantized)
    assert "is quantized by" in sentence
    assert f"{package}; to measure it dense" in sentence
    assert "pip install" in sentence


@pytest.mark.parametrize(("version", "package"), [("4.57.6", "autoawq"), ("5.23.0", "gptqmodel")])
def test_awq_needs_another_package_since_transformers_5(backend, monkeypatch, version, package):
    installed = {"transformers": version}
    monkeypatch.setattr(quantized_configs, "_version", installed.get)
    assert f"{package}; to measure it" in sentence_of(backend, {"quant_method": "awq", "bits": 4})


@pytest.mark.parametrize(
    ("quantized", "values", "part"),
    [
        ({"quant_method": "mxfp4"}, {}, "no code of the Hub"),
        ({"quant_method": "gguf"}, {}, "made only from a file"),
        ({"quant_method": "nothing-known"}, {}, "does not know"),
        ({"quant_method": "bitsandbytes"}, {}, "neither load_in_4bit nor load_in_8bit"),
        ({"bits": 4}, {}, "only with a quant_method"),
        ({"quant_method": ["gptq"]}, {}, "only with a quant_method"),
        ("gptq", {}, "only with a quant_method"),
        (BITNET, {"quantization": "int8"}, "beside which quantization int8 cannot be; give none"),
        (BITNET, {"mode": "training"}, "for inference and generation"),
    ],
)
def test_what_is_not_run_is_a_sentence(backend, quantized, values, part):
    assert part in sentence_of(backend, quantized, **values)


@pytest.mark.parametrize("framework", ["tensorflow", "keras", "onnxruntime", "openvino"])
def test_frameworks_other_than_pytorch_refuse_it(backend, framework):
    case = case_of(BITNET, framework=framework)
    with pytest.raises(Unsupported, match="runs in PyTorch alone; give frameworks pytorch"):
        make_config(backend.transformers, case)


def test_an_adapter_of_a_quantized_model_is_a_sentence(backend):
    config = {**SMALL_LLAMA, ADAPTER_KEY: {"peft_type": "LORA"}}
    assert "with an adapter" in sentence_of(backend, BITNET, config=config)


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_weights_that_would_be_dequantized_are_refused_and_not_measured(backend):
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128], "dequantize": True}
    assert "would run with dense weights" in sentence_of(backend, fp8)


@pytest.mark.newest
@pytest.mark.usefixtures("without_accelerate")
def test_eight_bit_floats_without_a_gpu_are_refused(backend, monkeypatch):
    monkeypatch.setattr(backend.torch.cuda, "is_available", lambda: False)
    assert "No GPU" in sentence_of(
        backend, {"quant_method": "fp8", "weight_block_size": [128, 128]}
    )


@pytest.mark.slow
@pytest.mark.newest
def test_weights_that_the_first_call_unpacks_are_refused(backend):
    pytest.importorskip("compressed_tensors")
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group",
               "group_size": 128}  # fmt: skip
    packed = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }
    assert "unpacks to dense weights in the first call" in sentence_of(backend, packed)


def test_a_row_has_the_sentence():
    pytest.importorskip("torch")
    report = nbbench.run(
        "m", configs=[{**SMALL_LLAMA, "quantization_config": {"quant_method": "mxfp4"}}],
        batch_sizes=[1], sequence_lengths=[4], device="cpu", progress=False,
    )  # fmt: skip
    assert list(report.speed.status) == ["unsupported"]
    assert "no code of the Hub" in report.speed.reason[0]
