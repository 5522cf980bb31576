"""Keras on each of its frameworks, in the environments that nbbench makes for it."""

from __future__ import annotations

import socket

import pytest
from conftest import TINY_BERT

import nbbench

TINY_GPT2 = {
    "model_type": "gpt2",
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "vocab_size": 1000,
}
FRAMEWORKS = ["keras", "keras-torch", "keras-jax"]
DEFAULT_EXECUTION = {"keras": "graph", "keras-torch": "eager", "keras-jax": "xla"}
OTHER_EXECUTION = {"keras": "xla", "keras-jax": "eager"}

