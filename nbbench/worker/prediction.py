"""What a call does and holds by its tensors alone: counted in a run, or predicted before one.

Both sides of the wire use these, so the module needs the standard library alone and runs on
Python 3.9.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Optional

ANY_S = sys.float_info.max
"""Seconds that a prediction may take that was asked for: a message has no infinite ones."""


@dataclass(frozen=True)
class CallCount:
    """What one call does, counted on its tensors.

    ``peak`` is the most bytes of tensors that were there at a time, weights and inputs included;
    ``operations`` how many operations the framework was asked for, views not counted; ``flops``
    those of floating point in matrix products, convolutions and attention, where a multiplication
    and an addition are two, None where not all of those are known; ``moved`` the bytes that
    operations read and wrote; ``read`` those of weights and inputs that products read, each once in
    a pass, which no machine can do without.
    """

    peak: int
    operations: int
    flops: Optional[int]
    moved: int
    read: int


@dataclass(frozen=True)
class Prediction:
    """What a case will hold, in bytes, from the model's own code on tensors without memory.

    ``weights`` are parameters and buffers, ``gradients`` those of a whole training step,
    ``optimizer`` the optimizer's state, ``cache`` what keeps keys and values in the end,
    ``activations`` the most that is there beside these and the inputs. The parts need not be
    there at the same time: ``call.peak`` is the most of all together, reached in ``peak_phase``
    by ``peak_operation``. ``architecture`` is the model's class, ``dtype`` what its weights are of,
    ``note`` what was assumed, if anything was, and ``seconds`` how long predicting took.
    """

    call: CallCount
    weights: int
    inputs: int
    activations: int
    parameter_count: int
    architecture: str = ""
    dtype: str = ""
    peak_phase: str = ""
    peak_operation: str = ""
    gradients: Optional[int] = None
    optimizer: Optional[int] = None
    cache: Optional[int] = None
    note: str = ""
    seconds: float = 0.0
