"""What goes between a front end and a worker, and the lines it travels on.

Every message is one JSON object on one line, carrying the protocol's version and its own type.
Requests go to the worker's stdin, events come from what was its stdout. The module is shared by
both sides, so it needs the standard library alone and runs on Python 3.9.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Optional, Union, get_args

from .case import Case, Outcome, Phase, Status
from .checked import checked

PROTOCOL = 2


@dataclass(frozen=True)
class RunCase:
    """Request: visit this case; ``round`` counts its visits from 0.

    A case of which ``alone`` is true gets this visit alone, which then samples until it is precise.
    """

    case: Case
    round: int = 0
    alone: bool = True


@dataclass(frozen=True)
class StopCase:
    """Request: end the running case now; the worker itself stays."""


@dataclass(frozen=True)
class WorkerReady:
    """Event: the framework is imported and the worker takes cases.

    ``facts`` holds versions and settings, never a user, a host or a path.
    """

    framework: str
    pid: int
    facts: dict[str, Any]


@dataclass(frozen=True)
class WorkerFailed:
    """Event: the worker cannot start; it exits after this."""

    status: Status
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class CaseStarted:
    """Event: a case runs in this process."""

    pid: int


@dataclass(frozen=True)
class PhaseChanged:
    """Event: the running case enters a phase."""

    phase: Phase


@dataclass(frozen=True)
class DeviceOpened:
    """Event: the running case has opened its device; a GPU by the driver's UUID ("GPU-…")."""

    gpu_uuid: str


@dataclass(frozen=True)
class SamplingProgress:
    """Event: how sampling goes; ``half_width`` is the interval's, as a fraction of the median."""

    n: int
    median_s: float
    half_width: Optional[float]


@dataclass(frozen=True)
class CaseFinished:
    """Event: the running case is over."""

    outcome: Outcome


Request = Union[RunCase, StopCase]
Event = Union[
    WorkerReady,
    WorkerFailed,
    CaseStarted,
    PhaseChanged,
    DeviceOpened,
    SamplingProgress,
    CaseFinished,
]
_TYPES: dict[str, Any] = {
    kind.__name__: kind for union in (Request, Event) for kind in get_args(union)
}


class ProtocolError(Exception):
    """A line is not a message of this protocol."""


def encode(message: Union[Request, Event]) -> bytes:
    """One message as one line."""
    content = {"v": PROTOCOL, "type": type(message).__name__, **dataclasses.asdict(message)}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Any:
    """The message on a line; ``ProtocolError`` says what is wrong with any other line."""
    try:
        content = json.loads(line)
        version, kind = content.pop("v"), _TYPES[content.pop("type")]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ProtocolError(f"a line is no message: {line[:80]!r}") from error
    if version != PROTOCOL:
        raise ProtocolError(
            f"a message is of protocol {version}, and this side speaks {PROTOCOL}; use one version "
            f"of nbbench in kernel and worker"
        )
    try:
        return checked(kind, content)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"a message {kind.__name__} is damaged: {error}") from error
