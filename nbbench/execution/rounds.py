"""Rounds: every case of a sweep is visited again and again, until its time is known.

A visit is a process of its own in which a case is sampled. A round visits every case that needs it
once, in shuffled order, so that the visits of one case lie apart and those of two cases side by
side: what the machine does meanwhile then costs no case more than another, and two cases are
compared visit by visit.

A case gets visits until the interval over them is as narrow as asked, or as visits can make it, at
least five; until its calls have taken ``max_time``, but then at least three; or thirty. One of
which three visits would take longer than ``max_time`` before their first sample has one visit
alone, and the interval over its samples.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..machine.available import available_memory
from ..machine.reference_level import keep_levels, level_key, read_levels
from ..plan.result import Result
from ..report.differences import differences_from
from ..report.environment import EnvironmentKey
from ..report.ratios import LOOKS
from ..report.verdict import Verdict
from ..report.visits import is_beyond_visits, summarize_visits
from ..worker.case import Case, Outcome, Status
from ..worker.memory_profile import MemoryProfile
from ..worker.timing import MIN_VISITS, Visit
from .ceilings import CeilingsOfRun
from .events import CaseEnded, CaseVisited, Event
from .supervise import Supervisor
from .too_large import TooLarge, too_large_outcome

MIN_VISITS_FOR_PRECISION = 5
MAX_VISITS = 30

_RUN_DIGITS = 12
"""Hexadecimal digits that tell a run from every other."""


@dataclass
class _Visited:
    """A case with the outcomes of its visits so far: of ``before`` of them in an earlier run."""

    case: Case
    supervisor: Supervisor
    outcomes: list[Outcome] = field(default_factory=list)
    merged: Outcome | None = None
    ended: bool = False
    before: int = 0

    @classmethod
    def of(cls, case: Case, supervisor: Supervisor, so_far: Outcome | None) -> _Visited:
        """A case, with what its visits have measured in an earlier run that did not end."""
        if so_far is None:
            return cls(case, supervisor)
        made = cls(case, supervisor, [so_far], so_far)
        made.before = len(made.visits)
        return made

    @property
    def visits(self) -> list[Visit]:
        """The visits in which it was timed."""
        timings = [outcome.timing for outcome in self.outcomes if outcome.timing is not None]
        return [visit for timing in timings for visit in timing.visits]

    @property
    def alone(self) -> bool:
        """Whether one visit is all that it gets."""
        return _is_alone(self.case, self.supervisor.own_process)

    @property
    def is_precise(self) -> bool:
        """Whether its interval is as narrow as asked, or as visits can make it."""
        return _is_precise(self.case, self.merged)

    @property
    def is_exhausted(self) -> bool:
        """Whether it gets no more visits, precise or not."""
        return self.alone or _is_exhausted(self.case, self.merged)

    def add(self, outcome: Outcome, run: str, number: int, levels: Mapping[str, float]) -> Outcome:
        """Count a visit that went well, in a round of a run; the outcome of all so far."""
        self.outcomes.append(_in_round(outcome, run, number))
        self.merged = _merged(self.case, self.outcomes, self.visits, levels.get(self.key))
        return self.merged

    def end(self, otherwise: Outcome | None = None) -> CaseEnded:
        """End with what was measured, or ``otherwise`` where nothing was."""
        self.ended = True
        outcome = self.merged or otherwise or Outcome.skipped()
        return CaseEnded(self.case, outcome, self.supervisor.facts)

    def fail(self, outcome: Outcome) -> CaseEnded:
        """End with a failure, whatever visits before it have measured."""
        self.ended, self.merged = True, None
        if self.outcomes:
            count = max(len(self.outcomes), len(self.visits))
            before = f"in visit {count + 1}, after {count} that went well"
            wall_s = sum(each.wall_s for each in (*self.outcomes, outcome))
            outcome = replace(outcome, reason=f"{outcome.reason} ({before})", wall_s=wall_s)
        return CaseEnded(self.case, outcome, self.supervisor.facts)

    @property
    def key(self) -> str:
        """What the reference kernel's level depends on."""
        first = self.outcomes[0] if self.outcomes else None
        timing = None if first is None else first.timing
        return level_key(self.device_key(first), "" if timing is None else timing.visits[0].kernel)

    def device_key(self, first: Outcome | None) -> str:
        """A key for the device and what it is used by, where ``first`` is its first outcome."""
        facts = self.supervisor.facts
        values = {} if facts is None else facts.values
        device = "" if first is None else first.device
        gpu = None if facts is None or device == "cpu" else facts.gpu.gpu
        threads = self.case.threads or values.get("threads")
        return level_key(
            self.supervisor.processor, gpu, device, threads, self.case.framework,
            values.get("framework_version"), values.get("settings"),
        )  # fmt: skip


def run_rounds(
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    baseline: str | None,
    predict_s: float = 0.0,
    ceilings: bool = False,
    skip_larger: bool = False,
    so_far: Mapping[Case, Outcome] = MappingProxyType({}),
    out_of_memory: Sequence[Case] = (),
) -> Iterator[Event]:
    """Yield the events of every visit, and the end of every case.

    With a ``baseline`` visits go on until it is sure how each case differs from its own, as far as
    ``max_time`` allows. Once ``cancelled()`` is true the running visit is dropped; cases that were
    visited end with what was measured, and the others as ``skipped``. Cases that can be predicted
    in ``predict_s`` are, and with ``ceilings`` what their devices can do is measured, too. With
    ``skip_larger`` cases are not begun that are larger than one that ran out of memory, and else
    the same; those that an earlier run found so are ``out_of_memory``. ``so_far`` has what visits
    of it have measured, which others follow.
    """
    known = [
        _Visited.of(case, supervisors[case.framework, case.environment], so_far.get(case))
        for case in cases
    ]
    active, levels, run = list(known), read_levels(), uuid.uuid4().hex[:_RUN_DIGITS]
    order = random.Random(cases[0].seed if cases else 0)
    of_run, too_large = CeilingsOfRun() if ceilings else None, TooLarge()
    for case in out_of_memory if skip_larger else ():
        too_large.add(case)
    number, unsure = 0, set() if baseline is None else set(cases)
    while active:
        for visited in active:
            is_new = number == 0 and visited.merged is None
            smaller = too_large.smaller_than(visited.case) if is_new else None
            if smaller is not None and not cancelled():
                yield visited.end(too_large_outcome(smaller))
                continue
            outcome = yield from _visit(
                visited, run, number, levels, baseline is None, predict_s, of_run, cancelled
            )
            if skip_larger and outcome.status is Status.OOM:
                too_large.add(visited.case)
        active = [visited for visited in active if not visited.ended]
        number += 1
        if number in LOOKS:
            unsure = _unsure(known, baseline)
        for visited in active:
            if visited.is_exhausted or (visited.is_precise and visited.case not in unsure):
                yield visited.end()
        active = [visited for visited in active if not visited.ended]
        order.shuffle(active)
    keep_levels(_levels_of(known, run))


def _unsure(known: Sequence[_Visited], baseline: str | None) -> set[Case]:
    """The cases of which more visits could say how they differ from the baseline's."""
    results = [Result(v.case, v.merged) for v in known if v.merged is not None]
    differences = differences_from(results, baseline)
    if differences is None:
        return set()
    exhausted = {visited.case for visited in known if visited.is_exhausted}
    pairs = [(d.case, d.other) for d in differences.each if d.verdict is Verdict.UNSURE]
    return {case for pair in pairs if not exhausted & set(pair) for case in pair}


def _visit(
    visited: _Visited,
    run: str,
    round_number: int,
    levels: Mapping[str, float],
    by_itself: bool,
    predict_s: float,
    ceilings: CeilingsOfRun | None,
    cancelled: Callable[[], bool],
) -> Generator[Event, None, Outcome]:
    """One visit of a case, and its end if that was the last; ``by_itself``: nothing is compared.

    Its number counts the visits of an earlier run, too, which the first round then follows.
    """
    case, number = visited.case, visited.before + round_number
    if cancelled():
        yield visited.end(Outcome.skipped())
        return Outcome.skipped()
    available = None if number else available_bytes(case)
    outcome = yield from visited.supervisor.visit(case, number, visited.alone, predict_s, available)
    if outcome.status is Status.OK:
        if ceilings is not None and number == 0:
            key = visited.device_key(outcome)
            outcome = yield from ceilings.of(case, outcome, key, visited.supervisor)
        merged = visited.add(outcome, run, round_number, levels)
        if visited.is_exhausted or (visited.is_precise and by_itself):
            yield visited.end()
        else:
            yield CaseVisited(case, merged, visited.supervisor.facts)
    elif outcome.status is Status.CANCELLED:
        yield visited.end(outcome)
    else:
        yield visited.fail(outcome)
    return outcome


def is_measured(case: Case, outcome: Outcome, *, own_process: bool) -> bool:
    """Whether an outcome is all that a run comes to, rather than what it had until it was ended.

    ``own_process`` says whether visits are processes of their own.
    """
    if outcome.status is not Status.OK or _is_alone(case, own_process):
        return True
    return _is_exhausted(case, outcome) or _is_precise(case, outcome)


def _is_alone(case: Case, own_process: bool) -> bool:
    return case.rounds == 1 or not case.speed or not own_process


def _is_precise(case: Case, merged: Outcome | None) -> bool:
    timing = None if merged is None else merged.timing
    if timing is None or case.rounds is not None:
        return False
    if len(timing.visits) < MIN_VISITS_FOR_PRECISION:
        return False
    return not timing.noisy or is_beyond_visits(timing, case.precision)


def _is_exhausted(case: Case, merged: Outcome | None) -> bool:
    timing = None if merged is None else merged.timing
    if timing is None or any(visit.alone for visit in timing.visits):
        return True
    count = len(timing.visits)
    if case.rounds is not None:
        return count >= case.rounds
    another = timing.calls_s * (1 + 1 / count)
    return (count >= MIN_VISITS and another > case.max_time) or count >= MAX_VISITS


def available_bytes(case: Case) -> int:
    """What a case may take on the CPU: no more than there is, nor than its limit."""
    available = available_memory()
    return available if case.memory_limit is None else min(available, case.memory_limit)


def _merged(
    case: Case, outcomes: Sequence[Outcome], visits: Sequence[Visit], level: float | None
) -> Outcome:
    """What the visits of a case came to, as one outcome."""
    first = outcomes[0]
    wall_s = sum(outcome.wall_s for outcome in outcomes)
    merged = replace(first, wall_s=wall_s, start_s=sum(outcome.start_s for outcome in outcomes))
    if first.timing is None or len(outcomes) == 1:
        return merged
    timing = summarize_visits(visits, case.precision, level)
    timing = replace(timing, phases=first.timing.phases)
    return replace(merged, timing=timing, memory=_typical_memory(outcomes))


def _typical_memory(outcomes: Sequence[Outcome]) -> MemoryProfile | None:
    """The profile of the visit with the median peak, with the first one's phases."""
    first = outcomes[0].memory
    profiles = [outcome.memory for outcome in outcomes if outcome.memory is not None]
    with_peak = [profile for profile in profiles if profile.peak is not None]
    if first is None or not with_peak:
        return first
    typical = sorted(with_peak, key=lambda profile: profile.peak or 0)[(len(with_peak) - 1) // 2]
    peak = max([typical.peak or 0, *first.phases.values()])
    above = peak - (typical.peak or 0)
    activations = None if typical.activations is None else typical.activations + above
    return replace(
        typical, peak=peak, activations=activations, phases=first.phases,
        gradients=first.gradients, cache=first.cache, loading=first.loading,
    )  # fmt: skip


def _in_round(outcome: Outcome, run: str, number: int) -> Outcome:
    """The outcome of a visit that knows with which others it is compared."""
    timing = outcome.timing
    if timing is None:
        return outcome
    visits = tuple(replace(visit, run=run, round=number) for visit in timing.visits)
    return replace(outcome, timing=replace(timing, visits=visits))


def _levels_of(known: Sequence[_Visited], run: str) -> dict[str, float]:
    """The reference's median over all visits of this run, for each key."""
    times: dict[str, list[float]] = {}
    for visited in known:
        for visit in visited.visits:
            if visit.run == run:
                times.setdefault(visited.key, []).extend(visit.references)
    return {key: sorted(found)[len(found) // 2] for key, found in times.items() if found}
