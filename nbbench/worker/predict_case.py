"""The way of a case that is predicted: its model is built and called without memory."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Optional

from .backend import Backend, Unsupported
from .case import Case, Outcome, Phase, Status
from .deaths import less
from .exceptions import first_line
from .messages import Event, PhaseChanged
from .own_code import OwnCodeError
from .prediction import CallCount

_AROUND_S, _OPERATION_S = 0.05, 3e-4
"""About what predicting takes, and each operation of a pass in it."""

_PASSES_OF_GENERATION = 3

_UNKNOWN_S = 1e9
"""Of a case whose operations were not counted: it is predicted where that was asked for alone."""


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
            Status.OK, architecture=found.architecture, dtype=found.dtype,
            parameter_count=found.parameter_count, prediction=found,
        )  # fmt: skip
    except Unsupported as error:
        return Outcome(Status.UNSUPPORTED, str(error), Phase.PREDICTING)
    except OwnCodeError as error:
        return Outcome(Status.ERROR, str(error), Phase.PREDICTING)
    except BaseException as error:
        if backend.is_out_of_memory(error):
            reason = f"memory ran out while predicting: {first_line(error)}; {less(None)}"
            return Outcome(Status.OOM, reason, Phase.PREDICTING)
        reason = f"it cannot be predicted ({type(error).__name__}: {first_line(error)}); measure it"
        detail = traceback.format_exc()
        return Outcome(Status.UNSUPPORTED, reason, Phase.PREDICTING, detail=detail)


def expected_seconds(case: Case, count: Optional[CallCount]) -> float:
    """About how long predicting a case takes, by what one call of it was counted to do."""
    if count is None:
        return _UNKNOWN_S
    operations = float(count.operations)
    if case.new_tokens:
        operations *= _PASSES_OF_GENERATION / case.new_tokens
    return _AROUND_S + _OPERATION_S * operations
