"""Reference kernels: small fixed calls, whose times follow the machine's speed.

A model's own code may change what they run under: each has a name that says so.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..measure import Call


def torch_layers(torch: Any, device: str) -> Call:
    """Some small layers: matrix products and activations, with the framework's threads.

    Products alone follow the clock, but not how long threads wait for each other, which is most of
    what small models drift by.

    They take some 0.2 ms on a CPU. A GPU has to be kept busy, and has 17 GFLOP to do: 0.3 ms on a
    large one, and some milliseconds on a small one.
    """
    rows, width, times = (32, 256, 3) if device == "cpu" else (512, 1024, 8)
    inputs = torch.full((rows, width), 0.5, device=device)
    weights = torch.full((width, width), 1 / width, device=device)

    def reference() -> object:
        hidden = inputs
        with torch.inference_mode():
            for _ in range(times):
                hidden = torch.nn.functional.gelu(hidden @ weights) @ weights
        return hidden

    return reference


def torch_layers_name(torch: Any) -> str:
    """The layers by what their time depends on: PyTorch's version, threads and exactness."""
    exactness = []
    with suppress(RuntimeError):  # refused where both ways of setting it were used
        exactness.append(torch.get_float32_matmul_precision())
    for library in (torch.backends.cuda, torch.backends.mkldnn):
        with suppress(AttributeError):  # since PyTorch 2.9
            exactness.append(library.matmul.fp32_precision)
    threads = torch.get_num_threads()
    return f"PyTorch {torch.__version__}, {threads} threads, float32 {' '.join(exactness)}"


def tensorflow_layers(tensorflow: Any) -> Call:
    """Some small layers: matrix products and activations, with the framework's threads."""
    inputs, weights = tensorflow.fill((32, 256), 0.5), tensorflow.fill((256, 256), 1 / 256)

    def reference() -> object:
        hidden = inputs
        for _ in range(3):
            hidden = tensorflow.nn.gelu(tensorflow.linalg.matmul(hidden, weights))
            hidden = tensorflow.linalg.matmul(hidden, weights)
        return hidden

    return reference


def tensorflow_layers_name(tensorflow: Any) -> str:
    """The layers by what their time depends on: TensorFlow's version, threads and exactness."""
    config = tensorflow.config
    threads = config.threading.get_intra_op_parallelism_threads()
    exactness = config.experimental.tensor_float_32_execution_enabled()
    return f"TensorFlow {tensorflow.__version__}, {threads} threads, TF32 {exactness}"
