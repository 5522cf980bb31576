"""Cases that are larger than one that ran out of memory, which need not be tried."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from ..worker.case import Case, Outcome, Status

_SIZES = ("batch_size", "sequence_length", "new_tokens")


class TooLarge:
    """The cases of a run that ran out of memory."""

    def __init__(self) -> None:
        self._known: dict[Case, list[Case]] = defaultdict(list)

    def add(self, case: Case) -> None:
        """Count a case that ran out of memory."""
        self._known[_but_for_sizes(case)].append(case)

    def smaller_than(self, case: Case) -> Case | None:
        """One that ran out of memory and that a case is larger than, and else the same as."""
        if not self._known:
            return None
        sizes = _sizes(case)
        for other in self._known.get(_but_for_sizes(case), ()):
            pairs = list(zip(sizes, _sizes(other), strict=True))
            if all(a >= b for a, b in pairs) and any(a > b for a, b in pairs):
                return other
        return None


def too_large_outcome(smaller: Case) -> Outcome:
    """What comes of a case that is larger than one that ran out of memory."""
    return Outcome(
        Status.SKIPPED,
        f"not started: it is larger than {smaller.label}, which ran out of memory "
        f"(skip_larger=False, --no-skip-larger, runs it all the same)",
    )


def _sizes(case: Case) -> list[int]:
    return [getattr(case, name) or 0 for name in _SIZES]


def _but_for_sizes(case: Case) -> Case:
    """What else a case is; rows that are drawn are others in each batch."""
    return replace(case, batch_size=0, sequence_length=None, new_tokens=None, row_lengths=())
