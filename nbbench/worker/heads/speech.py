"""Labels of text that is spoken: codes for each position, a spectrogram, vectors of sound."""

from __future__ import annotations

from ..backend import Unsupported
from ..inputs.asked import named
from ..inputs.placeholders import random_text
from ..inputs.tensors import Input
from .head import Head

FRAMES_OF_A_TOKEN = 2
"""How many frames each token of a text is spoken for."""


def spoken(head: Head) -> tuple[Input, ...]:
    """The sound of a text, in the form that the forward method names."""
    if "spectrogram_labels" in head.asks:
        return _spectrogram(head)
    if "audio_labels" in head.asks:
        return _codes_of_frames(head)
    if "labels_mask" in head.asks and named(head.config, "audio_latent_token_id") is not None:
        return _latents(head)
    if "labels" in head.asks and named(head.config, "num_codebooks") is not None:
        return _codes(head)
    if "labels" in head.asks and named(head.config, "spectrogram_bins") is not None:
        return _bins(head)
    raise head.unknown()


def _codes(head: Head) -> tuple[Input, ...]:
    """A code of each codebook for each position of what is decoded: (batch, length, codebooks)."""
    decoder = getattr(head.config, "decoder", head.config)
    codebooks, bound = int(named(decoder, "num_codebooks")), int(decoder.vocab_size)
    return (Input("labels", "ids", (head.batch_size, head.ids.shape[1], codebooks), bound),)


def _spectrogram(head: Head) -> tuple[Input, ...]:
    """For each token how long, how high and how loud it is spoken, and the frames of all."""
    batch, length = head.ids.shape
    frames = FRAMES_OF_A_TOKEN * length * int(named(head.config, "reduction_factor") or 1)
    durations = batch * (length * (FRAMES_OF_A_TOKEN,),)
    bins = int(named(head.config, "num_mel_bins"))
    return (
        Input("spectrogram_labels", "noise", (batch, frames, bins)),
        Input("duration_labels", "given", (batch, length), values=durations),
        Input("pitch_labels", "noise", (batch, length, 1)),
        Input("energy_labels", "noise", (batch, length, 1)),
    )


def _bins(head: Head) -> tuple[Input, ...]:
    """The frames of a text, each of which is the last axis: (batch, bins, frames)."""
    batch, length = head.ids.shape
    shape = (batch, int(head.config.spectrogram_bins), FRAMES_OF_A_TOKEN * length)
    return (Input("labels", "noise", shape),)


def _codes_of_frames(head: Head) -> tuple[Input, ...]:
    """Codes of the sound that the second half of the ids are positions of, read and learnt."""
    config, frames = head.config, _frames(head)
    shape = (head.batch_size, frames, int(config.num_codebooks))
    mask = head.batch_size * (frames * (True,),)
    return (
        _ids(head, frames * (int(config.audio_token_id),)),
        Input("audio_input_ids", "ids", shape, int(config.codebook_size)),
        Input("audio_input_ids_mask", "given", shape[:2], values=mask),
        Input("audio_labels", "ids", shape, int(config.codebook_size)),
    )


def _latents(head: Head) -> tuple[Input, ...]:
    """Vectors of the sound that the second half of the ids are positions of, behind its start."""
    config, frames = head.config, _frames(head)
    positions = (int(config.audio_bos_token_id), *(frames * (int(config.audio_latent_token_id),)))
    shape = (head.batch_size, frames, int(config.latent_dim))
    return (_ids(head, positions), Input("labels", "noise", shape))


def _frames(head: Head) -> int:
    length = head.ids.shape[1]
    if length < _SHORTEST:
        raise Unsupported(
            f"sequence length {length} is too short to train {head.architecture}: a token of text, "
            f"the begin and a frame of its sound are {_SHORTEST}; raise sequence_lengths to that"
        )
    return length // 2


_SHORTEST = 3


def _ids(head: Head, end: tuple[int, ...]) -> Input:
    """Ids of a text that end with these, in the stead of ids of text alone."""
    ids = head.ids
    texts = random_text(head.config, head.batch_size, ids.shape[1] - len(end), 0)
    rows = tuple((*text, *end) for text in texts)
    return Input("input_ids", "given", ids.shape, ids.bound, values=rows)
