"""About how long cases will take, from what is known of similar ones."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from itertools import zip_longest

from ..arguments.schema import BenchmarkArguments
from ..errors import ModelNotFound
from ..worker.case import Case, Outcome, Status
from ..worker.timing import MIN_VISITS
from .cases import expand
from .models import ModelConfig, find_here
from .plan import interpreters_of
from .result import Result

_UNKNOWN_COSTS_S = 2.0
"""What building and warming up a case may take in each visit before any case has shown it."""

USUAL_VISITS = 5
"""How many visits a case gets of which nothing else is known."""

_MAX_VISITS = 30
"""As in `nbbench.execution.rounds`."""


def estimate(arguments: BenchmarkArguments, known: Iterable[Result]) -> tuple[int, float]:
    """How many cases arguments make, and about how many seconds they take.

    Asks no hub: a model that is not known here is taken to have a length. The seconds are those of
    similar cases among the ``known``, or else the most that they may take.
    """
    models = []
    for name, config in zip_longest(arguments.model_names(), arguments.configs):
        with suppress(ModelNotFound):
            found = ModelConfig(name, config, "given") if config else find_here(name)
            models.append(found or ModelConfig(name))
    cases = expand(arguments, models, list(interpreters_of(arguments)))
    return len(cases), expected_seconds(cases, known)


def expected_seconds(cases: Iterable[Case], known: Iterable[Result]) -> float:
    """An estimate of how long cases will take, from results that are known."""
    costs = KnownCosts(known)
    return sum(costs.expected(case) for case in cases)


class KnownCosts:
    """What cases have cost; finds the same or the most similar one without looking at all.

    A case that was measured before takes as long again, all its visits and what is around their
    calls included, but not the start of its framework. Another one takes what the most similar one
    of its model took, or else of all: longer in proportion to its tokens, or to those that it makes
    one by one, if it has more, with more visits if it shall be more precise, but no longer than it
    may. Where none is known, it is taken to last as long as it may. Cases that are not timed but
    predicted have costs of their own, among which ``known`` are to be.
    """

    def __init__(self, known: Iterable[Result], is_timed: bool = True) -> None:
        self._is_timed = is_timed
        ended = [r for r in known if r.outcome.status not in (Status.CANCELLED, Status.SKIPPED)]
        self._same = {result.case: result for result in ended if _is_whole(result)}
        groups: dict[object, list[Result]] = defaultdict(list)
        for result in ended:
            if result.outcome.status is Status.OK:
                for kind in _kinds(result.case):
                    groups[kind].append(result)
        self._groups = {kind: _BySize(results) for kind, results in groups.items()}

    def expected(self, case: Case) -> float:
        """About how many seconds a case takes."""
        same = self._same.get(case)
        if same is not None:
            return _cost(same.outcome)
        group = next((self._groups[k] for k in _kinds(case) if k in self._groups), None)
        nearest = None if group is None else group.nearest(_size(case))
        if nearest is None:
            is_timed = case.speed and self._is_timed
            visits = (case.rounds or USUAL_VISITS) if is_timed else 1
            return case.max_time * (1.0 if is_timed else 0.0) + visits * _UNKNOWN_COSTS_S
        return _cost_like(nearest, case)

    def left(self, case: Case, outcome: Outcome) -> float:
        """About how many seconds are left of a case that was visited, with what came of that."""
        visits, same = _visits(outcome), self._same.get(case)
        whole = (case.rounds or USUAL_VISITS) if same is None else _visits(same.outcome)
        return _cost(outcome) / visits * max(whole - visits, 1)


def _kinds(case: Case) -> tuple[object, ...]:
    """Which cases are like it: from those that differ in size alone to all."""
    alike = (
        case.framework, case.mode, case.execution, case.dtype, case.attention, case.device,
        case.quantization, case.compile_mode, case.cache, case.parallel, case.ranks, case.optimizer,
    )  # fmt: skip
    return (case.model, case.environment, *alike), (case.model, case.mode), case.model, None


def _visits(outcome: Outcome) -> int:
    return 1 if outcome.timing is None else len(outcome.timing.visits)


def _cost(outcome: Outcome) -> float:
    """Seconds that a case took, without the start of its framework."""
    return max(outcome.wall_s - outcome.start_s, 0.0)


def _is_whole(result: Result) -> bool:
    """Whether a case has had all its visits: one that was cancelled has ended with fewer."""
    timing = result.outcome.timing
    if timing is None or timing.visits[0].alone:
        return True
    return len(timing.visits) >= (result.case.rounds or MIN_VISITS)


def _cost_like(known: Result, case: Case) -> float:
    """About how many seconds a case takes, by what a similar one took."""
    timing = known.outcome.timing
    if timing is None or not case.speed:
        return _cost(known.outcome)
    visits = len(timing.visits)
    larger = max(
        1.0,
        _tokens(case) / _tokens(known.case),
        (case.new_tokens or 1) / (known.case.new_tokens or 1),
    )
    finer = max(1.0, known.case.precision / case.precision) ** 2
    around_s = max(_cost(known.outcome) - timing.calls_s, 0.0) / visits
    calls_s = timing.calls_s / visits * larger
    if case.rounds == 1 or timing.visits[0].alone or MIN_VISITS * calls_s > 2 * case.max_time:
        fewest_s = (case.min_samples + 1) * timing.median_s * larger
        return around_s + max(min(timing.calls_s * larger * finer, case.max_time), fewest_s)
    if case.rounds is not None:
        return case.rounds * (around_s + calls_s)
    by_itself = known.case.rounds is None and _is_whole(known)
    wanted = (visits if by_itself else USUAL_VISITS) * finer
    affordable = max(case.max_time / max(calls_s, 1e-9), MIN_VISITS)
    return min(wanted, affordable, _MAX_VISITS) * (around_s + calls_s)


class _BySize:
    """Results in the order of their sizes."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = sorted(results, key=lambda result: _size(result.case))
        self._sizes = [_size(result.case) for result in self._results]

    def nearest(self, size: int) -> Result | None:
        """The result whose size is the nearest by its ratio; None where there is none."""
        above = bisect_left(self._sizes, size)
        near = self._results[max(above - 1, 0) : above + 1]
        return min(near, key=lambda r: abs(math.log(_size(r.case) / size)), default=None)


def _size(case: Case) -> int:
    return _tokens(case) * (case.new_tokens or 1)


def _tokens(case: Case) -> int:
    return case.batch_size * (case.sequence_length or 1)
