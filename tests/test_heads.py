"""Each class is found, given inputs in its head's form, and trained on labels that it takes."""

from __future__ import annotations

import importlib.util
import json

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.case import Case

TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "vocab_size": 100}  # fmt: skip
BERT = {"model_type": "bert", **TEXT}
GPT2 = {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 100,
        "bos_token_id": 1, "eos_token_id": 1}  # fmt: skip
T5 = {"model_type": "t5", "d_model": 32, "d_ff": 32, "d_kv": 16, "num_heads": 2, "num_layers": 1,
      "vocab_size": 100, "decoder_start_token_id": 0}  # fmt: skip
BART = {"model_type": "bart", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32, "vocab_size": 100}  # fmt: skip
VIT = {"model_type": "vit", **TEXT, "image_size": 32, "patch_size": 8, "encoder_stride": 8}
RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 8, 8],
          "depths": [1, 1, 1, 1], "layer_type": "basic"}  # fmt: skip
DETR = {"model_type": "detr", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 8, "decoder_attention_heads": 8, "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32, "num_queries": 5, "use_timm_backbone": False, "backbone": None,
        "use_pretrained_backbone": False,
        "backbone_config": {**RESNET, "out_features": ["stage1", "stage2", "stage3",
                                                       "stage4"]}}  # fmt: skip
SEGFORMER = {"model_type": "segformer", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
             "num_attention_heads": [1, 1, 2, 2], "decoder_hidden_size": 8}  # fmt: skip
CLIP = {"model_type": "clip", "projection_dim": 16, "text_config": {**TEXT, "eos_token_id": 1},
        "vision_config": {**VIT, "model_type": "clip_vision_model"}}  # fmt: skip
WAV2VEC2 = {"model_type": "wav2vec2", **TEXT, "conv_dim": [16, 16], "conv_kernel": [10, 3],
            "conv_stride": [5, 2], "num_feat_extract_layers": 2, "num_codevectors_per_group": 4,
            "codevector_dim": 8, "proj_codevector_dim": 8, "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2, "num_negatives": 3}  # fmt: skip
VISUAL_BERT = {"model_type": "visual_bert", **TEXT, "visual_embedding_dim": 8}
SMALL_XLM = {"model_type": "xlm", "emb_dim": 32, "n_layers": 1, "n_heads": 2, "n_words": 100}

HEADS = {
    "BertForMultipleChoice": BERT,
    "BertForNextSentencePrediction": BERT,
    "BertForPreTraining": BERT,
    "BertForQuestionAnswering": BERT,
    "BertForTokenClassification": BERT,
    "AlbertForPreTraining": {"model_type": "albert", **TEXT, "embedding_size": 16},
    "ElectraForPreTraining": {"model_type": "electra", **TEXT, "embedding_size": 16},
    "RoFormerForMultipleChoice": {"model_type": "roformer", **TEXT, "embedding_size": 16},
    "LongformerForQuestionAnswering": {"model_type": "longformer", **TEXT, "attention_window": [4]},
    "XLMForQuestionAnsweringSimple": SMALL_XLM,
    "XLMWithLMHeadModel": SMALL_XLM,
    "GPT2ForSequenceClassification": GPT2,
    "GPT2DoubleHeadsModel": GPT2,
    "T5ForSequenceClassification": T5,
    "T5ForTokenClassification": T5,
    "BartForSequenceClassification": BART,
    "BartForQuestionAnswering": BART,
    "ViTForImageClassification": VIT,
    "ViTForMaskedImageModeling": VIT,
    "ViTMAEForPreTraining": {**VIT, "model_type": "vit_mae", "decoder_hidden_size": 16,
                             "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
                             "decoder_intermediate_size": 16},
    "SegformerForSemanticSegmentation": SEGFORMER,
    "CLIPModel": CLIP,
    "CLIPForImageClassification": CLIP,
    "Wav2Vec2ForCTC": WAV2VEC2,
    "Wav2Vec2ForPreTraining": WAV2VEC2,
    "Wav2Vec2ForSequenceClassification": WAV2VEC2,
    "Wav2Vec2ForAudioFrameClassification": WAV2VEC2,
    "PatchTSMixerForTimeSeriesClassification": {"model_type": "patchtsmixer", "d_model": 8,
                                                "context_length": 16, "patch_length": 4,
                                                "patch_stride": 4, "num_layers": 1},
    "VisualBertForPreTraining": VISUAL_BERT,
    "VisualBertForMultipleChoice": VISUAL_BERT,
    "Wav2Vec2ForXVector": {**WAV2VEC2, "tdnn_dim": [16, 16], "tdnn_kernel": [3, 1],
                           "tdnn_dilation": [1, 1], "xvector_output_dim": 8},
}  # fmt: skip
"""Classes of as many kinds of labels as there are, each with a tiny configuration."""


def built(backend, config, mode="training", length=16, **values):
    """A model in this process, and the call that would be measured."""
    values = {"device": "cpu", "model_class": "architecture", **values}
    case = Case("pytorch", config["model_type"], config, "given", 2, length, mode=mode, **values)
    model = backend.build(case, backend.open(case))
    return model, model.prepare()[0]


def run(backend, config, mode="training", **values):
    """The model, once it was called."""
    model, call = built(backend, config, mode, **values)
    call()
    return model


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_trained_on_the_labels_that_it_takes(backend, name):
    model = run(backend, {**HEADS[name], "architectures": [name]})
    assert model.architecture == name
    assert model.gradient_bytes() > 0


@pytest.mark.parametrize("name", ["DetrForObjectDetection", "DetrForSegmentation"])
def test_objects_are_detected_with_boxes_and_masks(backend, name):
    config = {**DETR, "architectures": [name]}
    if importlib.util.find_spec("scipy") is None:
        with pytest.raises(Unsupported, match=rf"scipy.*install it to train {name}"):
            run(backend, config)
    else:
        run(backend, config)


def test_texts_end_where_a_classifier_pools(backend):
    config = {**BART, "architectures": ["BartForSequenceClassification"], "eos_token_id": 2}
    for mode in ("inference", "training"):
        ids = run(backend, config, mode)._inputs["input_ids"]
        assert (ids == 2).sum(dim=1).tolist() == [1, 1]
        assert ids[:, -1].tolist() == [2, 2]


def test_multiple_choice_has_choices_and_counts_their_tokens(backend):
    config = {**BERT, "architectures": ["BertForMultipleChoice"]}
    for mode in ("inference", "training"):
        model, _ = built(backend, config, mode)
        assert model._inputs["input_ids"].shape == (2, 4, 16)
        assert model.prepare()[1] == 2 * 4 * 16


@pytest.mark.parametrize(
    ("extra", "shape", "kind"),
    [
        ({"num_labels": 5}, (2,), "int64"),
        ({"num_labels": 5, "problem_type": "multi_label_classification"}, (2, 5), "float32"),
        ({"num_labels": 1}, (2,), "float32"),
        ({"num_labels": 3, "problem_type": "regression"}, (2, 3), "float32"),
    ],
)
def test_a_classifier_is_trained_on_what_its_problem_asks_for(backend, extra, shape, kind):
    config = {**BERT, **extra, "architectures": ["BertForSequenceClassification"]}
    labels = run(backend, config)._inputs["labels"]
    assert (tuple(labels.shape), str(labels.dtype)) == (shape, f"torch.{kind}")


def test_a_name_with_for_in_it_is_no_head(backend):
    config = {**HEADS["RoFormerForMultipleChoice"], "architectures": ["RoFormerModel"]}
    assert run(backend, config).architecture == "RoFormerForMaskedLM"
    assert run(backend, config, "inference").architecture == "RoFormerModel"


def test_a_class_that_is_spelt_otherwise_is_found_and_the_row_says_so():
    pytest.importorskip("torch")
    mpt = {"model_type": "mpt", "d_model": 32, "n_heads": 2, "n_layers": 1, "vocab_size": 100}
    report = nbbench.run(
        configs=[
            {**mpt, "architectures": ["MPTForCausalLM"]},
            {**T5, "architectures": ["T5WithLMHeadModel"]},
            {**BERT, "architectures": ["BertForNothing"]},
            {**BERT, "architectures": ["JinaBertForMaskedLM"]},  # another model, by its own code
        ],
        batch_sizes=[1],
        sequence_lengths=[8],
        max_time=0.01,
        rounds=1,
        device="cpu",
        memory=False,
        progress=False,
    )
    speed = report.speed
    assert speed.status.tolist() == ["ok", "ok", "unsupported", "unsupported"], (
        speed.reason.tolist()
    )
    assert speed.architecture.tolist()[:2] == ["MptForCausalLM", "T5ForConditionalGeneration"]
    assert speed.reason[0].startswith("architecture MPTForCausalLM is not in transformers ")
    assert speed.reason[0].endswith("MptForCausalLM was measured")
    assert "T5WithLMHeadModel" in speed.reason[1]


def test_no_model_of_sound_is_trained_as_one_of_text(backend):
    assert run(backend, WAV2VEC2, model_class="auto").architecture == "Wav2Vec2ForCTC"


def test_no_class_of_a_whole_is_taken_for_its_part(backend):
    pixtral = {"model_type": "pixtral", **TEXT, "image_size": 32, "patch_size": 8}
    with pytest.raises(Unsupported, match="no PyTorch model with a head to train"):
        run(backend, pixtral, model_class="auto")


def test_an_encoder_alone_is_not_trained_as_half_of_a_pair(backend):
    alone = {**T5, "is_encoder_decoder": False}
    assert run(backend, alone, "inference", model_class="auto").architecture == "T5EncoderModel"
    for config in (alone, {**T5, "architectures": ["T5EncoderModel"]}):
        with pytest.raises(Unsupported):
            run(backend, config, model_class="auto")


def test_a_class_without_a_loss_says_so(backend):
    text = {"model_type": "clip_text_model", **TEXT, "architectures": ["CLIPTextModel"]}
    with pytest.raises(Unsupported, match="no PyTorch model with a head to train"):
        run(backend, text)


def test_a_model_that_cannot_be_traced_says_so(backend):
    model, call = built(backend, BERT, "inference", execution="torchscript")
    forward = model._model.forward

    def untraceable(**inputs):
        if backend.torch.jit.is_tracing():
            raise RuntimeError("Tracing: no. More")
        return forward(**inputs)

    model._model.forward = untraceable
    with pytest.raises(Unsupported, match=r"cannot trace BertModel .*\(Tracing: no\); give exec"):
        call()
    model._inputs["input_ids"] += 1000  # fails untraced, too
    with pytest.raises(IndexError):
        call()


LLAVA = {
    "model_type": "llava",
    "image_token_index": 5,
    "text_config": {"model_type": "llama", **TEXT, "num_key_value_heads": 2},
    "vision_config": {**VIT, "model_type": "clip_vision_model"},
}


@pytest.mark.parametrize("named", ["dtype", "torch_dtype"])
def test_every_part_has_the_dtype_that_was_asked_for(backend, named):
    halves = json.loads(json.dumps(LLAVA))
    for part in (halves, halves["text_config"], halves["vision_config"]):
        part[named] = "float16"
    for dtype in ("float32", "bfloat16"):
        model, _ = built(backend, halves, "inference", length=32, dtype=dtype)
        assert {str(p.dtype) for p in model._model.parameters()} == {f"torch.{dtype}"}
    del halves[named], halves["vision_config"][named]
    model, _ = built(backend, halves, "inference", length=32, dtype="auto")
    assert {str(p.dtype) for p in model._model.parameters()} == {"torch.float16"}


@pytest.mark.parametrize(
    "config",
    [
        {**BERT, "_attn_implementation": "flash_attention_2"},
        {**LLAVA, "attn_implementation": {"vision_config": "sdpa",
                                          "text_config": "flash_attention_2"}},
    ],
)  # fmt: skip
def test_attention_of_the_configuration_whose_package_is_missing_names_the_remedy(backend, config):
    values = {"length": 32, "model_class": "auto"}
    with pytest.raises(Unsupported, match=r"flash_attention_2.*give attentions sdpa or eager"):
        built(backend, config, "inference", **values)
    built(backend, config, "inference", **values, attention="eager")


def test_a_classifier_without_a_padding_token_gets_one(backend):
    config = {**GPT2, "architectures": ["GPT2ForSequenceClassification"], "eos_token_id": 7}
    for mode in ("inference", "training"):
        assert run(backend, config, mode)._model.config.pad_token_id == 7


COMPOSITE = {
    "EncoderDecoderModel": {"model_type": "encoder-decoder", "encoder": BERT,
                            "decoder": {**BERT, "is_decoder": True, "add_cross_attention": True}},
    "VisionEncoderDecoderModel": {"model_type": "vision-encoder-decoder", "encoder": VIT,
                                  "decoder": {**GPT2, "add_cross_attention": True}},
    "SpeechEncoderDecoderModel": {"model_type": "speech-encoder-decoder", "encoder": WAV2VEC2,
                                  "decoder": {**BERT, "is_decoder": True,
                                              "add_cross_attention": True}},
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSITE)
def test_a_composite_model_runs_without_its_class_being_named(backend, name, tmp_path):
    from transformers import AutoConfig

    from nbbench.arguments.given import config_as_dict
    from nbbench.plan.models import find_model

    values = json.loads(json.dumps(COMPOSITE[name]))
    made = AutoConfig.for_model(values.pop("model_type"), **values)
    made.save_pretrained(tmp_path)
    kinds = (COMPOSITE[name], config_as_dict(made, 1), find_model(str(tmp_path)).config)
    for config in json.loads(json.dumps(kinds)):
        for mode in ("inference", "training"):
            assert run(backend, config, mode, model_class="auto").architecture == name


@pytest.mark.slow
@pytest.mark.newest
def test_every_ending_that_is_listed_is_still_needed(backend):
    """A class that no auto class knows has labels by the ending of its name, as a last resort."""
    from nbbench.worker.heads.labels import _BY_ENDING
    from nbbench.worker.heads.tasks import tasks_of

    transformers = backend.transformers
    for ending, _ in _BY_ENDING:
        needed = [
            name
            for name in dir(transformers)
            if name.endswith(ending) and not tasks_of(transformers, name)
        ]
        assert needed, f"no class ends with {ending} without being in an auto class"
