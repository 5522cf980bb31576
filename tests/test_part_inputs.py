"""Parts of larger models, and models with inputs of their own, run on what is made for them."""

from __future__ import annotations

import pytest

from nbbench.worker.backend import Unsupported
from nbbench.worker.case import Case
from tests.conftest import OLDER
from tests.test_inputs import CONFIG, described, script

pytestmark = OLDER

HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
VISION = {**CONFIG, "patch_size": 8, "spatial_merge_size": 2}
GLIMMER = {**CONFIG, **HEADS, "patch_size": 8, "pos_emb_height": 4, "pos_emb_width": 4}

PARTS = {
    "blt_local_decoder": {**CONFIG, "hidden_size_global": 48, "cross_attn_k": 2},
    "blt_local_encoder": {**CONFIG, "hidden_size_global": 48, "cross_attn_k": 2},
    "deepseek_ocr2_encoder": {**CONFIG, "num_key_value_heads": 2},
    "dots3_note_audio_encoder": {
        **CONFIG, "downsample_hidden_size": 8, "adapter_input_size": 32, "adapter_out_dim": 16,
    },
    "idefics2_perceiver": {
        "hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
        "resampler_head_dim": 16, "num_key_value_heads": 1,
    },
    "inkling2_vision": {**VISION, "projection_hidden_dim": 32, "text_hidden_size": 32},
    "inkling_audio": {"n_mel_bins": 8, "mel_vocab_size": 16, "text_hidden_size": 32},
    "inkling_vision": {
        "text_hidden_size": 32, "patch_size": 40, "hidden_size": 64, "num_hidden_layers": 6,
    },
    "mimi_decoder": {
        **CONFIG, **HEADS, "num_filters": 4, "upsample_groups": 32, "codebook_dim": 16,
    },
    "mllama_vision_model": {
        **CONFIG, "attention_heads": 2, "num_global_layers": 1, "image_size": 16, "patch_size": 8,
        "intermediate_layers_indices": [0], "vision_output_dim": 64,
    },
    "molmo2_adapter": {
        **CONFIG, **HEADS, "vision_feature_layer": [-1, 0], "text_hidden_size": 32,
    },
    "muse_glimmer_assistant": {**CONFIG, **HEADS, "target_layer_ids": [0, 1], "block_size": 4},
    "muse_glimmer_vision": {**GLIMMER, "patch_temporal": 2, "merge_size": 2},
}  # fmt: skip


def run(backend, model_type, values, length=16, batch_size=2):
    """What a small model of a type gave, and its inputs."""
    transformers = pytest.importorskip("transformers")
    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {model_type}")
    config = {"model_type": model_type, **values}
    case = Case("pytorch", model_type, config, "given", batch_size, length, device="cpu")
    model = backend.build(case, backend.open(case))
    call, _ = model.prepare()
    return call(), model._inputs


@pytest.mark.parametrize("model_type", PARTS)
def test_a_part_runs_on_what_its_whole_would_give_it(backend, model_type):
    run(backend, model_type, PARTS[model_type])


@pytest.mark.parametrize(
    ("model_type", "shapes"),
    [
        ("blt_local_encoder", {"input_ids": (2, 16), "patch_ids": (2, 16)}),
        ("blt_local_decoder", {"inputs_embeds": (2, 16, 32), "patch_embeds": (2, 4, 48)}),
        ("idefics2_perceiver", {"context": (2, 16, 32), "attention_mask": (2, 16)}),
        ("inkling2_vision", {"pixel_values": (2 * 16 * 16, 16, 16, 3), "image_grid_thw": (2, 3)}),
        ("inkling_audio", {"audio_input_ids": (2, 16, 8)}),
        ("inkling_vision", {"pixel_values": (2 * 5 * 5, 2, 40, 40, 3)}),
        ("mimi_decoder", {"latents": (2, 32, 16)}),
        ("mllama_vision_model", {"pixel_values": (2, 1, 4, 3, 16, 16)}),
        ("molmo2_adapter", {"image_features": (2, 16, 64), "pooled_patches_idx": (8, 4)}),
        ("muse_glimmer_assistant",
         {"noise_embeds": (2, 4, 32), "context_hidden_states": (2, 16, 64)}),
    ],
)  # fmt: skip
def test_features_have_the_widths_that_the_configuration_names(backend, model_type, shapes):
    _, inputs = run(backend, model_type, PARTS[model_type])
    assert {name: tuple(inputs[name].shape) for name in shapes} == shapes


MOSHI_DEPTH = {
    **CONFIG, **HEADS, "vocab_size": 50, "audio_vocab_size": 20, "input_size": 24, "ffn_dim": 32,
    "num_codebooks": 4,
}  # fmt: skip


def test_a_decoder_of_one_positions_codebooks_takes_as_many_ids_as_it_has(backend):
    _, inputs = run(backend, "moshi_depth", MOSHI_DEPTH, 4)
    assert inputs["input_ids"].max() < 20  # all but the first are of a codebook
    assert inputs["last_hidden_state"].shape == (2, 4, 24)
    with pytest.raises(Unsupported, match=r"\(4\); lower sequence_lengths"):
        run(backend, "moshi_depth", MOSHI_DEPTH, 5)


JEV = {"hidden_size": 32, "text_config": {"model_type": "qwen3", **CONFIG, **HEADS}}


def test_a_model_of_one_prompt_is_asked_a_question_of_it_and_given_no_second_one(backend):
    output, inputs = run(backend, "jev", JEV, batch_size=1)
    assert output.shape == (2,)  # how likely each option is
    assert inputs["marks"].tolist() == [[15]]
    with pytest.raises(Unsupported, match="first prompt of a batch alone; give batch_sizes 1"):
        run(backend, "jev", JEV)


HUNYUAN_VL = {
    "text_config": {**CONFIG, **HEADS, "vocab_size": 200,
                    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                        "mrope_section": [2, 2, 2, 2]}},
    "vision_config": {**CONFIG, "patch_size": 16, "spatial_merge_size": 2, "max_image_size": 64,
                      "text_hidden_size": 32},
    "image_token_id": 190, "im_start_id": 191, "im_end_id": 192, "im_newline_id": 193,
}  # fmt: skip


def test_an_image_has_positions_for_the_ends_of_its_rows(backend):
    _, inputs = run(backend, "hunyuan_vl", HUNYUAN_VL, 80)
    rows, columns = 256 // 32, 256 // 32
    assert (inputs["input_ids"] == 190).sum(1).tolist() == 2 * [rows * (columns + 1) + 2]


ESMFOLD2 = {
    "num_loops": 0, "folding_trunk_num_hidden_layers": 1, "parcae_num_coda_layers": 1,
    "pairwise_hidden_size": 32, "pair_transition_intermediate_size": 32,
    "esmc_config": {"model_type": "esmc", **CONFIG}, "msa_encoder": {"enabled": False},
    "lm_encoder": {"num_hidden_layers": 1}, "confidence_head": {"num_hidden_layers": 1},
    "structure_head": {"diffusion_module": {"num_hidden_layers": 1}},
}  # fmt: skip


def test_a_chain_of_residues_has_the_atoms_of_each(backend):
    output, inputs = run(backend, "esmfold2", ESMFOLD2, 8)
    assert output.distogram_logits.shape[:3] == (2, 8, 8)
    atoms = inputs["atom_inputs"]
    assert atoms.ref_pos.shape == (2, 8 * 5, 3)
    assert atoms.atom_to_token[0].bincount().tolist() == 8 * [5]


WHOLES = {
    "edgetam": ("EdgeTamModel", 16, {}, {"pixel_values": (2, 3, 1024, 1024)}),
    "fast_vlm": ("FastVlmModel", 600, {}, {"pixel_values": (2, 3, 24 * 64, 24 * 64)}),
    "glm_image": ("GlmImageModel", 20000, {},
                  {"image_grid_thw": (4, 3), "images_per_sample": (2,)}),
    "kimi_k25": ("Kimi_K25Model", 100,
                 {"text_config": {"model_type": "deepseek_v3", "vocab_size": 163840}},
                 {"pixel_values": (2 * 18 * 18, 3, 14, 14)}),
}  # fmt: skip
"""Models whose image is described by a part of them, or by nothing in their configuration."""
POSITIONS = {"fast_vlm": 576, "glm_image": 128 * 128, "kimi_k25": 9 * 9}


@pytest.mark.parametrize("model_type", WHOLES)
def test_an_image_is_as_the_whole_model_takes_it(model_type):
    transformers = pytest.importorskip("transformers")
    if model_type not in transformers.CONFIG_MAPPING or transformers.__version__ < "5":
        pytest.skip(f"transformers {transformers.__version__} has no {model_type} without a Hub")
    class_name, length, values, shapes = WHOLES[model_type]
    _, tensors = described(model_type, class_name, length, **values)
    assert {name: tensors[name].shape for name in shapes} == shapes
    if model_type in POSITIONS:
        token = transformers.CONFIG_MAPPING[model_type](**values).image_token_id
        assert tensors["input_ids"].values[0].count(token) == POSITIONS[model_type]


SIZES = {
    "kimi_k25_vision": {"pos_emb_width": 64},  # a number of positions, not of features
    "hunyuan_vl": {"im_start_id": 1999, "im_end_id": 1998, "im_newline_id": 1996},
    "lw_detr": {"d_model": 64, "projector_out_channels": 64},
}


@pytest.mark.parametrize("model_type", SIZES)
def test_tiny_configurations_hold_together(model_type):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {model_type}")
    made = dict(script("tiny_configs").tiny_configs([model_type]))[model_type]
    assert {name: made[name] for name in SIZES[model_type]} == SIZES[model_type]
