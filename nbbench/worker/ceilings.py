"""What a device can do at most, as its ceilings were measured.

Both sides of the wire use it, so the module needs the standard library alone and runs on Python
3.9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Ceilings:
    """The most that a device was seen to do in one dtype.

    ``flops_per_s`` are floating point operations in a second of matrix products, ``bytes_per_s``
    the bytes that are read and written in a second, from memory and not from caches, and
    ``operation_s`` the seconds that an operation takes which has next to nothing to do.
    ``reference_s`` is the reference kernel's shortest time meanwhile, by which the machine's speed
    is known; None where there is none.
    """

    dtype: str
    flops_per_s: float
    bytes_per_s: float
    operation_s: float
    reference_s: Optional[float] = None

    def __post_init__(self) -> None:
        known = (self.flops_per_s, self.bytes_per_s, self.operation_s, self.reference_s or 1.0)
        if not all(0 < value < math.inf for value in known):
            raise ValueError("a ceiling is no positive number")
