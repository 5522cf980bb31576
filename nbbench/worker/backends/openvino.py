"""OpenVINO: models of Transformers, exported to its own form."""

from __future__ import annotations

from typing import Any

from .exported import ExportedBackend

_PRECISION = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


class OpenVinoBackend(ExportedBackend):
    """The ``openvino`` framework."""

    REQUIREMENTS = ("torch>=2.6", "transformers>=5.23", "openvino>=2025.2")

    runtime, exporter, config = "openvino", "OpenVINOExporter", "OpenVINOConfig"

    def _options(self, threads: int, dtype: str) -> dict[str, Any]:
        precision = {"INFERENCE_PRECISION_HINT": _PRECISION[dtype]} if dtype in _PRECISION else {}
        return {"config": {"INFERENCE_NUM_THREADS": threads, **precision}}
