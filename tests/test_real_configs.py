"""Configurations as real checkpoints have them, with fewer and narrower layers, in both modes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from nbbench.worker.backend import Unsupported
from nbbench.worker.case import Case
from nbbench.worker.inputs.tensors import IGNORED

CONFIGS = json.loads(Path(__file__).with_name("real_configs.json").read_text())
QUANTIZED = ("deepseek-v3", "gpt-oss-20b")
MODES = ("inference", "training")
REFUSED = {
    ("blip-itm-base-coco", "training"): "BlipForImageTextRetrieval has no loss to train it by",
    ("t5-encoder", "training"): "T5EncoderModel has no loss to train it by",
    ("deit", "training"): "DeiTForImageClassificationWithTeacher has no loss to train it by",
    ("dpt", "training"): "cannot be trained like this: Training is not implemented yet",
    **{(name, mode): "; to measure it dense, give its configuration"
       for name in QUANTIZED for mode in MODES},
}  # fmt: skip
"""What cannot be measured, and why."""
WANTS = {"gemma-3n-e2b-it": "timm", "detr-resnet-50-timm": "timm"}
"""Those that need a package of their own."""
WANTS_TO_BE_TRAINED = {"detr-resnet-50": "scipy", "yolos": "scipy"}


def called(backend, name, config, mode):
    """The model of a case, after its call."""
    case = Case("pytorch", name, config, "given", 2, 64, mode=mode, device="cpu", threads=1)
    backend.import_model(case)
    model = backend.build(case, backend.open(case))
    call, _ = model.prepare()
    call()
    return model


def reason_expected(name, mode):
    """A part of the sentence with which a case is refused; empty for one that is measured."""
    package = WANTS.get(name) or (mode == "training" and WANTS_TO_BE_TRAINED.get(name))
    if package and importlib.util.find_spec(package) is None:
        return f"requires the {package} library but it was not found in your environment; install"
    return REFUSED.get((name, mode), "")


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_measured_or_a_sentence_says_why_not(backend, name, mode):
    config, reason = CONFIGS[name], reason_expected(name, mode)
    if reason:
        with pytest.raises(Unsupported) as caught:
            called(backend, name, config, mode)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    model = called(backend, name, config, mode)
    if mode == "training" and "architectures" in config and not model.note:
        named = config["architectures"][0]
        assert model.architecture == named or named.endswith("Model"), "a head is trained"


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", QUANTIZED)
def test_a_quantized_one_is_measured_dense(backend, name, mode):
    dense = {key: value for key, value in CONFIGS[name].items() if key != "quantization_config"}
    assert called(backend, name, dense, mode).architecture == dense["architectures"][0]


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("roberta-base-go-emotions", (2, 28), "float32"),  # each is true of a text, or not
        ("bart-large-mnli", (2,), "int64"),
        ("bert-base-ner", (2, 64), "int64"),
    ],
)
def test_labels_are_those_of_the_problem(backend, name, shape, kind):
    labels = called(backend, name, CONFIGS[name], "training")._inputs["labels"]
    assert (tuple(labels.shape), str(labels.dtype)) == (shape, f"torch.{kind}")


@pytest.mark.parametrize("mode", MODES)
def test_the_decoder_of_answers_has_ids_of_its_own(backend, mode):
    inputs = called(backend, "blip", CONFIGS["blip-vqa-base"], mode)._inputs
    assert inputs["decoder_input_ids"].shape == inputs["input_ids"].shape


def test_text_has_no_id_that_layers_do_not_embed_once_more(backend):
    config = CONFIGS["gemma-3n-e2b-text"]
    assert config["vocab_size_per_layer_input"] < config["vocab_size"]
    ids = called(backend, "gemma-3n", config, "inference")._inputs["input_ids"]
    assert ids.max() < config["vocab_size_per_layer_input"]


def test_no_loss_counts_the_positions_of_an_image(backend):
    model = called(backend, "gemma-3", CONFIGS["gemma-3-4b-it"], "training")
    ids, labels = model._inputs["input_ids"], model._inputs["labels"]
    assert (ids == 990).sum(dim=1).tolist() == [16, 16]
    assert (labels[ids == 990] == IGNORED).all()
    assert (labels[:, 18:] >= 0).all(), "of text, each token counts"
