"""Transformers' own processors of small models, built without a download, and a made image."""

from __future__ import annotations

from unittest import mock

import transformers

SIDE = 56
SIZE = {"height": SIDE, "width": SIDE}
SHORTEST = {"size": {"shortest_edge": SIDE}, "crop_size": SIZE}
LONGEST = {"longest_edge": SIDE}
PINPOINTS = [[56, 112], [112, 56], [112, 112]]

SPECIAL = {
    "image_token": "<image>", "video_token": "<video>", "audio_token": "<sound>",
    "boi_token": "<boi>", "eoi_token": "<eoi>", "boa_token": "<boa>", "eoa_token": "<eoa>",
    "vision_start_token": "<vs>", "vision_end_token": "<ve>",
    "start_image_token": "<boi>", "end_image_token": "<eoi>", "context_image_token": "<image>",
    "image_boundary_token": "<fake>", "fake_image_token": "<fake>",
    "global_image_token": "<global>",
    "end_of_utterance_token": "<end>", "image_break_token": "<break>", "image_end_token": "<eoi>",
    "image_start_token": "<boi>", "audio_bos_token": "<boa>", "audio_eos_token": "<eoa>",
    "patch_token": "<|patch|>", "whole_image_token": "<|image|>",
    "before_patches_token": "<|image_start|>", "after_patches_token": "<|image_end|>",
}  # fmt: skip

TOKEN_TYPES = {"FlavaProcessor"}
"""Those whose tokenizer is BERT's, with a type for each token."""


ADDS_ITS_TOKEN = {"Blip2Processor"}
"""Those that give their tokenizer the image's token, and fail where it has one already."""


def tokenizer(token_types=False, has_image_token=True):
    """A small tokenizer, with the special tokens that processors ask for."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = ["<unk>", "<pad>", "<s>", "</s>", "a", "cat", *dict.fromkeys(SPECIAL.values())]
    made = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(known)}, unk_token="<unk>")
    )
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=SPECIAL if has_image_token else {},
        model_input_names=["input_ids", *(token_types * ["token_type_ids"]), "attention_mask"],
    )


def picture(side):
    """A grey image with a gradient."""
    import numpy
    from PIL import Image

    row = numpy.linspace(0, 255, side).astype("uint8")
    return Image.fromarray(numpy.stack([numpy.tile(row, (side, 1))] * 3, axis=-1))


def _images(name, **options):
    """The image processor of this name that needs Pillow alone."""
    found = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return found(**options)


def _made(name, images, **options):
    """A processor; one of videos or sounds may be None in it, as it needs more packages."""
    check = transformers.ProcessorMixin.check_argument_for_proper_class

    def checked(self, argument, value):
        return None if value is None else check(self, argument, value)

    with mock.patch.object(transformers.ProcessorMixin, "check_argument_for_proper_class", checked):
        return getattr(transformers, name)(
            image_processor=images,
            tokenizer=tokenizer(name in TOKEN_TYPES, name not in ADDS_ITS_TOKEN),
            **options,
        )


_LLAVA = {"patch_size": 14, "vision_feature_select_strategy": "default",
          "num_additional_image_tokens": 1}  # fmt: skip
_QWEN = {"video_processor": None}

PROCESSORS = {
    "llava": lambda: _made("LlavaProcessor", _images("CLIPImageProcessor", **SHORTEST), **_LLAVA),
    "vipllava": lambda: _made(
        "LlavaProcessor", _images("CLIPImageProcessor", **SHORTEST), **_LLAVA
    ),
    "llava_next": lambda: _made(
        "LlavaNextProcessor",
        _images("LlavaNextImageProcessor", **SHORTEST, image_grid_pinpoints=PINPOINTS),
        **_LLAVA,
    ),
    "llava_onevision": lambda: _made(
        "LlavaOnevisionProcessor",
        _images(
            "LlavaOnevisionImageProcessor", size=SIZE, image_grid_pinpoints=[[56, 56], *PINPOINTS]
        ),
        video_processor=None,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
    ),
    "paligemma": lambda: _made(
        "PaliGemmaProcessor", _images("SiglipImageProcessor", size=SIZE, image_seq_length=16)
    ),
    "gemma3": lambda: _made(
        "Gemma3Processor", _images("Gemma3ImageProcessor", size=SIZE), image_seq_length=4
    ),
    "qwen2_vl": lambda: _made("Qwen2VLProcessor", _images("Qwen2VLImageProcessor"), **_QWEN),
    "qwen2_5_vl": lambda: _made("Qwen2_5_VLProcessor", _images("Qwen2VLImageProcessor"), **_QWEN),
    "qwen3_vl": lambda: _made(
        "Qwen3VLProcessor",
        _images("Qwen2VLImageProcessor", patch_size=16),
        **_QWEN,
    ),
    "glm4v": lambda: _made(
        "Glm4vProcessor",
        _images("Glm4vImageProcessor", size={"shortest_edge": 1000, "longest_edge": 10**6}),
        **_QWEN,
    ),
    "idefics2": lambda: _made(
        "Idefics2Processor",
        _images(
            "Idefics2ImageProcessor",
            do_image_splitting=False,
            size={"shortest_edge": SIDE, "longest_edge": SIDE},
        ),
        image_seq_len=4,
    ),
    "idefics3": lambda: _made(
        "Idefics3Processor",
        _images(
            "Idefics3ImageProcessor",
            do_image_splitting=False,
            size=LONGEST,
            max_image_size=LONGEST,
        ),
        image_seq_len=4,
    ),
    "mistral3": lambda: _made(
        "PixtralProcessor",
        _images("PixtralImageProcessor", size={"longest_edge": 1540}, patch_size=14),
        patch_size=14,
        spatial_merge_size=2,
        image_token="<image>",
        image_break_token="<break>",
        image_end_token="<eoi>",
    ),
    "internvl": lambda: _made(
        "InternVLProcessor",
        _images("GotOcr2ImageProcessor", size=SIZE, crop_to_patches=False),
        video_processor=None,
        image_seq_length=4,
    ),
    "llama4": lambda: _made(
        "Llama4Processor",
        _images("Llama4ImageProcessor", size=SIZE, max_patches=1),
        patch_size=14,
    ),
    "mllama": lambda: _made(
        "MllamaProcessor", _images("MllamaImageProcessor", size=SIZE, max_image_tiles=4)
    ),
    "blip-2": lambda: _made(
        "Blip2Processor", _images("BlipImageProcessor", size=SIZE), num_query_tokens=4
    ),
    "flava": lambda: _made(
        "FlavaProcessor", _images("FlavaImageProcessor", size=SIZE, crop_size=SIZE)
    ),
    "florence2": lambda: _made(
        "Florence2Processor",
        _images(
            "CLIPImageProcessor",
            size={"height": 768, "width": 768},
            do_center_crop=False,
            image_seq_length=577,
        ),
    ),
    "aya_vision": lambda: _made(
        "AyaVisionProcessor",
        _images("GotOcr2ImageProcessor", size=SIZE, crop_to_patches=False),
        patch_size=14,
        img_size=SIDE,
        downsample_factor=2,
        img_patch_token="<image>",
        image_token="<image>",
    ),
    "deepseek_vl": lambda: _made(
        "DeepseekVLProcessor",
        _images("DeepseekVLImageProcessor", size=SIZE),
        num_image_tokens=16,
    ),
    "gemma4": lambda: _made(
        "Gemma4Processor",
        _images("Gemma4ImageProcessor"),
        feature_extractor=None,
        video_processor=None,
    ),
    "video_llama_3": lambda: _made(
        "VideoLlama3Processor", _images("VideoLlama3ImageProcessor"), **_QWEN
    ),
}
"""What makes each processor; of models that have none of Pillow alone there is none."""


PLACEHOLDERS = {"llama4": "<|patch|>"}
"""The token at an image's positions, where a processor has it written in its code."""


AROUND = {"qwen2_vl": ("<vs>", "<ve>"), "qwen2_5_vl": ("<vs>", "<ve>"),
          "qwen3_vl": ("<vs>", "<ve>"), "glm4v": ("<boi>", "<eoi>")}  # fmt: skip
"""What the chat templates of these put before and after an image; the other processors do it."""


def processed(model_type, image):
    """What the model's own processor makes of an image and a text: shapes by name, and ids."""
    processor = PROCESSORS[model_type]()
    before, after = AROUND.get(model_type, ("", ""))
    token = getattr(processor, "image_token", None) or "<image>"
    text = f"{before} {token} {after} a cat"
    if model_type in ("blip-2", "flava", "florence2"):  # which put the image there themselves
        text = "a cat"
    made = processor(images=image, text=text, return_tensors="pt")
    shapes = {name: tuple(value.shape) for name, value in made.items() if name != "labels"}
    return shapes, made["input_ids"], processor.tokenizer
