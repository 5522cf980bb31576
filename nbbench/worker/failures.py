"""What an exception means for the case in which it was raised: a status, and a reason."""

from __future__ import annotations

import re
import traceback
from typing import Any

from .backend import Backend, Unsupported
from .case import Case, Outcome, Phase, Status
from .deaths import less
from .exceptions import first_line, text_of
from .memory_limit import OverLimit
from .own_code import OwnCodeError, own_line
from .predict_case import CannotFit

_PIP = re.compile(r"\bpip install\b")
"""How Transformers ends a sentence about a package that it wants, of whichever type of error."""


class DeviceFailed(Exception):
    """A device cannot be used, whatever the model is; raised from the device's own error."""


def outcome_of_error(
    backend: Backend, case: Case, phase: Phase, error: BaseException, **known: Any
) -> Outcome:
    """What comes of a case in which this was raised; ``known`` is what is known of it."""
    if isinstance(error, Unsupported):
        takes = getattr(error, "takes", {})
        return Outcome(Status.UNSUPPORTED, str(error), phase, takes=takes, **known)
    if isinstance(error, OverLimit):
        reason = f"{error}; {error.hint or less_of(case, phase)}"
        return Outcome(Status.OOM, reason, phase, memory=error.memory, **known)
    if isinstance(error, CannotFit):
        return Outcome(Status.OOM, str(error), phase, **known)
    if isinstance(error, OwnCodeError):
        status, reason = Status.ERROR, str(error)
    else:
        status, reason = _explained(backend, case, phase, error)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return Outcome(status, reason, phase, detail="".join(lines), **known)


def _explained(
    backend: Backend, case: Case, phase: Phase, error: BaseException
) -> tuple[Status, str]:
    """What an exception means for its case, in a sentence."""
    if isinstance(error, DeviceFailed) and error.__cause__ is not None:
        return _of_device(backend, case, error.__cause__)
    line = first_line(error)
    if backend.is_out_of_memory(error):
        return Status.OOM, f"memory ran out while {phase.doing}: {line}; {less_of(case, phase)}"
    raised = f"{type(error).__name__}: {line}"
    own = own_line(error, case)
    if own:
        what = error.msg if isinstance(error, SyntaxError) else line
        return Status.ERROR, f"{type(error).__name__}: {what} ({own})"
    if not case.is_own and (isinstance(error, ImportError) or _PIP.search(text_of(error))):
        return Status.UNSUPPORTED, f"{case.model} needs a package that is not installed ({raised})"
    if phase is Phase.BUILDING and not case.is_own:
        return Status.ERROR, f"the model cannot be built from its configuration ({raised})"
    return Status.ERROR, raised


def _of_device(backend: Backend, case: Case, error: BaseException) -> tuple[Status, str]:
    """What it means for a case that its device cannot be used."""
    if backend.is_out_of_memory(error):
        full = f"device {case.device} has no memory left to begin with ({first_line(error)})"
        return Status.ERROR, f"{full}; end what else holds it"  # the case is not too large
    raised = f"{type(error).__name__}: {first_line(error)}"
    return Status.ERROR, f"device {case.device} cannot be used ({raised})"


def less_of(case: Case, phase: Phase) -> str:
    """What to ask less of."""
    hint = less(phase)
    if case.mode == "generation" and phase is not Phase.BUILDING:
        hint = hint.replace(" or ", ", ") + " or new_tokens"
    return hint
