"""GPUs and forks under PyTorch: what begins CUDA in a process takes it from all forks of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ASKS_THE_DRIVER = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def gpus_left_alone() -> Iterator[None]:
    """Have PyTorch look for GPUs without beginning CUDA, as far as it can.

    Modules of torchao and of Transformers ask ``torch.cuda.is_available()`` as they are imported.
    """
    before = os.environ.get(_ASKS_THE_DRIVER)
    os.environ[_ASKS_THE_DRIVER] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ASKS_THE_DRIVER]
        else:
            os.environ[_ASKS_THE_DRIVER] = before


def has_lost_gpus(torch: Any) -> bool:
    """Whether this process is a fork of one that had begun with GPUs, which it cannot use now.

    Where there is no GPU nothing is lost.
    """
    for kind in ("cuda", "xpu"):
        gpus = getattr(torch, kind, None)
        is_lost = getattr(gpus, "_is_in_bad_fork", None)
        if gpus is not None and is_lost is not None and is_lost() and gpus.is_available():
            return True
    return False
