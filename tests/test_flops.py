"""Floating point operations of decoders, against the formula that everybody knows."""

from __future__ import annotations

import pytest

import nbbench
from nbbench.plan.catalogue import catalogue
from nbbench.worker.case import Case
from tests.conftest import OLDER

DECODERS = (
    "gpt2", "opt-125m", "bloom-560m", "pythia-160m", "llama-3.2-1b", "qwen2.5-0.5b", "qwen3-0.6b",
    "gemma-2-2b", "gemma-3-270m", "phi-1.5", "phi-3-mini-4k", "mistral-7b", "smollm3-3b",
)  # fmt: skip

BATCH, LENGTH = 2, 128


def case(name, **more):
    config = catalogue()[name]
    return Case("pytorch", name, config, "built-in", BATCH, LENGTH, device="cpu", **more)


def sizes(backend, config):
    """Layers, the width of all heads together, and the parameters that are looked up alone."""
    from nbbench.worker.backends.transformers_models import make_config

    made = make_config(backend.transformers, config)
    heads = made.num_attention_heads
    head_size = getattr(made, "head_dim", None) or made.hidden_size // heads
    looked_up = 0 if made.tie_word_embeddings else made.vocab_size * made.hidden_size
    if made.model_type in ("gpt2", "opt"):  # positions, each with a vector of its own
        looked_up += made.max_position_embeddings * made.hidden_size
    return made.num_hidden_layers, heads * head_size, looked_up


def by_formula(parameters, tokens, queries, keys, layers, width):
    """2 × parameters × tokens for the products with weights, and two products of attention."""
    return 2 * parameters * tokens + layers * 4 * queries * keys * width


@OLDER
@pytest.mark.parametrize("name", DECODERS)
def test_a_forward_pass_is_2_x_parameters_x_tokens_and_attention(backend, name):
    found = backend.predict(case(name))
    layers, width, looked_up = sizes(backend, case(name))
    parameters, tokens = found.parameter_count - looked_up, BATCH * LENGTH
    expected = by_formula(parameters, tokens, tokens, LENGTH, layers, width)
    assert found.call.flops == pytest.approx(expected, rel=0.05)


SMALL_LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 500,
    "architectures": ["LlamaForCausalLM"],
}  # fmt: skip


@OLDER
def test_counted_in_a_real_run_they_are_the_same(backend):
    report = nbbench.run(
        "small", configs=[SMALL_LLAMA], batch_sizes=[BATCH], sequence_lengths=[32], rounds=1,
        training=True, generation=True, new_tokens=[5], max_time=0.1, predict=True, device="cpu",
        threads=1, progress=False,
    )  # fmt: skip
    assert [r.outcome.reason for r in report.failures] == []
    inference, training, generation = report.results
    parameters = inference.outcome.parameter_count - 500 * 64
    forward = by_formula(parameters, BATCH * 32, BATCH * 32, 32, 2, 64)
    assert inference.outcome.count.flops == pytest.approx(forward, rel=0.05)
    # backward: the gradients of both factors of each product; attention's forward once more
    assert training.outcome.count.flops == pytest.approx(3 * forward, rel=0.05)
    later = sum(by_formula(parameters, BATCH, BATCH, 32 + n, 2, 64) for n in range(1, 5))
    head = 2 * 500 * 64 * BATCH * 31  # a prompt has but its last position put through the head
    made = forward - head + later
    assert generation.outcome.count.flops == pytest.approx(made, rel=0.05)
    for result in report.results:
        predicted = result.outcome.prediction.call.flops
        assert predicted == pytest.approx(result.outcome.count.flops, rel=1e-3)
    row = report.speed.iloc[0]
    assert row.flops == inference.outcome.count.flops
    assert row.tflops == pytest.approx(row.flops / row.median_s / 1e12)
    assert row.gib_per_s == pytest.approx(inference.outcome.count.moved / row.median_s / 2**30)
    assert row[["ceiling_tflops", "ceiling_gib_per_s", "of_ceiling"]].isna().all()
    assert row.bound_by == ""


def moved(torch, call, held=()):
    from nbbench.worker.backends.live_tensors import LiveTensors

    live = LiveTensors(torch, held)
    with live.counting():
        call()
    return live.count().moved


def test_of_a_table_that_is_looked_up_in_the_rows_alone_are_moved(backend):
    torch = backend.torch
    table, ids = torch.ones(1000, 16), torch.arange(8)
    rows = 8 * 16 * 4
    with torch.inference_mode():
        found = moved(torch, lambda: torch.nn.functional.embedding(ids, table))
        assert found == 2 * rows + 8 * 8
        assert moved(torch, lambda: table.index_select(0, ids)) == 2 * rows + 8 * 8
        assert moved(torch, lambda: table[ids]) == 2 * rows + 8 * 8
        assert moved(torch, lambda: table.gather(0, ids[:, None])) == 2 * 8 * 4 + 8 * 8
        replaced = moved(torch, lambda: table.index_copy_(0, ids, torch.ones(8, 16)))
        assert replaced == 2 * rows + 8 * 8 + rows  # the last for making what is copied
        assert moved(torch, lambda: table.add(1)) == 2 * 1000 * 16 * 4


FUSED = "(Tensor q, Tensor k, Tensor v) -> Tensor"


@pytest.fixture
def package(backend):
    """Kernels of a package, of which PyTorch has no formula."""
    library = backend.torch.library.Library("a_package_of_kernels", "FRAGMENT")
    library.define(f"_flash_attn_forward{FUSED}")
    library.define("_convert(Tensor q) -> Tensor")
    library.impl("_flash_attn_forward", lambda q, k, v: q + k + v, "CPU")
    library.impl("_convert", lambda q: q + 1, "CPU")
    yield backend.torch.ops.a_package_of_kernels
    library._destroy()


def test_what_makes_products_by_no_formula_is_not_counted_as_nothing(backend, package):
    from nbbench.worker.backends.live_tensors import LiveTensors

    torch, found = backend.torch, {}
    one = torch.ones(1, 2, 4, 8)
    for name, given in (("_flash_attn_forward", 3), ("_convert", 1)):
        live = LiveTensors(torch, [])
        with live.counting():
            getattr(package, name)(*[one] * given)
        found[name] = live.without_formula
    assert found == {"_flash_attn_forward": "_flash_attn_forward", "_convert": ""}


def test_attention_that_is_fused_for_any_device_is_counted(backend):
    from nbbench.worker.backends.torch_flops import flops_of

    aten, shape = backend.torch.ops.aten, (1, 2, 4, 8)
    tensors = tuple(backend.torch.empty(shape, device="meta") for _ in range(4))
    forward, expected = tensors[:3], 2 * 2 * (2 * 4 * 4 * 8)
    for name, given in (
        ("_scaled_dot_product_flash_attention_for_cpu", forward),
        ("_scaled_dot_product_fused_attention_overrideable", forward),
        ("_scaled_dot_product_attention_math_for_mps", forward),
    ):
        assert flops_of(getattr(aten, name).default, given, {}, None) == expected, name
    backward = aten._scaled_dot_product_fused_attention_overrideable_backward.default
    assert flops_of(backward, tensors, {}, None) == 2.5 * expected
    composed = aten._scaled_dot_product_attention_math.default
    assert flops_of(composed, forward, {}, None) is None  # its parts are counted one by one
