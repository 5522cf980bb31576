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
from .cases import Case, Result, Status, expand
from .models import ModelConfig, find_here
from .plan import interpreters_of

_AROUND_S = 0.1
"""What a case takes beside building and calling."""

_UNKNOWN_COSTS_S = 5.0
"""What building and warming up a case may take before any case has shown it."""


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
    """What cases have cost that went well; finds the most similar one without looking at all.

    A case is taken to be sampled as long as the most similar one of its model, or else of all:
    longer in proportion to its tokens if it has more, and the more precise it shall be, but no
    longer than it may. Where none is known, it is taken to last as long as it may.
    """

    def __init__(self, known: Iterable[Result]) -> None:
        ended = [result for result in known if result.outcome.status is Status.OK]
        by_model: dict[str, list[Result]] = defaultdict(list)
        for result in ended:
            by_model[result.case.model].append(result)
        self._all = _BySize(ended)
        self._of_model = {model: _BySize(members) for model, members in by_model.items()}

    def expected(self, case: Case) -> float:
        """About how many seconds a case takes."""
        nearest = self._of_model.get(case.model, self._all).nearest(_size(case))
        if nearest is None:
            return case.max_time * (1.0 if case.speed else 0.0) + _UNKNOWN_COSTS_S
        outcome, timing = nearest.outcome, nearest.outcome.timing
        if timing is None or not case.speed:
            return outcome.wall_s
        larger = max(1.0, _size(case) / _size(nearest.case))
        finer = max(1.0, nearest.case.precision / case.precision) ** 2
        sampled = timing.calls_s * larger * finer
        fewest = (case.min_samples + 1) * timing.median_s * larger
        build_s = (outcome.build_s or 0.0) * len(timing.visits)
        return build_s + _AROUND_S + max(min(sampled, case.max_time), fewest)


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
    return case.batch_size * (case.sequence_length or 1)
