"""What has become of a task that Ray has lost, as a person would put it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...text import error_text, one_line, shortened
from ...worker.case import Phase, Status

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"\bip=([^\s,)]+)")
_MISSING = re.compile(r"No module named '(nbbench[\w.]*)'")
_VERSION = re.compile(r"nbbench[./]")


@dataclass(frozen=True)
class Loss:
    """Why a task is lost, as the clause of a sentence, and the status of cases that end by it."""

    reason: str
    status: Status = Status.CRASHED

    @property
    def phase(self) -> Phase | None:
        """Where cases end by it that were never begun; which phase others were in is not known."""
        return Phase.STARTING if self.status is Status.ERROR else None


def loss_of(error: BaseException, node: str) -> Loss:
    """What an error of Ray's means for a task on a node, "" where it was on none yet."""
    kind = next((k for k in _KINDS if _is_a(error, k)), "")
    if kind:
        return Loss(_KINDS[kind].format(node=node or "a node"))
    if _is_a(error, "RayTaskError"):
        return _failed_task(error, node)
    return Loss(f"Ray has lost the task on {node or 'a node'} ({error_text(error)})")


_KINDS = {
    "NodeDiedError": "{node} is gone",
    "LocalRayletDiedError": "Ray has ended on this node",
    "OutOfMemoryError": "Ray ended its process on {node}, whose memory was nearly full",
    "WorkerCrashedError": "the process of Ray on {node} died",
    "TaskUnschedulableError": "Ray found no node for it",
    "RuntimeEnvSetupError": "Ray could not make the runtime environment on {node}",
}
"""Names of Ray's errors, which has more of them in newer versions."""


def _is_a(error: BaseException, name: str) -> bool:
    return any(kind.__name__ == name for kind in type(error).__mro__)


def _failed_task(error: Any, node: str) -> Loss:
    """Of a task that raised before or beside its cases: nbbench catches all that those raise."""
    text = _ANSI.sub("", str(error))
    address = _ADDRESS.search(text)
    where = f"node {address[1]}" if address else node or "a node"
    missing = _MISSING.search(text)
    if missing and missing[1] == "nbbench":
        reason = f"{where} has no nbbench; install it there, in the Python that Ray runs in"
        return Loss(reason, Status.ERROR)
    last = one_line(text.strip().rpartition("\n")[2])
    if missing or ("deserialize" in text and _VERSION.search(text)):
        reason = (
            f"{where} has another version of nbbench ({shortened(last, 200)}); install this one"
        )
        return Loss(reason, Status.ERROR)
    return Loss(f"the task on {where} failed ({shortened(last, 200)})")
