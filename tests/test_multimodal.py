"""Vision- and audio-language models: what goes in is what their own processors would make."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.case import Case

CONFIGS = json.loads(Path(__file__).with_name("multimodal_configs.json").read_text())
VISION, AUDIO = CONFIGS["vision"], CONFIGS["audio"]
FEW = ("llava", "qwen2_vl", "mllama")
SHORT = {"kosmos-2": 64, "flava": 64}
"""Lengths of those that take no thousand positions."""
UNTRAINED = {"idefics"}
"""Those whose heads have no labels yet."""


@pytest.fixture(autouse=True)
def _torch():
    pytest.importorskip("torch")


def run(*names, **arguments):
    arguments = {"batch_sizes": [2], "sequence_lengths": [128], "device": "cpu", "max_time": 0.05,
                 "rounds": 1, "memory": False, "progress": False, **arguments}  # fmt: skip
    return nbbench.run(configs=[{**VISION, **AUDIO}[name] for name in names], **arguments)


def built(backend, name, config, mode="inference", modalities="auto"):
    """The model of a case with its inputs, and its call."""
    length = SHORT.get(name, 1024)
    case = Case("pytorch", name, config, "given", 2, length, mode=mode, device="cpu",
                modalities=modalities)  # fmt: skip
    model = backend.build(case, backend.open(case))
    call, tokens = model.prepare()
    assert tokens == 2 * length
    return model, call


def flops(call):
    """Floating point operations of a call; counted over all modules together."""
    from torch.utils.flop_counter import FlopCounterMode

    class Everything:
        parents = ("Global",)

        def __enter__(self):
            return self

        def __exit__(self, *reason):
            pass

    counter = FlopCounterMode(display=False)
    counter.mod_tracker = Everything()  # the usual one cannot be in inference mode
    with counter:
        call()
    return counter.get_total_flops()


def with_layers(config, layers):
    """The configuration with as many layers in its vision part."""
    if "vision_config" in config.get("encoder", {}):
        return {**config, "encoder": with_layers(config["encoder"], layers)}
    part = "image_config" if "image_config" in config else "vision_config"
    vision = config.get(part, {})
    names = [name for name in ("num_hidden_layers", "depth") if name in vision]
    if "depths" in vision:
        return {**config, part: {**vision, "depths": [1, 1, layers, 1]}}
    return {**config, part: {**vision, **dict.fromkeys(names, layers)}} if names else config


def test_both_modes_run_and_the_row_says_what_went_in():
    report = run("llava", "gemma3", training=True)
    assert report.speed.status.tolist() == ["ok"] * 4, report.speed.reason.tolist()
    assert set(report.speed.modalities) == {"text+image"}
    assert report.speed.tokens_per_s.notna().all()
    assert set(run("llava", modalities="text").speed.modalities) == {"text"}
    assert set(run("qwen2_audio").speed.modalities) == {"text+audio"}


@pytest.mark.parametrize("name", FEW)
def test_the_vision_tower_runs(backend, name):
    check_that_vision_layers_count(backend, name)


def newest(names, few):
    """All names, with the mark `newest` on a few, each of a kind of its own: the rest take long."""
    return [pytest.param(name, marks=[pytest.mark.newest] * (name in few)) for name in names]


KINDS = ("llava_next", "instructblip", "chameleon")


@pytest.mark.slow
@pytest.mark.parametrize("name", newest([name for name in VISION if name not in FEW], KINDS))
def test_every_vision_tower_runs_in_both_modes(backend, name):
    check_that_vision_layers_count(backend, name)


def check_that_vision_layers_count(backend, name):
    """Two more layers are some operations more, in both modes, and text alone has none of them."""
    config = VISION[name]
    for mode in ("inference", *(() if name in UNTRAINED else ("training",))):
        counted = [
            flops(built(backend, name, with_layers(config, layers), mode)[1]) for layers in (2, 4)
        ]
        if name == "chameleon":  # whose images are of a codebook, without layers
            assert counted[0] > flops(built(backend, name, config, mode, "text")[1])
        else:
            assert counted[1] > counted[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", newest(AUDIO, ("qwen2_audio",)))
def test_every_audio_tower_runs_in_both_modes(backend, name):
    for mode in ("inference", "training"):
        with_sound, call = built(backend, name, AUDIO[name], mode)
        assert with_sound.modalities == "text+audio"
        assert flops(call) > flops(built(backend, name, AUDIO[name], mode, "text")[1])


def test_text_alone_has_no_position_of_an_image(backend):
    for name, tokens in (("llava", {900}), ("mistral3", {10}), ("qwen2_vl", {900, 901, 902, 903})):
        model, call = built(backend, name, VISION[name], modalities="text")
        assert model.modalities == "text"
        assert not set(model._inputs["input_ids"].unique().tolist()) & tokens
        assert flops(call) < flops(built(backend, name, VISION[name])[1])


def test_a_length_that_holds_no_image_is_unsupported_with_the_number_that_does():
    report = run("llava", sequence_lengths=[16, 17])
    assert report.speed.status.tolist() == ["unsupported", "ok"]
    assert report.speed.reason[0] == (
        "sequence length 16 is too short for llava-1: one image's 16 positions and one token of "
        "text are 17; raise sequence_lengths to that, or give modalities text"
    )


def test_what_cannot_be_done_with_text_alone_is_unsupported(backend):
    vit = {"model_type": "vit", "hidden_size": 32, "num_hidden_layers": 1, "image_size": 32,
           "num_attention_heads": 2, "intermediate_size": 64}  # fmt: skip
    with pytest.raises(Unsupported, match="vit takes no text"):
        built(backend, "vit", vit, modalities="text")
    with pytest.raises(Unsupported, match="cannot do with text alone"):
        built(backend, "blip-2", VISION["blip-2"], modalities="text")


def test_an_image_token_beyond_the_vocabulary_is_unsupported(backend):
    config = {**VISION["llava"], "image_token_index": 32000}
    with pytest.raises(
        Unsupported, match="token id 32000 of one image is not below the vocab_size 1000"
    ):
        built(backend, "llava", config)


def test_an_argument_that_is_none():
    with pytest.raises(
        nbbench.ArgumentError, match="modalities: 'image' is not one of auto or text"
    ):
        run("llava", modalities="image")


def described(name, config, length):
    """Shapes by name of what nbbench makes for one sample, and the ids."""
    transformers = pytest.importorskip("transformers")
    from nbbench.worker.backends.transformers_models import make_config
    from nbbench.worker.inputs.describe import describe_inputs

    made = make_config(transformers, Case("pytorch", name, config, "given", 1, length))
    architecture = config.get("architectures", ["FlavaModel"])[0]
    parameters = inspect.signature(getattr(transformers, architecture).forward).parameters
    inputs = describe_inputs(parameters, made, model=name, batch_size=1, sequence_length=length)
    tensors = {tensor.name: tensor for tensor in inputs.tensors}
    return {name: tensor.shape for name, tensor in tensors.items()}, tensors["input_ids"].values[0]


ANY_SIZE = {"qwen2_vl": 256, "qwen2_5_vl": 256, "qwen3_vl": 256, "mistral3": 252,
            "video_llama_3": 256}  # fmt: skip
"""Pixels on each side of the made image, for those that take any; the others resize it."""


IMPLIED = {"batch_num_images"}
"""What processors give though the model counts the same without it: one image in each sample."""


def check_against_the_processor(name):
    """The same names and shapes, and as many positions of the image among the ids."""
    from tests.multimodal_processors import PLACEHOLDERS, picture, processed

    try:
        shapes, ids, tokenizer = processed(name, picture(ANY_SIZE.get(name, 56)))
    except ImportError as error:  # of torchvision, most often
        pytest.skip(" ".join(str(error).split()))
    token = tokenizer.convert_tokens_to_ids(PLACEHOLDERS.get(name, "<image>"))
    config = dict(VISION[name])
    key = "image_token_index" if "image_token_index" in config else "image_token_id"
    if key in config:
        config[key] = token
    ours, our_ids = described(name, config, ids.shape[1])
    assert {n: s for n, s in ours.items() if n != "decoder_input_ids"} == {
        n: s for n, s in shapes.items() if n not in IMPLIED
    }
    assert our_ids.count(token) == ids[0].tolist().count(token)


AGREE = ("llava", "gemma3", "qwen2_vl")


@pytest.mark.parametrize("name", AGREE)
def test_inputs_are_those_of_the_models_own_processor(name):
    pytest.importorskip("PIL")
    check_against_the_processor(name)


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("name", [name for name in VISION if name not in AGREE])
def test_every_processor_that_can_be_made_without_a_download_agrees(name):
    pytest.importorskip("PIL")
    from tests.multimodal_processors import PROCESSORS

    if name not in PROCESSORS:
        pytest.skip(f"no processor of {name} can be made of Pillow and a made tokenizer alone")
    check_against_the_processor(name)


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize(
    ("module", "names", "name"),
    [
        ("vision_grids", "_PATCHES_AS_IMAGES", "paddleocr_vl"),
        ("audio_language", "_POOLING", "qwen2_audio"),
        ("audio_language", "_POOLING", "audioflamingo3"),
    ],
)
def test_without_a_name_in_a_list_the_model_fails(backend, monkeypatch, module, names, name):
    made_by = importlib.import_module(f"nbbench.worker.inputs.{module}")
    left = [each for each in getattr(made_by, names) if not each.startswith(name)]
    assert len(left) == len(getattr(made_by, names)) - 1
    built(backend, name, {**VISION, **AUDIO}[name])[1]()
    monkeypatch.setattr(made_by, names, tuple(left))
    with pytest.raises((RuntimeError, ValueError)):
        built(backend, name, {**VISION, **AUDIO}[name])[1]()


def test_paligemmas_token_types_are_zero_for_all_but_an_answer(backend):
    from nbbench.worker.inputs.vision_towers import _PREFIX_IS_ZERO
    from tests.multimodal_processors import PROCESSORS, picture

    pytest.importorskip("PIL")
    assert _PREFIX_IS_ZERO == ("paligemma",)
    made = PROCESSORS["paligemma"]()(images=picture(56), text="<image> a cat", return_tensors="pt")
    model, _ = built(backend, "paligemma", VISION["paligemma"])
    assert not made["token_type_ids"].any()
    assert not model._inputs["token_type_ids"].any()
    model, _ = built(backend, "gemma3", VISION["gemma3"])
    assert model._inputs["token_type_ids"].sum(dim=1).tolist() == [4, 4]
