"""Environment variables that change time or memory, as the process has them that measures."""

from __future__ import annotations

import os
import re

_SETTINGS = (
    "ATEN_CPU_CAPABILITY",
    "BLIS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "GOTO_NUM_THREADS",
    "HIP_VISIBLE_DEVICES",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTORCH_HIP_ALLOC_CONF",
    "PYTORCH_JIT",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "PYTORCH_TUNABLEOP_ENABLED",
    "ROCR_VISIBLE_DEVICES",
    "TORCHDYNAMO_DISABLE",
    "TORCHINDUCTOR_COORDINATE_DESCENT_TUNING",
    "TORCHINDUCTOR_CPP_WRAPPER",
    "TORCHINDUCTOR_FREEZING",
    "TORCHINDUCTOR_MAX_AUTOTUNE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_COMPILE_DISABLE",
    "TORCH_CUDNN_USE_HEURISTIC_MODE_B",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCH_LINALG_PREFER_CUSOLVER",
    "TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL",
    "TF_CUDNN_DETERMINISTIC",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_DETERMINISTIC_OPS",
    "TF_DISABLE_MKL",
    "TF_ENABLE_AUTO_MIXED_PRECISION",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_GPU_ALLOCATOR",
    "TF_GPU_THREAD_COUNT",
    "TF_GPU_THREAD_MODE",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_XLA_FLAGS",
    "USE_EXPERIMENTAL_CUDNN_V8_API",
    "VECLIB_MAXIMUM_THREADS",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "ZE_AFFINITY_MASK",
)

_FAMILIES = (
    "DNNL_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_MPS_",
)  # fmt: skip
"""How the names of variables begin of which nearly all change time or memory."""

_UNTOUCHED = (
    "DNNL_VERBOSE", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "KMP_SETTINGS", "KMP_VERSION",
    "KMP_WARNINGS", "MKL_VERBOSE", "OMP_DISPLAY_AFFINITY", "OMP_DISPLAY_ENV", "ONEDNN_VERBOSE",
    "OPENBLAS_MAIN_FREE", "OPENBLAS_VERBOSE",
)  # fmt: skip
"""Variables of these that change neither time nor memory: most of them change what is printed.

Older versions of NumPy have OPENBLAS_MAIN_FREE set while they are imported: a worker that another
thread starts meanwhile has it, too (until https://github.com/numpy/numpy/pull/30637).
"""


def describe_variables() -> dict[str, str]:
    """``settings``, the variables with their values, and ``preloaded``, files without folders.

    A value has of a path what comes last, too. An empty variable counts: an empty
    CUDA_VISIBLE_DEVICES hides every GPU.
    """
    preloaded = re.split("[ :]", os.environ.get("LD_PRELOAD", ""))
    return {
        "settings": ", ".join(
            f"{name}={_without_folders(value)}"
            for name, value in sorted(os.environ.items())
            if _counts(name)
        ),
        "preloaded": ", ".join(map(os.path.basename, preloaded)),
    }


def _counts(name: str) -> bool:
    """Whether a variable changes time or memory."""
    return name in _SETTINGS or (name.startswith(_FAMILIES) and name not in _UNTOUCHED)


def _without_folders(value: str) -> str:
    return re.sub(r"""(?:(?<=[\s=,:;"'])|^)(?:~|[A-Za-z]:)?[/\\][^\s=,:;"']*[/\\]""", "", value)
