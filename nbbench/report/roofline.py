"""How much of a device's ceilings a case reaches, and what bounds it.

A device that does C operations and moves B bytes in a second needs the longer of ``flops / C`` and
``moved / B`` for a call, which is its roofline (Williams, Waterman and Patterson, 2009). What
operations read and write need not come from memory, since caches hold what was used just before: a
case whose bytes move faster than memory gives them is not bound by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..plan.result import Result
from ..worker.ceilings import Ceilings
from ..worker.prediction import CallCount

COMPUTE, MEMORY, CACHES, LAUNCHES = "compute", "memory", "caches", "launches"

REPEATS_WITHIN = 1.05
"""Ceilings are known to 5 %: so far above one memory may still be what bounds."""

_MOST_ON_CPU = 0.5
"""The part of a call from which on asking for its operations is most of it."""

_MOST_ON_GPU = 0.8
"""There asking and working go on at a time: what bounds is what takes nearly all of the call."""

_GIB = 2**30

NO_CEILINGS = "no ceilings: "
"""What a reason begins with that says why they are missing."""


@dataclass(frozen=True)
class Share:
    """A call's rates, and their parts of the ceilings: of products, memory and launches."""

    count: CallCount
    flops: int
    median_s: float
    ceilings: Ceilings | None
    asking_s: float | None

    @classmethod
    def of(cls, result: Result) -> Share | None:
        """That of a result; None where nothing was counted, or nothing timed."""
        outcome = result.outcome
        count = outcome.count
        if count is None or count.flops is None or outcome.timing is None:
            return None
        return cls(count, count.flops, outcome.timing.median_s, outcome.ceilings, outcome.asking_s)

    @property
    def tflops(self) -> float:
        """10^12 floating point operations in a second."""
        return self.flops / self.median_s / 1e12

    @property
    def gib_per_s(self) -> float:
        """GiB that operations read and wrote in a second."""
        return self.count.moved / self.median_s / _GIB

    @property
    def intensity(self) -> float | None:
        """Floating point operations for each byte; None where no byte moves."""
        return self.flops / self.count.moved if self.count.moved else None

    @property
    def ceiling_tflops(self) -> float | None:
        """What the device can do."""
        return None if self.ceilings is None else self.ceilings.flops_per_s / 1e12

    @property
    def ceiling_gib_per_s(self) -> float | None:
        """What the device's memory can move."""
        return None if self.ceilings is None else self.ceilings.bytes_per_s / _GIB

    @property
    def of_ceiling(self) -> float | None:
        """The part of the roofline that is reached.

        It is the larger of both parts, and that of products alone where bytes come faster than
        memory gives them; None without ceilings, or where nothing was counted to be done.
        """
        parts = self._parts()
        if parts is None:
            return None
        of_products, of_memory = parts
        return of_products if of_memory > REPEATS_WITHIN else max(parts)

    @property
    def bound_by(self) -> str:
        """What bounds the case; empty where `of_ceiling` is None."""
        parts = self._parts()
        if parts is None:
            return ""
        of_products, of_memory = parts
        if self._is_bound_by_launches(max(of_products, min(of_memory, 1.0))):
            return LAUNCHES
        if of_memory > REPEATS_WITHIN:
            return COMPUTE if of_products >= _MOST_ON_CPU else CACHES
        return COMPUTE if of_products >= of_memory else MEMORY

    def _parts(self) -> tuple[float, float] | None:
        if self.ceilings is None or not (self.flops or self.count.moved):
            return None
        rates = self.flops / self.median_s, self.count.moved / self.median_s
        return rates[0] / self.ceilings.flops_per_s, rates[1] / self.ceilings.bytes_per_s

    def _is_bound_by_launches(self, of_roof: float) -> bool:
        """Whether asking for the operations takes most of the call, or most of what is known of."""
        if self.asking_s is not None:
            return self.asking_s >= _MOST_ON_GPU * self.median_s
        assert self.ceilings is not None  # it is asked for with them alone
        asking_s = self.count.operations * self.ceilings.operation_s
        return asking_s > min(_MOST_ON_CPU, of_roof) * self.median_s


def share_row(result: Result) -> dict[str, float | int | str | None]:
    """The columns of a result's share of the limit."""
    share = Share.of(result)
    names = ("tflops", "gib_per_s", "ceiling_tflops", "ceiling_gib_per_s", "of_ceiling")
    count = result.outcome.count
    return {
        "flops": None if count is None else count.flops,
        **{name: None if share is None else getattr(share, name) for name in names},
        "bound_by": "" if share is None else share.bound_by,
    }
