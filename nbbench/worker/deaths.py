"""How a process died, and what comes of the case that it ran."""

from __future__ import annotations

import contextlib
import signal
from typing import Optional

from .case import Outcome, Phase, Status


def signal_name(number: int) -> str:
    """SIGKILL for 9; the number itself for one without a name, like a real-time signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def memory_kills() -> int:
    """How many processes the system has killed for memory since it started; 0 if unknown."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as counters:
        for line in counters:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def outcome_of_death(
    who: str, code: Optional[int], phase: Optional[Phase], kills_before: int
) -> Outcome:
    """What comes of a case whose process ended without an outcome.

    ``code`` is the exit code, or below 0 a signal's number; ``kills_before`` what `memory_kills`
    gave before.
    """
    where = f" while {phase.doing}" if phase else ""
    if code is None or code >= 0:
        return Outcome(Status.CRASHED, f"{who} exited with code {code}{where}", phase)
    if -code == getattr(signal, "SIGKILL", 9) and memory_kills() > kills_before:
        reason = f"the system killed {who}{where}: the machine's memory ran out; {less(phase)}"
        return Outcome(Status.OOM, reason, phase)
    return Outcome(Status.CRASHED, f"{who} died of {signal_name(-code)}{where}", phase)


def less(phase: Optional[Phase]) -> str:
    """What to ask less of where memory ran out in this phase."""
    if phase is Phase.BUILDING:
        return "the weights alone need more than there is: take a smaller model or dtype"
    return "lower batch_sizes or sequence_lengths"
