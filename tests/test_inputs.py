"""Every kind of model gets the inputs that its signature and its configuration ask for."""

from __future__ import annotations

import importlib.util
import inspect
import json
import operator
import sys
from pathlib import Path

import pytest

from nbbench.arguments.schema import BenchmarkArguments
from nbbench.plan.catalogue import types_without_length
from nbbench.plan.plan import Plan
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.inputs.describe import describe_inputs

DOCS = Path(__file__).parents[1] / "docs"
CONFIG = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32,
          "num_attention_heads": 2, "vocab_size": 50}  # fmt: skip


def script(name):
    """A script of the docs as a module."""
    found = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(found)  # as its dataclasses want
    found.loader.exec_module(module)
    return module


def described(model_type, class_name, length=16, **values):
    """The inputs of a class of Transformers by name."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    config = transformers.CONFIG_MAPPING[model_type](**values)
    found = operator.attrgetter(class_name)(transformers)
    parameters = inspect.signature(found.forward).parameters
    inputs = describe_inputs(
        parameters, config, model=model_type, batch_size=2, sequence_length=length
    )
    return inputs, {tensor.name: tensor for tensor in inputs.tensors}


@pytest.mark.parametrize(
    ("model_type", "class_name", "values", "name", "shape"),
    [
        ("vit", "ViTModel", {"image_size": 64}, "pixel_values", (2, 3, 64, 64)),
        ("siglip", "SiglipModel", {}, "pixel_values", (2, 3, 224, 224)),
        ("yolos", "YolosModel", {"image_size": [64, 96]}, "pixel_values", (2, 3, 64, 96)),
        ("vilt", "ViltModel", {"image_size": 384}, "pixel_mask", (2, 384, 384)),
        ("videomae", "VideoMAEModel", {}, "pixel_values", (2, 16, 3, 224, 224)),
        ("timesformer", "TimesformerModel", {}, "pixel_values", (2, 8, 3, 224, 224)),
        ("vjepa2", "VJEPA2Model", {}, "pixel_values_videos", (2, 64, 3, 256, 256)),
        ("lightglue", "LightGlueForKeypointMatching", {}, "pixel_values", (2, 2, 3, 224, 224)),
        ("whisper", "WhisperModel", {}, "input_features", (2, 80, 3000)),
        ("wav2vec2-bert", "Wav2Vec2BertModel", {}, "input_features", (2, 16, 160)),
        ("speech_to_text", "Speech2TextModel", {}, "input_features", (2, 16, 80)),
        ("audio-spectrogram-transformer", "ASTModel", {}, "input_values", (2, 1024, 128)),
        ("encodec", "EncodecModel", {}, "input_values", (2, 1, 16 * 320)),
        ("layoutlm", "LayoutLMModel", {}, "bbox", (2, 16, 4)),
        ("lxmert", "LxmertModel", {}, "visual_feats", (2, 36, 2048)),
        ("visual_bert", "VisualBertModel", {}, "visual_embeds", (2, 36, 512)),
        ("perceiver", "PerceiverModel", {}, "inputs", (2, 16, 768)),
        ("patchtst", "PatchTSTModel", {}, "past_values", (2, 32, 1)),
        ("decision_transformer", "DecisionTransformerModel", {}, "states", (2, 16, 17)),
        ("blip_2_qformer", "Blip2QFormerModel", {}, "query_embeds", (2, 16, 768)),
    ],
)  # fmt: skip
def test_the_kind_of_input_is_read_from_signature_and_configuration(
    model_type, class_name, values, name, shape
):
    _, tensors = described(model_type, class_name, **values)
    assert tensors[name].shape == shape


@pytest.mark.parametrize(
    ("model_type", "class_name", "values", "name", "shape"),
    [
        ("blip_2_qformer", "Blip2QFormerModel", {"encoder_hidden_size": 24},
         "encoder_hidden_states", (2, 16, 24)),
        ("bridgetower_vision_model",
         "models.bridgetower.modeling_bridgetower.BridgeTowerVisionModel", {"image_size": 64},
         "image", (2, 3, 64, 64)),
        ("dia", "DiaModel", {}, "decoder_input_ids", (2, 16, 9)),
        ("dia_decoder", "models.dia.modeling_dia.DiaDecoder", {},
         "encoder_hidden_states", (2, 16, 1024)),
        ("fastspeech2_conformer_hifigan", "FastSpeech2ConformerHifiGan", {},
         "spectrogram", (2, 16, 80)),
        ("flava_multimodal_model", "FlavaMultimodalModel", {"hidden_size": 32},
         "hidden_states", (2, 16, 32)),
        ("florence_vision", "models.florence2.modeling_florence2.Florence2VisionBackbone", {},
         "hidden_states", (2, 3, 224, 224)),
        ("fun_asr_nano_encoder", "FunAsrNanoEncoder", {}, "input_features", (2, 16, 560)),
        ("granite_speech_encoder", "GraniteSpeechCTCEncoder", {}, "hidden_states", (2, 16, 160)),
        ("granite_speech5_encoder", "GraniteSpeech5Encoder", {}, "input_features", (2, 16, 320)),
        ("qwen2_5_omni_audio_encoder",
         "models.qwen2_5_omni.modeling_qwen2_5_omni.Qwen2_5OmniAudioEncoder", {"n_window": 8},
         "feature_lens", (2,)),
        ("molmo2_vision", "models.molmo2.modeling_molmo2.Molmo2VisionModel",
         {"image_default_input_size": [56, 56]}, "pixel_values", (2, 16, 588)),
        ("minicpmv4_6_vision", "models.minicpmv4_6.modeling_minicpmv4_6.MiniCPMV4_6VisionModel",
         {"image_size": 56, "patch_size": 14}, "target_sizes", (2, 2)),
        ("musicgen_decoder", "MusicgenModel", {}, "input_ids", (2 * 4, 16)),
        ("pix2struct_vision_model", "Pix2StructVisionModel", {"patch_embed_hidden_size": 48},
         "flattened_patches", (2, 16, 2 + 48)),
        ("oneformer", "OneFormerModel",
         {"is_training": True, "num_queries": 20, "text_encoder_n_ctx": 16}, "text_inputs",
         (2, 4, 77)),
        ("seggpt", "SegGptModel", {}, "pixel_values", (2, 3, 448, 448)),
        ("graphormer", "GraphormerModel", {}, "attn_bias", (2, 17, 17)),
        ("retribert", "RetriBertModel", {}, "input_ids_doc", (2, 16)),
        ("graphormer", "GraphormerModel", {}, "input_edges", (2, 16, 16, 5, 1)),
        ("trajectory_transformer", "TrajectoryTransformerModel", {}, "trajectories", (2, 16)),
        ("tvlt", "TvltModel", {}, "audio_values", (2, 1, 2048, 128)),
        ("tvlt", "TvltModel", {}, "pixel_values", (2, 8, 3, 224, 224)),
    ],
)  # fmt: skip
def test_parts_of_models_get_what_their_whole_would_give_them(
    model_type, class_name, values, name, shape
):
    transformers = pytest.importorskip("transformers")
    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {model_type}")
    _, tensors = described(model_type, class_name, **values)
    assert tensors[name].shape == shape


def test_what_a_retriever_finds_is_not_made_up():
    with pytest.raises(Unsupported, match="documents that a retriever finds"):
        described("rag", "RagModel", question_encoder={"model_type": "dpr"},
                  generator={"model_type": "bart"})  # fmt: skip


def test_no_class_is_chosen_that_is_built_from_a_part_of_the_configuration():
    transformers = pytest.importorskip("transformers")
    backend = TorchBackend()
    backend.load()
    values = {part: {"model_type": each} for part, each in (
        ("text_encoder", "t5"), ("audio_encoder", "encodec"), ("decoder", "musicgen_decoder")
    )}  # fmt: skip
    config = transformers.CONFIG_MAPPING["musicgen"](**values)
    case = Case("pytorch", "it", {"model_type": "musicgen"}, "", 2, 16)
    assert backend._model_class(config, case).name == "MusicgenForConditionalGeneration"


@pytest.mark.parametrize("steps", [1000, 1024, 50])
def test_boxes_lie_in_the_page_and_have_a_size(steps):
    sizes = {"max_position_embeddings": 600, "max_2d_position_embeddings": steps}
    _, tensors = described("layoutlm", "LayoutLMModel", length=600, **sizes)
    for left, top, right, bottom in tensors["bbox"].values[0]:
        assert 0 <= left < right < min(steps, 1000)
        assert 0 <= top < bottom < min(steps, 1000)


def test_what_a_configuration_must_name_is_named_where_it_does_not():
    with pytest.raises(Unsupported, match=r"autoformer names no prediction_length.*add one"):
        described("autoformer", "AutoformerModel", context_length=8)
    with pytest.raises(Unsupported, match="sam2_video takes a video under way"):
        described("sam2_video", "Sam2VideoModel")


def test_tokens_are_ids_and_nothing_else():
    for model_type, class_name, tokens in (
        ("bert", "BertModel", 32),
        ("whisper", "WhisperModel", 32),  # of the decoder: 3000 frames are none
        ("wav2vec2", "Wav2Vec2Model", None),
        ("vit", "ViTModel", None),
        ("patchtst", "PatchTSTModel", None),
    ):
        inputs, _ = described(model_type, class_name)
        assert inputs.tokens == tokens, model_type


def test_each_side_of_an_encoder_decoder_has_its_vocabulary_and_its_length():
    _, tensors = described("fsmt", "FSMTModel", src_vocab_size=30, tgt_vocab_size=70)
    assert (tensors["input_ids"].bound, tensors["decoder_input_ids"].bound) == (30, 70)
    _, tensors = described("marian", "MarianModel", vocab_size=90, decoder_vocab_size=60)
    assert (tensors["input_ids"].bound, tensors["decoder_input_ids"].bound) == (90, 60)
    with pytest.raises(Unsupported, match=r"in its decoder \(1024\)"):
        described("led", "LEDModel", length=2000)
    with pytest.raises(Unsupported, match=r"\(16384\)"):
        described("led", "LEDModel", length=20000)


def prepared(config, length=16, mode="inference"):
    """A small model of PyTorch with its inputs."""
    backend = TorchBackend()
    backend.load()
    case = Case("pytorch", "it", config, "given", 2, length, mode=mode, device="cpu")
    model = backend.build(case, backend.open(case))
    call, tokens = model.prepare()
    call()
    return model, tokens


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "roberta", **CONFIG, "max_position_embeddings": 20}, 18),
        ({"model_type": "bert", **CONFIG, "max_position_embeddings": 20}, 20),
        ({"model_type": "opt", **CONFIG, "ffn_dim": 32, "word_embed_proj_dim": 32,
          "max_position_embeddings": 20}, 20),
    ],
)  # fmt: skip
def test_positions_are_counted_as_the_model_counts_them(config, longest):
    pytest.importorskip("torch")
    prepared(config, longest)
    with pytest.raises(Unsupported, match=rf"\({longest}\)"):
        prepared(config, longest + 1)


def test_a_table_that_grows_has_no_longest_length():
    pytest.importorskip("torch")
    config = {"model_type": "m2m_100", "vocab_size": 50, "d_model": 32, "encoder_layers": 1,
              "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
              "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
              "max_position_embeddings": 20}  # fmt: skip
    _, tokens = prepared(config, 30)
    assert tokens == 60


def test_a_part_of_a_model_that_no_auto_class_knows_is_run_by_itself():
    pytest.importorskip("torch")
    model, _ = prepared({"model_type": "clip_text_model", **CONFIG, "bos_token_id": 0,
                         "eos_token_id": 1, "pad_token_id": 1})  # fmt: skip
    assert model.architecture == "CLIPTextModel"
    model, _ = prepared({"model_type": "xclip_text_model", **CONFIG, "eos_token_id": 1})
    assert model.architecture == "XCLIPTextModel"


def test_a_missing_package_is_named():
    pytest.importorskip("torch")
    if importlib.util.find_spec("timm"):
        pytest.skip("timm is installed")
    with pytest.raises(Unsupported, match=r"requires the timm library.*install it"):
        prepared({"model_type": "timm_wrapper", "architecture": "resnet18"})


def test_models_of_images_alone_have_one_case_whatever_the_lengths():
    names = ("yolos", "clip_vision_model", "videomae", "bert", "clip")
    arguments = BenchmarkArguments.of(names, {"configs": [{"model_type": name} for name in names]})
    cases = Plan.of(arguments).cases
    count = {name: sum(case.model == name for case in cases) for name in names}
    assert count["yolos"] == count["clip_vision_model"] == count["videomae"] == 1
    assert count["bert"] == count["clip"] == len(arguments.sequence_lengths)


@pytest.mark.slow
@pytest.mark.newest
def test_types_without_length_are_those_that_transformers_has():
    pytest.importorskip("torch")
    lengths = script("make_catalogue").takes_length()
    assert len(lengths) > 300
    found = {model_type for model_type, takes in lengths.items() if not takes}
    assert types_without_length() & set(lengths) == found


SHARE = (
    "albert", "align", "audio-spectrogram-transformer", "bart", "beit", "blip-2", "bros", "canine",
    "clap", "clip", "convnext", "cvt", "deberta-v2", "decision_transformer", "distilbert",
    "encodec", "flava", "fsmt", "git", "gpt2", "idefics", "layoutlm", "led", "lxmert", "marian",
    "mpnet", "patchtst", "perceiver", "pix2struct", "roberta", "siglip2", "speech_to_text",
    "swin", "t5", "timesformer", "udop", "videomae", "vilt", "vit", "wav2vec2", "wav2vec2-bert",
    "whisper", "xlm", "xmod", "yolos",
)  # fmt: skip


FEW = ("bert", "videomae", "wav2vec2", "patchtst", "t5")


@pytest.mark.slow
@pytest.mark.parametrize(
    "types",
    [pytest.param(FEW, marks=pytest.mark.newest, id="few"), pytest.param(SHARE, id="share")],
)
def test_a_share_of_all_types_runs(tmp_path, types):
    pytest.importorskip("torch")
    sweep, results = script("sweep_architectures"), tmp_path / "results.jsonl"
    sweep.swept(sys.executable, types, results, modes=("inference",))
    failed = [row for row in sweep.read(results) if row["status"] != "ok"]
    assert not failed, json.dumps(failed, indent=1)
    assert len(sweep.read(results)) == len(types)
