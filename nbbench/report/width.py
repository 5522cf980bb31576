"""How wide a table may be where it is shown."""

from __future__ import annotations

import shutil
import sys
from typing import Any

_KERNEL_WIDTH = 105
"""Characters that JupyterLab shows in a line beside its side bar, in a window of 1280 pixels."""


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel (or Colab's, or VS Code's) rather than a terminal."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def output_width() -> int | None:
    """Characters in a line of what Python prints to now; None for a file or a pipe."""
    if in_notebook():
        return _KERNEL_WIDTH
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal: not what a program has put in its stead, nor a closed one."""
    isatty = getattr(stream, "isatty", None)
    try:
        return isatty is not None and bool(isatty())
    except (OSError, ValueError):
        return False
