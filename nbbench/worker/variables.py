"""Environment variables that change time or memory, as the process has them that measures."""

from __future__ import annotations

import os
import re

_SETTINGS = (
    "CUDA_VISIBLE_DEVICES",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TF_GPU_ALLOCATOR",
)


def describe_variables() -> dict[str, str]:
    """``settings``, the variables with their values, and ``preloaded``, files without folders.

    An empty variable counts: an empty CUDA_VISIBLE_DEVICES hides every GPU.
    """
    preloaded = re.split("[ :]", os.environ.get("LD_PRELOAD", ""))
    return {
        "settings": ", ".join(
            f"{name}={os.environ[name]}" for name in _SETTINGS if name in os.environ
        ),
        "preloaded": ", ".join(map(os.path.basename, preloaded)),
    }
