"""Inputs of audio: spectrograms, and waveforms of as many frames as asked for."""

from __future__ import annotations

from typing import Any

from ..backend import Unsupported
from .tensors import Input


def spectrogram(config: Any, batch_size: int) -> Input:
    """Mel frames (batch, bins, frames) of the one length that the model takes."""
    bins = getattr(config, "num_mel_bins", None) or 80
    positions = getattr(config, "max_source_positions", None)
    if positions is None:
        raise Unsupported(f"the configuration of {config.model_type} names no audio length")
    return Input("input_features", "noise", (batch_size, bins, 2 * positions))


def waveform(config: Any, batch_size: int, frames: int) -> Input:
    """Audio samples that a stack of convolutions turns into just so many frames."""
    kernels = getattr(config, "conv_kernel", None)
    strides = getattr(config, "conv_stride", None)
    if not kernels or not strides:
        raise Unsupported(f"the configuration of {config.model_type} names no convolutions")
    length = frames
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        length = (length - 1) * stride + kernel
    return Input("input_values", "noise", (batch_size, length))
