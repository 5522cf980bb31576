"""Labels of models that speak, detect by phrases, or learn several things at once; and refusals."""

from __future__ import annotations

import pytest

from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.refused_training import refusal
from nbbench.worker.heads.labels import asks_for_loss
from tests.conftest import OLDER
from tests.test_heads import TEXT, VIT, WAV2VEC2, built, run
from tests.test_inputs import script

SPEECH = {"audio_token_id": 90, "audio_delay_token_id": 91, "pad_token_id": 0, "bos_token_id": 1,
          "eos_token_id": 2}  # fmt: skip
ENCODEC = {"model_type": "encodec", "num_filters": 4, "hidden_size": 16, "codebook_size": 64,
           "upsampling_ratios": [2, 2], "num_lstm_layers": 1,
           "target_bandwidths": [1.5]}  # fmt: skip
DECODER = {"vocab_size": 64, "max_position_embeddings": 32, "num_hidden_layers": 1, "ffn_dim": 32,
           "num_attention_heads": 2, "hidden_size": 32, "num_codebooks": 2, "pad_token_id": 63,
           "bos_token_id": 63}  # fmt: skip
T5 = {"model_type": "t5", "d_model": 32, "d_ff": 32, "d_kv": 16, "num_heads": 2, "num_layers": 1,
      "vocab_size": 100}  # fmt: skip
SPOKEN = ("audio_latent_token_id", "audio_prompt_token_id", "audio_bos_token_id",
          "audio_prompt_bos_token_id")  # fmt: skip
FLOW = {"hidden_size": 16, "num_hidden_layers": 1, "latent_dim": 8, "condition_dim": 32,
        "frequency_embedding_size": 16}  # fmt: skip
CONFIGS = {
    "musicgen": {
        "text_encoder": T5,
        "audio_encoder": ENCODEC,
        "decoder": {"model_type": "musicgen_decoder", **DECODER},
    },
    "fastspeech2_conformer": {
        "hidden_size": 32, "vocab_size": 50, "num_mel_bins": 8, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_num_attention_heads": 2, "decoder_num_attention_heads": 2,
        "encoder_linear_units": 32, "decoder_linear_units": 32, "speech_decoder_postnet_units": 16,
    },
    "pocket_tts": {
        **TEXT, "latent_dim": 8, "flow_head_config": FLOW, "lsd_distill_probability": 1.0,
        **{name: 90 + at for at, name in enumerate(SPOKEN)},
    },
    "higgs_audio_v2": {
        **TEXT, **SPEECH, "num_key_value_heads": 2, "head_dim": 16, "num_codebooks": 2,
        "codebook_size": 32, "max_position_embeddings": 64,
    },
}  # fmt: skip


def of_type(backend, model_type, **values):
    """A configuration of a type; skips the test where the installed Transformers has it not."""
    if model_type not in backend.transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {backend.transformers.__version__} has no {model_type}")
    return {"model_type": model_type, **CONFIGS.get(model_type, {}), **values}


@OLDER
@pytest.mark.parametrize("model_type", CONFIGS)
def test_a_model_that_speaks_is_trained_on_the_sound_of_its_text(backend, model_type):
    model, call = built(backend, of_type(backend, model_type), model_class="auto")
    call()
    assert model.gradient_bytes() > 0


@pytest.mark.parametrize(
    ("model_type", "shapes"),
    [
        ("musicgen", {"labels": (2, 16, 2), "decoder_input_ids": (4, 16)}),
        ("fastspeech2_conformer", {"spectrogram_labels": (2, 32, 8), "duration_labels": (2, 16)}),
        ("pocket_tts", {"labels": (2, 8, 8), "input_ids": (2, 16)}),
        ("higgs_audio_v2", {"audio_labels": (2, 8, 2), "input_ids": (2, 16)}),
    ],
)
def test_the_sound_has_the_form_that_the_class_asks_for(backend, model_type, shapes):
    model, _ = built(backend, of_type(backend, model_type), model_class="auto")
    assert {name: tuple(model._inputs[name].shape) for name in shapes} == shapes


def test_a_length_too_short_for_text_and_sound_is_unsupported_with_the_number_that_is_not(backend):
    config = of_type(backend, "pocket_tts")
    built(backend, config, length=3, model_class="auto")[1]()
    with pytest.raises(Unsupported, match=r"length 2 is too short .* are 3; raise sequence_le"):
        built(backend, config, length=2, model_class="auto")


FLAVA = {
    "model_type": "flava", "text_config": TEXT, "init_codebook": False,
    "image_config": {**VIT, "vocab_size": 40, "model_type": "flava_image_model"},
    "multimodal_config": {name: value for name, value in TEXT.items() if name != "vocab_size"},
    "projection_dim": 16, "hidden_size": 32,
}  # fmt: skip


def test_flava_learns_what_is_hidden_in_image_and_text_and_which_belong_together(backend):
    model = run(backend, FLAVA, model_class="auto")
    assert model.gradient_bytes() > 0
    inputs = model._inputs
    assert inputs["mim_labels"].shape == inputs["bool_masked_pos"].shape == (2, 16)
    assert inputs["mlm_labels"].shape == inputs["input_ids"].shape
    assert inputs["return_loss"] is True


@pytest.fixture(scope="module")
def grounding_dino(backend):
    tiny, mapping = script("tiny_configs"), backend.transformers.CONFIG_MAPPING
    return tiny.tiny("grounding-dino", mapping["grounding-dino"])


@pytest.mark.parametrize(("length", "count"), [(3, 1), (5, 1), (6, 1), (7, 2), (9, 2), (16, 4)])
def test_each_object_has_one_of_the_phrases_of_its_text(backend, grounding_dino, length, count):
    from transformers.models.grounding_dino.modeling_grounding_dino import build_label_maps

    model, _ = built(backend, grounding_dino, length=length, model_class="auto")
    ids, labels = model._inputs["input_ids"], model._inputs["labels"]
    maps = build_label_maps(backend.torch.zeros(2, 1, length), ids)
    for phrases, objects in zip(maps, labels, strict=True):
        assert (phrases.sum(dim=1) > 0).all()
        assert len(phrases) == count > objects["class_labels"].max()


def test_a_phrase_has_three_tokens_with_its_begin_and_its_end(backend, grounding_dino):
    with pytest.raises(Unsupported, match=r"length 2 is too short .* has 3 tokens; raise"):
        built(backend, grounding_dino, length=2, model_class="auto")


def test_what_asks_for_a_contrast_alone_is_given_no_labels(backend):
    config = of_type(
        backend, "clvp", text_config=CLVP_TEXT, speech_config=CLVP_TEXT,
        decoder_config=CLVP_DECODER, projection_dim=16,
    )  # fmt: skip
    model = run(backend, {**config, "architectures": ["ClvpModelForConditionalGeneration"]})
    assert "labels" not in model._inputs
    assert model._inputs["return_loss"] is True


CLVP_TEXT = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 1,
             "projection_dim": 16, "num_attention_heads": 2, "vocab_size": 300}  # fmt: skip
CLVP_DECODER = {"hidden_size": 64, "n_inner": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                "vocab_size": 300, "num_text_tokens": 300, "feature_size": 8, "eos_token_id": 99,
                "max_text_tokens": 64, "max_position_embeddings": 64,
                "num_mel_attn_blocks": 1}  # fmt: skip


def test_the_kinds_of_points_in_a_prompt_are_no_labels(backend):
    assert not asks_for_loss({"pixel_values", "input_points", "input_labels"})
    assert asks_for_loss({"pixel_values", "mask_labels"})
    with pytest.raises(Unsupported, match="no PyTorch model with a head to train"):
        built(backend, {"model_type": "sam"}, model_class="auto")


BEIT = {"model_type": "beit", **TEXT, "image_size": 32, "patch_size": 8,
        "num_hidden_layers": 4, "out_indices": [1, 2, 3, 4],
        "use_relative_position_bias": True, "use_mask_token": False,
        "architectures": ["BeitForSemanticSegmentation"]}  # fmt: skip


def test_a_model_is_trained_in_a_process_that_has_run_it_before(backend):
    for mode in ("inference", "training"):
        run(backend, BEIT, mode)


@OLDER
def test_a_weighted_sum_over_layers_that_are_dropped_is_unsupported(backend):
    config = {**WAV2VEC2, "num_hidden_layers": 4, "use_weighted_layer_sum": True,
              "architectures": ["Wav2Vec2ForSequenceClassification"]}  # fmt: skip
    run(backend, {**config, "layerdrop": 0.0})
    if int(backend.transformers.__version__.partition(".")[0]) < 5:  # which keep their states
        run(backend, {**config, "layerdrop": 0.99})
        return
    with pytest.raises(Unsupported, match=r"layerdrop 0\.99 drops some; give .* layerdrop 0$"):
        run(backend, {**config, "layerdrop": 0.99})


class Detector:
    config = None


def raised(code, module="transformers.loss"):
    """The exception of a function of a module with this name."""
    names = {"__name__": module}
    exec(f"def loss(*given):\n    {code}", names)
    try:
        names["loss"]()
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return center", r"Detector cannot be trained with what is installed \(name 'center'"),
        ("raise TypeError(\"ForCausalLMLoss() missing 1 required positional argument: 'size'\")",
         "Detector has no loss to train it by"),
        ("raise ValueError('Detector does not support training. Or so')",
         "Detector cannot be trained like this: Detector does not support training$"),
        ("raise ImportError('it requires scipy')", "it requires scipy; install it to train Detec"),
    ],
)  # fmt: skip
def test_a_refusal_to_be_trained_is_a_sentence(code, message):
    with pytest.raises(Unsupported, match=message):
        raise refusal(raised(code), Detector())


@pytest.mark.parametrize(
    "error",
    [
        raised("return center", "mine.loss"),
        raised("raise TypeError('loss() missing 1 required positional argument')"),
        raised("raise RuntimeError('The size of tensor a must match that of b')"),
        raised("raise ValueError('sizes differ')"),
    ],
    ids=repr,
)
def test_what_is_no_refusal_stays_an_error(error):
    assert refusal(error, Detector()) is None
