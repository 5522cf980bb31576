"""Cases that are predicted: before a run, or beside it where that costs little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..report.environment import EnvironmentKey
from ..worker.case import Case, Outcome, Phase, Status
from ..worker.prediction import ANY_S
from .events import CaseEnded, Event
from .supervise import Supervisor

_USUAL_S = 1.0
"""What all predictions of a run may take together, where nobody has asked for them."""


_NOT_PREDICTED = (
    "tensorflow", "keras", "keras-jax", "keras-torch", "onnxruntime", "openvino",
)  # fmt: skip
"""Frameworks of which it is known, before an environment is made for them."""


def can_be_predicted(case: Case) -> bool:
    """Whether a case's framework may be one that is predicted; backends of others say so."""
    return case.framework not in _NOT_PREDICTED


def refused_predictions(cases: Sequence[Case]) -> Iterator[Event]:
    """Yield the end of each case whose framework is not predicted."""
    for case in cases:
        if not can_be_predicted(case):
            reason = f"framework {case.framework} cannot be predicted; give frameworks pytorch"
            yield CaseEnded(case, Outcome(Status.UNSUPPORTED, reason, Phase.PREDICTING))


def run_predictions(
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    """Yield the events of predicting each case, and its end."""
    for case in cases:
        supervisor = supervisors[case.framework, case.environment]
        outcome = Outcome.skipped()
        if not cancelled():
            outcome = yield from supervisor.predict(case)
        yield CaseEnded(case, outcome, supervisor.facts)


def seconds_to_predict(asked: bool | None, count: int) -> float:
    """The most seconds that predicting each of so many cases may take beside their run."""
    if asked is None:
        return _USUAL_S / max(count, 1)
    return ANY_S if asked else 0.0
