"""The implementations of the contract `nbbench.worker.backend`; entry points name them.

The contract itself stood here until 0.1; its names still come from here, with a warning.
"""

from __future__ import annotations

import warnings
from typing import Any

from .. import backend as _contract

_MOVED = ("Backend", "Device", "Model", "Unsupported", "library_of", "refuse_tpu")


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"{__name__}.{name} is now nbbench.worker.backend.{name}",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(_contract, name)
