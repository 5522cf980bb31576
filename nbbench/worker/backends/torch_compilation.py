"""What torch.compile does to a model: its options, where it keeps code, and what it counts."""

from __future__ import annotations

import os
from typing import Any

from ..backend import Unsupported
from ..case import Case

_CACHE = "TORCHINDUCTOR_CACHE_DIR"

_MODES_WITH_GRAPHS = ("reduce-overhead", "max-autotune")


def keep_compiled_in(folder: str) -> None:
    """Have this process keep compiled code in this folder, and find it there."""
    os.environ[_CACHE] = folder


def compiled(torch: Any, model: Any, case: Case) -> Any:
    """The model as `torch.compile` makes it, which compiles in the first call.

    Raises `Unsupported` for a backend that this PyTorch has not.
    """
    backend, known = case.compile_backend or "inductor", torch._dynamo.list_backends()
    if backend not in torch._dynamo.list_backends(exclude_tags=()):  # those for debugging, too
        raise Unsupported(
            f"compile_backend {backend} is not one that PyTorch {torch.__version__} has here; give "
            f"one of {', '.join(known)}"
        )
    options: dict[str, Any] = {"backend": backend, "dynamic": case.compile_dynamic}
    if case.compile_mode not in ("", "default"):
        options["mode"] = case.compile_mode
    return torch.compile(model, **options)


def captures_graphs(case: Case, device: str) -> bool:
    """Whether a case's calls on a device of this type are captured as CUDA graphs.

    What one replay of a graph gives out, the next one writes over.
    """
    if case.execution != "compile" or device != "cuda":
        return False
    return case.compile_mode in _MODES_WITH_GRAPHS or case.compile_backend == "cudagraphs"


class Compilation:
    """Counts what was compiled: graph breaks in all, and recompilations since `begin_sampling`."""

    def __init__(self, torch: Any) -> None:
        self._counters = torch._dynamo.utils.counters
        self._graphs = 0

    def begin_sampling(self) -> None:
        """What is compiled from now on is compiled in samples."""
        self._graphs = self._compiled()

    @property
    def graph_breaks(self) -> int:
        """How often a graph ended where its code could not be put into one."""
        return int(sum(self._counters["graph_break"].values()))

    @property
    def recompilations(self) -> int:
        """How many graphs were compiled since sampling began; each took its time from a sample."""
        return self._compiled() - self._graphs

    def _compiled(self) -> int:
        return int(self._counters["stats"]["unique_graphs"])
