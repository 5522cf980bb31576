"""The benchmark classes that Transformers had until 4.48, on top of nbbench.

``from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments`` is the one line to change.
Arguments, printed tables, CSV files and results are those of the original; the numbers are
nbbench's: medians instead of minima, exact peaks, and a failed case is "N/A" with its reason below.
"""

from .arguments import PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments
from .benchmark import PyTorchBenchmark, TensorFlowBenchmark
from .line_memory import Frame, Memory, MemoryState, MemorySummary
from .results import BenchmarkOutput

__all__ = [
    "BenchmarkOutput",
    "Frame",
    "Memory",
    "MemoryState",
    "MemorySummary",
    "PyTorchBenchmark",
    "PyTorchBenchmarkArguments",
    "TensorFlowBenchmark",
    "TensorFlowBenchmarkArguments",
]
