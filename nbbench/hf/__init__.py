"""The benchmark classes that Transformers had until 4.48, on top of nbbench.

``from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments`` is the one line to change.
Arguments, printed tables, CSV files and results are those of the original; the numbers are
nbbench's: medians instead of minima, exact peaks, and a failed case is "N/A" with its reason below.
What a subclass overrides is run in this process, as it was.
"""

from .arguments import (
    BenchmarkArguments,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmarkArguments,
)
from .benchmark import Benchmark, PyTorchBenchmark, TensorFlowBenchmark
from .line_memory import Frame, Memory, MemoryState, MemorySummary
from .memory_functions import (
    MemoryTrace,
    UsedMemoryState,
    measure_peak_memory_cpu,
    start_memory_tracing,
    stop_memory_tracing,
)
from .results import BenchmarkOutput

__all__ = [
    "Benchmark",
    "BenchmarkArguments",
    "BenchmarkOutput",
    "Frame",
    "Memory",
    "MemoryState",
    "MemorySummary",
    "MemoryTrace",
    "PyTorchBenchmark",
    "PyTorchBenchmarkArguments",
    "TensorFlowBenchmark",
    "TensorFlowBenchmarkArguments",
    "UsedMemoryState",
    "measure_peak_memory_cpu",
    "start_memory_tracing",
    "stop_memory_tracing",
]
