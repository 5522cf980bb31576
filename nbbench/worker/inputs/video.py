"""Inputs of video: (batch, frames, channels, height, width)."""

from __future__ import annotations

from .asked import Asked
from .images import channels_of, size_of
from .tensors import Input

_FRAMES = ("num_frames", "frames_per_clip")
_OF_VIDEOS = ("tubelet_size", "time_embed_dim", "attention_type", "mit_hidden_size")
"""What is in configurations of models whose pixel_values are a video."""


def video(asked: Asked) -> list[Input]:
    """One video for each sample; nothing for a model that does without."""
    name = "pixel_values_videos"
    alone = asked.takes(name) and not (asked.takes("pixel_values") or asked.takes("input_ids"))
    if not (asked.needs(name) or alone or asked.takes(name, "input_values")):
        name = "pixel_values"
        if not asked.takes(name) or not _is_of_videos(asked):
            return []
    frames = int(asked.named(*_FRAMES) or 8)
    image = (channels_of(asked.config), *size_of(asked.config))
    if hasattr(asked.config, "mit_hidden_size") and not asked.takes("input_ids"):
        return [Input(name, "noise", (asked.batch_size * frames, *image))]  # as X-CLIP's tower does
    return [Input(name, "noise", (asked.batch_size, frames, *image))]


def _is_of_videos(asked: Asked) -> bool:
    return asked.named(*_FRAMES) is not None and (
        asked.named(*_OF_VIDEOS) is not None
        or asked.takes("interpolate_pos_encoding", "input_ids")
        or asked.takes("audio_values")
    )
