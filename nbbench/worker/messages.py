"""What goes between a front end and a worker, and the lines it travels on.

Every message is one JSON object on one line, carrying the protocol's version and its own type.
Requests go to the worker's stdin, events come from what was its stdout. The module is shared by
both sides, so it needs the standard library alone and runs on Python 3.9.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional, Union, get_args

from .case import Case, Outcome, Phase, Status
from .checked import checked

PROTOCOL = 3

MAX_MESSAGE_BYTES = 256 << 20
"""Longer than any that a case can mean: a thousand samples are 20 kB."""


@dataclass(frozen=True)
class RunCase:
    """Request: visit this case; ``round`` counts its visits from 0.

    A case of which ``alone`` is true gets this visit alone, which then samples until it is precise.
    ``compiled_folder`` is where its visits keep what they compile, empty before the first; with ""
    it is kept where the framework does by itself. The case is predicted, too, where that is
    expected to take no more than ``predict_s``. On the CPU one that surely needs more than the
    bytes of ``available`` is refused. A ``trial`` is for the memory alone, in few calls.
    """

    case: Case
    round: int = 0
    alone: bool = True
    compiled_folder: str = ""
    predict_s: float = 0.0
    available: Optional[int] = None
    trial: bool = False


@dataclass(frozen=True)
class PredictCase:
    """Request: predict what this case will hold and do, without its memory."""

    case: Case


@dataclass(frozen=True)
class MeasureCeilings:
    """Request: measure what this case's device can do at most, in the dtype that it runs in."""

    case: Case
    dtype: str


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
class CaseMeasured:
    """Event: the running case has this outcome, whatever becomes of its prediction."""

    outcome: Outcome


@dataclass(frozen=True)
class CaseFinished:
    """Event: the running case is over."""

    outcome: Outcome


OfOneCase = Union[RunCase, PredictCase, MeasureCeilings]
"""Requests that a worker answers with `CaseFinished`."""
Request = Union[OfOneCase, StopCase]
OfCase = Union[PhaseChanged, DeviceOpened, SamplingProgress, CaseMeasured, CaseFinished]
"""Events that the process of a case may send to its server."""
Event = Union[WorkerReady, WorkerFailed, CaseStarted, OfCase]


class ProtocolError(Exception):
    """A line is not a message of this protocol."""


def encode(message: Union[Request, Event]) -> bytes:
    """One message as one line."""
    content = {"v": PROTOCOL, "type": type(message).__name__, **dataclasses.asdict(message)}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes, expected: Any) -> Any:
    """The message on a line, one of the union ``expected``.

    ``ProtocolError`` says what is wrong with any other line.
    """
    try:
        content = json.loads(line)
        version, name = content.pop("v"), content.pop("type")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ProtocolError(f"a line is no message: {line[:80]!r}") from None
    if version != PROTOCOL:
        raise ProtocolError(
            f"a message is of protocol {repr(version)[:20]}, and this side speaks {PROTOCOL}; "
            f"restart the kernel, as after every change of nbbench's version"
        )
    kinds = {kind.__name__: kind for kind in get_args(expected)}
    if not (isinstance(name, str) and name in kinds):
        raise ProtocolError(f"a message {str(name)[:40]!r} is not expected at this end")
    try:
        return checked(kinds[name], content)
    except (ValueError, TypeError, RecursionError) as error:
        problem = " ".join(str(error).split())[
            :300
        ]  # it quotes names, which may hold any character
        raise ProtocolError(f"a message {name} is damaged: {problem}") from None


class Lines:
    """Whole lines from pieces as they come; a long line costs as much a byte as a short one."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece; `ProtocolError` if one grows beyond all bounds."""
        *whole, rest = piece.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._begun, whole[0]])
            self._begun, self._size = [], 0
        self._begun.append(rest)
        self._size += len(rest)
        if self._size > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a message is longer than {MAX_MESSAGE_BYTES >> 20} MiB")
        return whole


def write_all(stream: BinaryIO, content: bytes) -> None:
    """Write to an unbuffered stream, which may take a part at a time."""
    left = memoryview(content)
    while left:
        left = left[os.write(stream.fileno(), left) :]
