"""Quantized weights in Keras, by its own `Model.quantize` on the random ones."""

from __future__ import annotations

import warnings
from typing import Any

from ..backend import Unsupported
from ..case import Case

_MODES = {"int8-dynamic": "int8"}
"""Keras's name by nbbench's: its layers of 8 bits draw scales for their inputs in each call."""


def quantize(model: Any, case: Case) -> str:
    """Quantize a model in place; a sentence on what was quantized. Raises `Unsupported`."""
    mode = _MODES.get(case.quantization)
    if mode is None or not hasattr(model, "quantize"):
        raise Unsupported(
            f"{case.framework} has no quantization {case.quantization}; give int8-dynamic, or "
            f"frameworks pytorch"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for each layer that has nothing to quantize
        model.quantize(mode)
    layers = [layer for layer in model._flatten_layers() if not list(layer._layers or ())]
    done = [layer for layer in layers if getattr(layer, "quantization_mode", None) == mode]
    if not done:
        raise Unsupported(
            f"{type(model).__name__} has no layer that quantization {case.quantization} is for"
        )
    kept = {type(layer).__name__ for layer in layers if layer not in done and layer.weights}
    named = f"; not quantized: {', '.join(sorted(kept))}" if kept else ""
    return f"{len(done)} layer{'s' if len(done) > 1 else ''} in {case.quantization}{named}"
