"""A mode of PyTorch in which something else runs its operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def dispatch_mode(run: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]) -> Any:
    """A mode in which every operation is given to ``run``, with its arguments."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[misc]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # nothing is compiled, and each operation would ask

        def __torch_dispatch__(
            self, operation: Any, types: Any, arguments: Any = (), named: Any = None
        ) -> Any:
            return run(operation, arguments, named or {})

    return Mode()
