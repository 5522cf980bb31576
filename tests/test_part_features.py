"""Parts of larger models get what runs before them would give, and whole models what they need."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.heads.head import Head, ModelClass
from nbbench.worker.heads.labels import labels_of, loss_of
from tests.conftest import OLDER
from tests.test_inputs import described, prepared, script

pytestmark = OLDER

OMNI = "models.qwen2_5_omni.modeling_qwen2_5_omni.Qwen2_5OmniToken2Wav"
SAM3 = "models.sam3.modeling_sam3.Sam3"
VIBEVOICE = (
    "models.vibevoice_acoustic_tokenizer.modeling_vibevoice_acoustic_tokenizer."
    "VibeVoiceAcousticTokenizer"
)


def known(model_type, class_name=""):
    """The Transformers that is installed, if it has this type; the module of its class is imported.

    Of itself, Transformers refuses some modules without torchvision, which they can do without.
    """
    transformers = pytest.importorskip("transformers")
    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {model_type}")
    module = class_name.rpartition(".")[0]
    importlib.import_module(f"transformers.{module}".rstrip("."))
    return transformers


@pytest.mark.parametrize(
    ("model_type", "class_name", "values", "shapes"),
    [
        ("pocket_tts_audio_tokenizer_decoder", "PocketTTSAudioTokenizerDecoderModel",
         {"hidden_size": 64}, {"latents": (2, 64, 16)}),
        ("vibevoice_acoustic_tokenizer_decoder", f"{VIBEVOICE}DecoderModel",
         {}, {"hidden_states": (2, 64, 16)}),
        ("vibevoice_acoustic_tokenizer_encoder", f"{VIBEVOICE}EncoderModel",
         {"downsampling_ratios": [2, 4]}, {"hidden_states": (2, 1, 16 * 8)}),
        ("qwen2_5_omni_bigvgan", f"{OMNI}BigVGANModel", {}, {"mel_spectrogram": (2, 80, 16)}),
        ("qwen2_5_omni_dit", f"{OMNI}DiTModel", {},
         {"hidden_states": (2, 32, 80), "condition_vector": (2, 32, 80),
          "speaker_embedding": (2, 32, 192), "quantized_code": (2, 16), "time_step": (2,)}),
        ("qwen2_5_omni_token2wav", f"{OMNI}Model", {},
         {"code": (2, 16), "conditioning": (2, 192), "reference_mel": (2, 16, 80)}),
        ("phi4_multimodal_audio", "Phi4MultimodalAudioModel", {}, {"hidden_states": (2, 128, 80)}),
        ("sam3_detr_decoder", f"{SAM3}DetrDecoder", {"hidden_size": 32},
         {"vision_features": (2, 64, 32), "vision_pos_encoding": (2, 64, 32),
          "text_features": (2, 16, 32)}),
        ("sam3_mask_decoder", f"{SAM3}MaskDecoder", {"hidden_size": 32},
         {"decoder_queries": (2, 16, 32), "encoder_hidden_states": (2, 64, 32)}),
        ("unlimited_ocr_vision_encoder",
         "models.unlimited_ocr.modeling_unlimited_ocr.UnlimitedOcrVisionEncoder",
         {"hidden_size": 32, "num_attention_heads": 2, "image_size": 56},
         {"patch_embeds": (2, 32, 4, 4)}),
        ("t5gemma2_decoder", "models.t5gemma2.modeling_t5gemma2.T5Gemma2Decoder",
         {"hidden_size": 64}, {"input_ids": (2, 16), "encoder_hidden_states": (2, 16, 64)}),
        ("voxtral_realtime_text", "models.voxtral_realtime.modeling_voxtral_realtime."
         "VoxtralRealtimeTextModel", {"hidden_size": 64}, {"t_cond": (1, 64)}),
        ("qwen3_omni_moe_talker_text", "models.qwen3_omni_moe.modeling_qwen3_omni_moe."
         "Qwen3OmniMoeTalkerModel", {"hidden_size": 64}, {"inputs_embeds": (2, 16, 64)}),
    ],
)  # fmt: skip
def test_a_part_of_a_model_gets_features(model_type, class_name, values, shapes):
    known(model_type, class_name)
    _, tensors = described(model_type, class_name, **values)
    assert {name: tensors[name].shape for name in shapes} == shapes


@pytest.mark.parametrize(
    ("model_type", "class_name", "values", "shapes"),
    [
        ("videoprism_vision_model", "VideoPrismVisionModel", {"image_size": 72, "num_frames": 4},
         {"pixel_values_videos": (2, 4, 3, 72, 72)}),
        ("videomt", "VideomtForUniversalSegmentation", {"image_size": 64},
         {"pixel_values_videos": (2, 8, 3, 64, 64)}),
        ("xclip_vision_model", "XCLIPVisionModel", {"image_size": 64},
         {"pixel_values": (2 * 8, 3, 64, 64)}),
        ("tvlt", "TvltModel", {"image_size": 64},
         {"pixel_values": (2, 8, 3, 64, 64), "audio_values": (2, 1, 2048, 128)}),
        ("timesfm", "TimesFmModel", {}, {"past_values": (2, 512), "freq": (2, 1)}),
        ("trajectory_transformer", "TrajectoryTransformerModel", {}, {"trajectories": (2, 16)}),
        ("xcodec2", "Xcodec2Model", {},
         {"input_values": (2, 1, 16 * 320), "input_features": (2, 16, 160)}),
        ("neucodec", "NeuCodecModel", {},
         {"input_values": (2, 1, 16 * 320), "input_features": (2, 16, 160)}),
        ("voxtral_realtime", "VoxtralRealtimeModel", {}, {"input_features": (2, 128, 16 * 8)}),
        ("omdet-turbo", "OmDetTurboForObjectDetection",
         {"use_timm_backbone": False, "backbone": None, "image_size": 64,
          "backbone_config": {"model_type": "swin", "image_size": 64}},
         {"classes_input_ids": (2, 16), "tasks_attention_mask": (2, 16),
          "classes_structure": (2,)}),
        ("nemotron_h_omni", "NemotronH_Omni_Reasoning_V3", {}, {"input_ids": (2, 16)}),
    ],
)  # fmt: skip
def test_what_a_model_takes_follows_from_its_signature(model_type, class_name, values, shapes):
    known(model_type, class_name)
    _, tensors = described(model_type, class_name, **values)
    assert {name: tensors[name].shape for name in shapes} == shapes


def test_a_mask_of_a_codec_is_of_its_features_alone():
    known("xcodec2")
    _, tensors = described("xcodec2", "Xcodec2Model")
    assert tensors["input_features_mask"].shape == (2, 16)
    assert "padding_mask" not in tensors


def test_maps_of_features_grow_from_the_last_to_the_first():
    known("sam3_mask_decoder", f"{SAM3}MaskDecoder")
    _, tensors = described("sam3_mask_decoder", f"{SAM3}MaskDecoder", hidden_size=32)
    shapes = [part.shape for part in tensors["backbone_features"].parts]
    assert shapes == [(2, 32, 32, 32), (2, 32, 16, 16), (2, 32, 8, 8)]
    _, tensors = described("sam3_detr_encoder", f"{SAM3}DetrEncoder", hidden_size=32)
    for name in ("vision_features", "vision_pos_embeds"):
        assert [part.shape for part in tensors[name].parts] == [(2, 32, 8, 8)]


def test_an_image_of_a_grid_of_rows_and_columns():
    known("nemotron_h_omni")
    inputs, tensors = described(
        "nemotron_h_omni", "NemotronH_Omni_Reasoning_V3", length=64, image_token_id=5
    )
    assert inputs.modalities == "text+image"
    assert tensors["image_grid_hw"].values == ((14, 14),) * 2
    assert tensors["pixel_values"].shape == (2 * 14 * 14, 3 * 16 * 16)
    assert all(row.count(5) == 7 * 7 for row in tensors["input_ids"].values)


def test_a_robot_gets_an_image_a_text_and_actions():
    transformers = known("pi0")
    inputs, tensors = described("pi0", "PI0Model", length=300)
    assert inputs.modalities == "text+image"
    assert tensors["pixel_values"].shape == (2, 1, 3, 224, 224)
    assert tensors["pixel_attention_mask"].values == ((True,),) * 2
    assert tensors["action_embeds"].shape == (2, 51, 1024)
    _, tensors = described("pi0", "PI0ForConditionalGeneration", length=300)
    assert tensors["state"].shape == (2, 32)
    asks = frozenset({"state", "actions", "noise"})
    config = transformers.CONFIG_MAPPING["pi0"]()
    (actions,) = labels_of(Head(ModelClass(None, (), asks), config, tensors))
    assert actions.shape == (2, 50, 32)


SAM3_PART = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TEXT = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50,
        "num_key_value_heads": 1, "head_dim": 32, "intermediate_size": 32}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        ({"model_type": "sam3_detr_encoder", **SAM3_PART}, "Sam3DetrEncoder"),
        ({"model_type": "sam3_detr_decoder", **SAM3_PART, "num_queries": 4}, "Sam3DetrDecoder"),
        ({"model_type": "sam3_mask_decoder", "hidden_size": 32, "num_attention_heads": 2},
         "Sam3MaskDecoder"),
        ({"model_type": "voxtral_realtime_text", **TEXT}, "VoxtralRealtimeTextModel"),
        ({"model_type": "xclip_vision_model", **TEXT, "image_size": 64, "mit_hidden_size": 32},
         "XCLIPVisionModel"),
        ({"model_type": "timesfm", **TEXT, "context_length": 64}, "TimesFmModel"),
    ],
)  # fmt: skip
def test_parts_run_on_the_features_they_are_given(config, architecture):
    pytest.importorskip("torch")
    known(config["model_type"])
    model, _ = prepared(config)
    assert model.architecture == architecture


def test_a_tower_is_not_taken_for_the_whole_that_it_is_mapped_to():
    transformers = known("pixtral")
    pytest.importorskip("torch")
    backend = TorchBackend()
    backend.load()
    config = transformers.CONFIG_MAPPING["pixtral"]()
    case = Case("pytorch", "it", {"model_type": "pixtral"}, "", 2, 16, mode="training")
    with pytest.raises(Unsupported, match="has no PyTorch model with a head to train"):
        backend._model_class(config, case)


@pytest.mark.parametrize("model_type", ["sam", "sam2", "sam_hq"])
def test_labels_of_points_are_no_labels_to_train_on(model_type):
    transformers = known(model_type)
    pytest.importorskip("torch")
    backend = TorchBackend()
    backend.load()
    config = transformers.CONFIG_MAPPING[model_type]()
    case = Case("pytorch", "it", {"model_type": model_type}, "", 2, 16, mode="training")
    with pytest.raises(Unsupported, match="has no PyTorch model with a head to train"):
        backend._model_class(config, case)


def test_a_loss_of_another_kind_of_model_is_none():
    known("nemotron_asr_streaming")
    pytest.importorskip("torch")
    encoder = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
               "intermediate_size": 64, "subsampling_conv_channels": 16}  # fmt: skip
    config = {"model_type": "nemotron_asr_streaming", "vocab_size": 50, "decoder_hidden_size": 32,
              "encoder_config": encoder}  # fmt: skip
    with pytest.raises(Unsupported, match="NemotronAsrStreamingForRNNT has no loss to train it by"):
        prepared(config, mode="training")


def test_speech_is_learnt_as_latents_that_follow_a_text():
    known("pocket_tts")
    pytest.importorskip("torch")
    config = {"model_type": "pocket_tts", **TEXT, "audio_prompt_token_id": 1,
              "audio_latent_token_id": 2, "audio_prompt_bos_token_id": 4, "audio_bos_token_id": 5,
              "flow_head_config": {"condition_dim": 64, "hidden_size": 32}}  # fmt: skip
    model, _ = prepared(config, mode="training")
    assert model.architecture == "PocketTTSForConditionalGeneration"
    assert model._inputs["labels"].shape == (2, 8, 32)
    assert model._inputs["input_ids"].shape == (2, 16)


def test_a_model_of_timm_has_the_size_that_it_is_made_or_named_for():
    known("timm_wrapper")
    wrapper = "models.timm_wrapper.modeling_timm_wrapper.TimmWrapperModel"
    for values, size in (
        ({"architecture": "resnet18"}, 224),
        ({"architecture": "vit_small_patch16_384"}, 384),
        ({"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 288, 288]}}, 288),
        ({"architecture": "vit_small_patch16_384", "model_args": {"img_size": 64}}, 64),
    ):
        _, tensors = described("timm_wrapper", wrapper, **values)
        assert tensors["pixel_values"].shape == (2, 3, size, size)


def test_a_tile_takes_the_positions_that_pooling_leaves():
    known("perception_lm")
    vision = {"model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336",
              "model_args": {"embed_dim": 64, "img_size": [56, 56]}}  # fmt: skip
    inputs, tensors = described(
        "perception_lm", "PerceptionLMModel", vision_config=vision, projector_pooling_ratio=2,
        image_token_id=7,
    )  # fmt: skip
    assert inputs.modalities == "text+image"
    assert tensors["pixel_values"].shape == (2, 1, 3, 56, 56)
    assert all(row.count(7) == 2 * 2 for row in tensors["input_ids"].values)


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"model_type": "visual_bert", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50,
          "num_attention_heads": 2, "intermediate_size": 32, "visual_embedding_dim": 8},
         (2, 16 + 36)),
        ({"model_type": "wav2vec2", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50,
          "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": [8, 8],
          "conv_kernel": [4, 4], "conv_stride": [2, 2], "num_feat_extract_layers": 2}, (2, 8)),
    ],
)  # fmt: skip
def test_what_is_trained_has_labels_of_its_kind(config, labels):
    pytest.importorskip("torch")
    known(config["model_type"])
    model, _ = prepared(config, mode="training")
    assert model._inputs["labels"].shape == labels


def test_what_refuses_training_is_unsupported():
    pytest.importorskip("torch")
    known("vits")
    config = {"model_type": "vits", "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50,
              "num_attention_heads": 2, "ffn_dim": 32, "flow_size": 32,
              "spectrogram_bins": 9}  # fmt: skip
    with pytest.raises(Unsupported, match="VitsModel cannot be trained like this: Training"):
        prepared(config, mode="training")


def test_a_text_for_each_query_is_given_where_the_configuration_is_for_training():
    sizes = {"num_queries": 20, "text_encoder_n_ctx": 4, "text_encoder_context_length": 9}
    _, tensors = described("oneformer", "OneFormerModel", is_training=True, **sizes)
    assert tensors["text_inputs"].shape == (2, 16, 9)
    _, tensors = described("oneformer", "OneFormerModel", is_training=False, **sizes)
    assert "text_inputs" not in tensors


def test_a_query_and_a_document_make_a_sample():
    known("retribert")
    _, tensors = described("retribert", "RetriBertModel")
    names = ("input_ids_query", "input_ids_doc", "attention_mask_query", "attention_mask_doc")
    assert all(tensors[name].shape == (2, 16) for name in names)


def test_a_loss_alone_is_the_loss():
    torch = pytest.importorskip("torch")
    assert loss_of(torch.tensor(3.0), "It") == 3
    assert loss_of((torch.tensor(4.0), None), "It") == 4


def test_what_transformers_refuses_to_train_counts_as_no_model():
    verdict = script("sweep_architectures").verdict
    for reason, counted in (
        ("It cannot be trained like this: Training is not implemented yet", "no model"),
        ("It cannot be trained like this: It does not support training", "no model"),
        ("It cannot be trained like this: It is not trainable, no labels", "no model"),
        ("It has no loss to train it by; give another", "no model"),
        ("It cannot be trained like this: training wants more labels", "unsupported"),
    ):
        assert verdict({"status": "unsupported", "reason": reason}) == counted


def test_a_tiny_model_of_videos_sees_few_frames():
    transformers = known("vjepa2")
    tiny = script("tiny_configs").tiny("vjepa2", transformers.CONFIG_MAPPING["vjepa2"])
    assert tiny["frames_per_clip"] == 8
    assert "is_encoder_decoder" not in tiny


PARTS = (
    "phi4_multimodal_audio", "pocket_tts", "pocket_tts_audio_tokenizer_decoder", "qwen2_5_omni_dit",
    "qwen3_omni_moe_talker_text", "sam3_mask_decoder", "slanext", "t5gemma2_decoder", "tvp",
    "unlimited_ocr_vision_encoder", "uvdoc", "videoprism", "vitmatte", "voxtral",
    "voxtral_realtime", "xcodec2", "zamba", "zoedepth",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.newest
def test_parts_run_in_tiny_form(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    sweep, results = script("sweep_architectures"), tmp_path / "results.jsonl"
    types = [each for each in PARTS if each in transformers.CONFIG_MAPPING]
    sweep.swept(sys.executable, types, results, modes=("inference",))
    failed = [row for row in sweep.read(results) if row["status"] != "ok"]
    assert not failed, json.dumps(failed, indent=1)
