"""The way of a case that is predicted: its model is built and called without memory."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Optional

from .backend import Backend, TooLong, Unsupported
from .case import Case, Outcome, Phase, Status
from .deaths import less
from .exceptions import first_line
from .messages import Event, PhaseChanged
from .own_code import OwnCodeError
from .prediction import ANY_S, CallCount
from .size_guess import guessed_bytes

_AROUND_S, _OPERATION_S = 0.05, 3e-4
"""About what predicting takes, and each operation of a pass in it."""

_PASSES_OF_GENERATION = 3

_GOOD_PART = 0.5
"""What part of the memory a case may be expected to need before that is predicted."""


def predict_case(backend: Backend, case: Case, emit: Callable[[Event], None]) -> Outcome:
    """Predict one case in this process; every failure comes back as an outcome."""
    try:
        emit(PhaseChanged(Phase.IMPORTING))
        backend.import_model(case)
        emit(PhaseChanged(Phase.PREDICTING))
        predict = getattr(backend, "predict", None)
        if predict is None:
            raise Unsupported(
                f"framework {case.framework} cannot be predicted; give frameworks pytorch"
            )
        found = predict(case)
        return Outcome(
            Status.OK, found.note, architecture=found.architecture, dtype=found.dtype,
            parameter_count=found.parameter_count, prediction=found,
        )  # fmt: skip
    except Unsupported as error:
        takes = error.takes if isinstance(error, TooLong) else {}
        return Outcome(Status.UNSUPPORTED, str(error), Phase.PREDICTING, takes=takes)
    except OwnCodeError as error:
        return Outcome(Status.ERROR, str(error), Phase.PREDICTING)
    except BaseException as error:
        if backend.is_out_of_memory(error):
            reason = f"memory ran out while predicting: {first_line(error)}; {less(None)}"
            return Outcome(Status.OOM, reason, Phase.PREDICTING)
        reason = f"it cannot be predicted ({type(error).__name__}: {first_line(error)}); measure it"
        detail = traceback.format_exc()
        return Outcome(Status.UNSUPPORTED, reason, Phase.PREDICTING, detail=detail)


class CannotFit(Exception):
    """A case surely needs more memory than there is; the message says how much."""


def needed_bytes(backend: Backend, case: Case, available: int) -> Optional[int]:
    """Bytes of tensors that a case needs, predicted; None where it is small, or nothing is known.

    Predicting takes a second, so that is for cases whose sizes let one expect that they may need a
    good part of what is ``available``.
    """
    sizes = getattr(backend, "sizes", None)
    if sizes is None or guessed_bytes(sizes(case), case) < _GOOD_PART * available:
        return None
    return int(backend.predict(case).call.peak)  # type: ignore[attr-defined]


def expected_seconds(case: Case, count: Optional[CallCount]) -> float:
    """About how long predicting a case takes, by what one call of it was counted to do."""
    if count is None:
        return ANY_S
    operations = float(count.operations)
    if case.new_tokens:
        operations *= _PASSES_OF_GENERATION / case.new_tokens
    return _AROUND_S + _OPERATION_S * operations
