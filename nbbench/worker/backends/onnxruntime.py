"""ONNX Runtime: models of Transformers, exported to ONNX."""

from __future__ import annotations

from typing import Any

from .exported import ExportedBackend


class OnnxRuntimeBackend(ExportedBackend):
    """The ``onnxruntime`` framework."""

    REQUIREMENTS = (
        "torch>=2.6", "transformers>=5.23", "onnxruntime>=1.22", "onnx>=1.18", "onnxscript>=0.5",
    )  # fmt: skip

    runtime, exporter, config = "onnxruntime", "OnnxExporter", "OnnxConfig"

    def _options(self, threads: int, dtype: str) -> dict[str, Any]:
        options = self._package.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone
        return {"session_options": options}
