"""What goes in beside text where the form is one model's own: positions, masks, frames."""

from __future__ import annotations

import pytest

from tests.test_inputs import described


def counted(tensors, token):
    """How many positions of each text have this id."""
    return {row.count(token) for row in tensors["input_ids"].values}


def described_or_skipped(model_type, class_name, **values):
    transformers = pytest.importorskip("transformers")
    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {model_type}")
    return described(model_type, class_name, **values)


def test_instructblips_video_is_frames_each_of_which_has_the_queries_positions():
    _, tensors = described_or_skipped(
        "instructblipvideo", "InstructBlipVideoModel", length=140, video_token_index=5
    )
    assert tensors["pixel_values"].shape == (2, 4, 3, 224, 224)
    assert counted(tensors, 5) == {4 * 32}
    assert tensors["qformer_input_ids"].shape == (2, 8)


def test_granite_doclings_mask_is_of_tiles():
    inputs, tensors = described_or_skipped("granite_docling", "GraniteDoclingModel", length=70)
    assert tensors["pixel_values"].shape == (2, 1, 3, 512, 512)
    assert tensors["pixel_attention_mask"].values == ((True,), (True,))
    assert counted(tensors, 100337) == {(512 // 16 // 4) ** 2}
    assert inputs.tokens == 2 * 70


def test_paddleocrs_patches_are_small_images_four_of_which_give_a_position():
    _, tensors = described_or_skipped("paddleocr_vl", "PaddleOCRVLModel", length=1000)
    patches, *each = tensors["pixel_values"].shape
    assert each == [3, 14, 14]
    assert counted(tensors, 100295) == {patches // 2 // 4}
    _, tensors = described_or_skipped(
        "paddleocr_vl_vision", "models.paddleocr_vl.modeling_paddleocr_vl.PaddleOCRVisionModel"
    )
    assert tensors["pixel_values"].shape == (1, patches, 3, 14, 14)  # all as a batch of one


def test_fun_asrs_frames_are_stacked_and_each_stack_gives_a_position():
    _, tensors = described_or_skipped("fun_asr_nano", "FunAsrNanoModel", length=150)
    frames = 1000 // 7
    assert tensors["input_features"].shape == (2, frames, 7 * 80)
    assert tensors["input_features_mask"].shape == (2, frames)
    assert counted(tensors, 151646) == {frames}
