"""Generation: the tokens, the times by token, and the cache, by the library's own classes."""

from __future__ import annotations

import json
import statistics
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.torch_caches import tensors_of
from nbbench.worker.case import Case
from nbbench.worker.summarize import chosen_token_times
from tests.conftest import TINY_BERT

BATCH, PROMPT, NEW = 2, 8, 6

REAL = json.loads(Path(__file__).with_name("real_configs.json").read_text())
MULTIMODAL = json.loads(Path(__file__).with_name("multimodal_configs.json").read_text())

LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 100,
}
GROUPED = {**LLAMA, "num_key_value_heads": 2}
SLIDING = {**LLAMA, "model_type": "mistral", "sliding_window": 5}
LATENT = {
    "model_type": "deepseek_v3",
    "hidden_size": 32,
    "intermediate_size": 64,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 4,
    "vocab_size": 100,
}
LATENT_WIDTH = 4 * (4 + 4 + 4) if Version(version("transformers")) < Version("5.15") else 8 + 4
"""Of a position in a layer: keys and values of all heads, or the latents that they are of."""

T5 = {
    "model_type": "t5",
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "vocab_size": 100,
    "decoder_start_token_id": 0,
    "architectures": ["T5ForConditionalGeneration"],
}
KINDS = ["full", "grouped", "sliding", "latent", "encoder-decoder"]

WHISPER = {
    "model_type": "whisper",
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "vocab_size": 100,
    "max_source_positions": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": [],
    "begin_suppress_tokens": [],
}


def case_of(config, **values):
    defaults = {"mode": "generation", "new_tokens": NEW, "cache": "dynamic", "device": "cpu"}
    values = {**defaults, "sequence_length": PROMPT, **values}
    return Case("pytorch", "m", config, "given", BATCH, **values)


def prepared(backend, config, **values):
    """A model of which one call was made, and what it generates by."""
    case = case_of(config, **values)
    model = backend.build(case, backend.open(case))
    call, tokens = model.prepare()
    assert tokens is None  # a call's tokens by its time would be no rate of anything
    call()
    return model, model.generation


def numbers_of_pairs(config, positions, layers=2):
    """Keys and values of so many positions, as numbers."""
    heads = config.get("num_key_value_heads", config.get("num_heads"))
    size = config.get("d_kv") or config["hidden_size"] // config["num_attention_heads"]
    return 2 * layers * BATCH * heads * size * positions


@pytest.mark.parametrize("config", [LLAMA, GROUPED, SLIDING, LATENT, T5], ids=KINDS)
@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_the_tokens_are_those_of_generate(backend, config, cache):
    model, generation = prepared(backend, config, cache=cache)
    torch, inner = backend.torch, model._model
    with torch.inference_mode():
        made = inner.generate(
            model._inputs["input_ids"],
            attention_mask=torch.ones_like(model._inputs["input_ids"]),
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    ours = torch.cat(generation.tokens, dim=1)
    assert ours.shape == (BATCH, NEW)
    assert torch.equal(ours, made[:, -NEW:])


@pytest.fixture
def stand_in_for_graphs(monkeypatch):
    """Have calls on the CPU be taken for those that are captured as CUDA graphs."""
    monkeypatch.setattr("nbbench.worker.backends.torch_generation.captures_graphs", lambda *_: True)


@pytest.mark.parametrize("cache", ["dynamic", "quantized"])
def test_what_a_graph_writes_over_is_no_cache(backend, stand_in_for_graphs, monkeypatch, cache):
    refuse = "nbbench.worker.backends.torch_generation.refuse_cache"
    monkeypatch.setattr(refuse, lambda *_: None)  # whether or not a quantizer is installed
    with pytest.raises(Unsupported, match="give caches static, or compile_modes default"):
        prepared(backend, LLAMA, cache=cache)


@pytest.mark.parametrize("config", [LLAMA, T5], ids=["decoder", "encoder-decoder"])
def test_nothing_that_a_graph_gives_out_is_kept(backend, stand_in_for_graphs, config):
    expected = prepared(backend, config, cache="static")[1].tokens
    case = case_of(config, cache="static")
    model = backend.build(case, backend.open(case))
    run, given_out = model._run, []

    def stand_in_for_replays(**given):
        """Write over what the last call gave out, but for what it was given."""
        for tensor in given_out:
            tensor.zero_()
        if "encoder_outputs" in given:
            assert given["encoder_outputs"].last_hidden_state.any()
        cached = {t.data_ptr() for t in tensors_of(backend.torch, given["past_key_values"])}
        assert cached  # made before, by no graph
        output = run(**given)
        encoded = getattr(output, "encoder_last_hidden_state", None)
        given_out[:] = [output.logits, *([] if encoded is None or given_out else [encoded])]
        assert {t.data_ptr() for t in tensors_of(backend.torch, output.past_key_values)} == cached
        return output

    model._run = stand_in_for_replays
    call, _ = model.prepare()
    call()
    found = model.generation.tokens
    assert [each.tolist() for each in found] == [each.tolist() for each in expected]


@pytest.mark.parametrize(
    ("mode", "backend_name", "device", "captured"),
    [("reduce-overhead", "", "cuda", True), ("max-autotune", "", "cuda", True),
     ("max-autotune-no-cudagraphs", "", "cuda", False), ("default", "", "cuda", False),
     ("", "cudagraphs", "cuda", True), ("reduce-overhead", "", "cpu", False)],
)  # fmt: skip
def test_which_calls_are_captured_as_graphs(mode, backend_name, device, captured):
    pytest.importorskip("torch")
    from nbbench.worker.backends.torch_compilation import captures_graphs

    compiled = {"compile_mode": mode, "compile_backend": backend_name, "execution": "compile"}
    assert captures_graphs(case_of(LLAMA, **compiled), device) is captured
    assert not captures_graphs(case_of(LLAMA, **{**compiled, "execution": "eager"}), device)


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (LLAMA, numbers_of_pairs(LLAMA, PROMPT + NEW - 1)),
        (GROUPED, numbers_of_pairs(LLAMA, PROMPT + NEW - 1) // 2),
        (SLIDING, numbers_of_pairs(SLIDING, 5 - 1)),  # the window's last is the token itself
        (LATENT, 2 * BATCH * (PROMPT + NEW - 1) * LATENT_WIDTH),
        (T5, numbers_of_pairs(T5, NEW) + numbers_of_pairs(T5, PROMPT)),
    ],
    ids=KINDS,
)
@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2)])
def test_the_cache_holds_what_the_formula_says(backend, config, numbers, dtype, size):
    _, generation = prepared(backend, config, dtype=dtype)
    assert generation.cache_bytes() == numbers * size


def test_a_static_cache_has_all_of_its_room_from_the_beginning(backend):
    _, generation = prepared(backend, LLAMA, cache="static")
    assert generation.cache_bytes() == 4 * numbers_of_pairs(LLAMA, PROMPT + NEW)


def test_a_static_cache_that_the_library_cannot_use_for_a_model_says_so(backend):
    config = MULTIMODAL["vision"]["mllama"]
    with pytest.raises(Unsupported, match="does not run with a static cache of Transformers"):
        prepared(backend, config, cache="static", sequence_length=1024)


def test_times_by_token_are_kept_for_each_call(backend):
    _, generation = prepared(backend, LLAMA)
    generation()
    laps = generation.laps()
    assert [len(lap) for lap in laps] == [NEW, NEW]
    assert all(seconds > 0 for lap in laps for seconds in lap)


def test_of_many_times_between_tokens_some_of_every_token_are_kept():
    calls, tokens = 1000, 15
    between = [float(token) for _ in range(calls) for token in range(tokens)]
    kept = chosen_token_times(between)
    assert len(kept) == 1000
    assert set(kept) == set(between)
    assert statistics.fmean(kept) == pytest.approx(7, abs=0.5)
    assert chosen_token_times(between[:1000]) == tuple(between[:1000])


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_sounds_are_continued_and_their_frames_are_no_tokens(backend, cache):
    model, generation = prepared(backend, WHISPER, cache=cache)
    assert generation.prompt_tokens is None
    assert backend.torch.cat(generation.tokens, dim=1).shape == (BATCH, NEW)
    assert type(model._model).__name__ == "WhisperForConditionalGeneration"


@pytest.mark.parametrize(
    ("config", "values", "sentence"),
    [
        (TINY_BERT, {}, "bert has no PyTorch model that makes tokens"),
        (
            {**TINY_BERT, "architectures": ["BertForMaskedLM"]},
            {},
            "BertForMaskedLM makes no tokens",
        ),
        (LLAMA, {"model_class": "base"}, "a base model makes no tokens"),
        (LLAMA, {"padding": 0.5}, "prompts of one length"),
        (LLAMA, {"execution": "torchscript"}, "torchscript is for inference"),
        (
            {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 10},
            {},
            "a prompt of 8 and 6 new tokens are more positions than m has",
        ),
    ],
)
def test_what_cannot_be_generated_says_why(backend, config, values, sentence):
    with pytest.raises(Unsupported, match=sentence):
        prepared(backend, config, **values)


def test_a_decoders_own_limit_names_the_new_tokens_alone(backend):
    few = {**WHISPER, "max_target_positions": 4}
    with pytest.raises(Unsupported, match=r"6 new tokens .* \(4\); lower new_tokens$"):
        prepared(backend, few, sequence_length=4)


def test_a_quantized_cache_names_the_packages_that_it_needs(backend, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unsupported, match="needs optimum-quanto or hqq"):
        prepared(backend, LLAMA, cache="quantized")


def test_a_quantized_cache_takes_four_bits_and_what_was_added_last_is_whole(backend):
    pytest.importorskip("optimum.quanto")
    _, generation = prepared(backend, LLAMA | {"hidden_size": 256}, cache="quantized",
                             sequence_length=64)  # fmt: skip
    whole = numbers_of_pairs(LLAMA | {"hidden_size": 256}, 64)
    rest = numbers_of_pairs(LLAMA | {"hidden_size": 256}, NEW - 1)
    scales = 2 * 4 * whole / 64  # a scale and a shift for 64 numbers
    assert generation.cache_bytes() == pytest.approx(whole / 2 + scales + 4 * rest, rel=0.05)


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("torch")
    return nbbench.run(
        "small",
        configs=[LLAMA],
        generation=True,
        new_tokens=[1, NEW],
        caches=["dynamic", "static"],
        batch_sizes=[BATCH],
        sequence_lengths=[PROMPT],
        device="cpu",
        max_time=0.3,
        progress=False,
    )


def test_rows_of_generation_and_of_a_forward_pass_stand_beside_each_other(report):
    speed = report.speed
    assert list(speed["mode"]) == ["inference", *["generation"] * 4]
    assert list(speed.new_tokens.fillna(0)) == [0, 1, 1, NEW, NEW]
    assert list(speed.cache) == ["", "dynamic", "static", "dynamic", "static"]
    assert (speed.status == "ok").all()


def test_the_time_to_the_first_token_is_counted_into_no_other(report):
    speed = report.speed[report.speed["mode"] == "generation"]
    assert (speed.latency_s == speed.median_s).all()
    one, several = speed[speed.new_tokens == 1], speed[speed.new_tokens == NEW]
    assert one.tpot_s.isna().all()
    assert one.decode_tokens_per_s.isna().all()
    assert (several.ttft_s < several.latency_s).all()
    together = several.ttft_s + (NEW - 1) * several.tpot_s
    assert (together / several.latency_s).between(0.7, 1.3).all()
    assert (several.decode_tokens_per_s == BATCH / several.tpot_s).all()
    assert (several.prefill_tokens_per_s == BATCH * PROMPT / several.ttft_s).all()
    assert speed.tokens_per_s.isna().all()
    assert (several.ttft_ci_low_s <= several.ttft_s).all()
    assert (several.tpot_s <= several.tpot_ci_high_s).all()
    assert several.between_tokens_p50_s.notna().all()


def test_memory_has_the_cache_and_the_peak_of_each_phase(report):
    memory = report.memory[report.memory["mode"] == "generation"]
    dynamic = memory[(memory.cache == "dynamic") & (memory.new_tokens == NEW)].iloc[0]
    assert dynamic.kv_cache_mib * 2**20 == 4 * numbers_of_pairs(LLAMA, PROMPT + NEW - 1)
    assert memory.prefill_peak_mib.notna().all()
    assert memory.decode_peak_mib.notna().all()


def test_a_saved_report_keeps_the_times_by_token(report, tmp_path):
    report.save(tmp_path / "r.json")
    loaded = nbbench.Report.load(tmp_path / "r.json")
    assert loaded.speed.equals(report.speed)


def test_decode_speed_is_drawn_and_without_any_a_sentence_says_so(report):
    axes = report.plot.generation().axes
    assert axes.get_ylabel().startswith("tokens per second")
    with pytest.raises(nbbench.ArgumentError, match="no case generates"):
        type(report.plot)([report.results[0]]).generation()


def test_the_table_shows_them(report):
    text = str(report)
    assert "first token" in text
    assert "each token" in text
    assert "new tokens" in text


def test_what_belongs_to_generation_wants_it_on():
    with pytest.raises(nbbench.ArgumentError, match="new_tokens is a part of generation"):
        nbbench.BenchmarkArguments(models=["m"], new_tokens=[3])
    with pytest.raises(nbbench.ArgumentError, match="caches is a part of generation"):
        nbbench.BenchmarkArguments(models=["m"], cache="static")


def test_a_framework_that_makes_no_tokens_says_so(probe):
    report = nbbench.run(
        "m",
        configs=[{"model_type": "probe"}],
        frameworks=["probe"],
        inference=False,
        generation=True,
        batch_sizes=[1],
        sequence_lengths=[4],
        progress=False,
    )
    assert report.speed.status[0] == "unsupported"
    assert "probe makes no tokens one by one" in report.speed.reason[0]


def test_a_cache_of_many_layers_is_counted_whole(backend):
    deep = {**LLAMA, "num_hidden_layers": 40}
    for cache, positions in (("dynamic", PROMPT + NEW - 1), ("static", PROMPT + NEW)):
        _, generation = prepared(backend, deep, cache=cache)
        assert generation.cache_bytes() == 4 * numbers_of_pairs(deep, positions, layers=40)


SHORT = ("kosmos-2", "flava")
OTHER_POSITIONS = ("git",)
"""Those whose loop counts the image's positions, which `generate` does not."""


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("name", [*REAL, *MULTIMODAL["vision"], *MULTIMODAL["audio"]])
def test_models_as_they_are_released_make_the_tokens_of_generate(backend, name):
    if name in REAL:
        config, length = REAL[name], 64
    else:
        config = {**MULTIMODAL["vision"], **MULTIMODAL["audio"]}[name]
        length = 64 if name in SHORT else 1024
    case = Case(
        "pytorch", name, config, "given", 2, length, mode="generation", new_tokens=NEW,
        cache="dynamic", device="cpu", dtype="float32",
    )  # fmt: skip
    try:
        backend.import_model(case)
        model = backend.build(case, backend.open(case))
        call, _ = model.prepare()
        call()
    except Unsupported:
        return
    torch, given = backend.torch, dict(model._inputs)
    given = {key: value for key, value in given.items() if not key.startswith("decoder")}
    if "input_ids" in given:
        given.setdefault("attention_mask", torch.ones_like(given["input_ids"]))
    if model._model.config.is_encoder_decoder:
        given["decoder_input_ids"] = model.generation._prompt["decoder_input_ids"]
    nothing = dict.fromkeys(
        ("eos_token_id", "forced_bos_token_id", "forced_eos_token_id", "suppress_tokens",
         "begin_suppress_tokens")
    )  # fmt: skip
    with torch.inference_mode():
        made = model._model.generate(
            **given, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, num_beams=1,
            pad_token_id=0, **nothing,
        )  # fmt: skip
    made = getattr(made, "sequences", made)
    same = torch.equal(torch.cat(model.generation.tokens, dim=1), made[:, -NEW:])
    assert same != (name in OTHER_POSITIONS)


def test_at_least_thirty_decoders_of_the_catalogue_have_a_class_that_makes_tokens(backend):
    from nbbench.worker.backends.transformers_models import make_config

    makers = 0
    for name, config in nbbench.catalogue().items():
        case = Case("pytorch", name, config, "given", 1, 8, mode="generation", new_tokens=2)
        try:
            found = backend._model_class(make_config(backend.transformers, case), case)
        except Unsupported:
            continue
        assert found.type.can_generate()
        makers += 1
    assert makers >= 30
