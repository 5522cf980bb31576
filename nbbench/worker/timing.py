"""The time of a case: its visits, the GPU meanwhile, and what is drawn from them.

Both sides of the wire use these, so the module needs the standard library alone and runs on
Python 3.9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

MIN_VISITS = 3
"""The fewest visits that an interval over visits is drawn from."""

MIN_SAMPLES = 3
"""The fewest that an interval is drawn from."""


MAX_TOKEN_TIMES = 1000
"""Single times between two tokens that a visit keeps."""

THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
"""Why a driver lowers a GPU's clock, by its bits; idling, or a clock that was set, is none."""


def throttle_names(mask: int) -> tuple[str, ...]:
    """Why a GPU's clock is lowered, from the driver's bits; empty where it is not."""
    return tuple(name for bit, name in THROTTLE_REASONS.items() if mask & bit)


@dataclass(frozen=True)
class GpuState:
    """A GPU at one moment: clock in MHz, temperature in °C; None where the driver does not say.

    ``throttle`` names why its clock is lowered, and is empty where it is not.
    """

    clock_mhz: Optional[int] = None
    temperature_c: Optional[int] = None
    throttle: Optional[tuple[str, ...]] = None


_SHORTEST_S, _LONGEST_S = 1e-12, 1e12
"""What no clock measures and nobody waits for: rates and ratios of such times are no numbers."""


def _are_times(times: tuple[float, ...]) -> bool:
    return not times or (min(times) >= _SHORTEST_S and max(times) <= _LONGEST_S)


@dataclass(frozen=True)
class Visit:
    """What was sampled of a case in one process; times in seconds.

    ``round`` counts from 0 in its ``run``: visits of one round lay side by side, and those of two
    runs may lie days apart. ``samples`` are seconds per call, each taken over ``calls_per_sample``
    calls. ``references`` are the times of the device's reference kernel, taken between samples, by
    which the machine's drift is seen; ``kernel`` names that kernel with what its time depends on,
    and two of another name say nothing of each other. ``calls_s`` is the time of all calls, first
    call and warm-up included. ``peak`` is the memory's in bytes, where it was taken over these
    samples. A visit that was ``alone`` sampled until it was precise. ``gpu_before`` and
    ``gpu_after`` are the GPU's state before the first sample and after the last. ``computing`` is
    the part of the samples' time in which they work or wait for a processor, and not for anything
    else; None where that is unknown, or a GPU works.

    In generation a call makes a sequence's tokens: ``first_token`` are the seconds to the first one
    and ``per_token`` the mean seconds of each after it, both for every call that was sampled;
    ``between_tokens`` are single times from one token to the next, a thousand drawn by chance where
    there are more.

    ``compiled`` is "cold" where the first call compiled all of the model's code, and "warm" where
    it found code that an earlier visit had compiled; empty where nothing is compiled.
    ``graph_breaks`` are torch.compile's, and ``recompilations`` those that came amid the samples.
    """

    samples: tuple[float, ...]
    calls_per_sample: int = 1
    references: tuple[float, ...] = ()
    kernel: str = ""
    first_call_s: float = 0.0
    calls_s: float = 0.0
    round: int = 0
    run: str = ""
    peak: Optional[int] = None
    alone: bool = False
    gpu_before: Optional[GpuState] = None
    gpu_after: Optional[GpuState] = None
    computing: Optional[float] = None
    first_token: tuple[float, ...] = ()
    per_token: tuple[float, ...] = ()
    between_tokens: tuple[float, ...] = ()
    compiled: str = ""
    graph_breaks: Optional[int] = None
    recompilations: Optional[int] = None

    @property
    def gpu_states(self) -> tuple[GpuState, ...]:
        """What is known of the GPU, in order."""
        return tuple(state for state in (self.gpu_before, self.gpu_after) if state is not None)

    def __post_init__(self) -> None:
        of_tokens = (self.first_token, self.per_token, self.between_tokens)
        every = (self.samples, self.references, *of_tokens)
        if not self.samples or not all(map(_are_times, every)):
            raise ValueError("a visit has no samples, or one that took no time, or ages")


@dataclass(frozen=True)
class TokenTime:
    """A time of tokens in seconds: its median with the ends of the 95 % interval."""

    median_s: float
    ci_low_s: Optional[float] = None
    ci_high_s: Optional[float] = None

    def __post_init__(self) -> None:
        if not _are_times((self.median_s,)):
            raise ValueError("a time of tokens is no time")


@dataclass(frozen=True)
class TokenTimes:
    """What generation took by token, in seconds.

    ``first`` is the time to the first token (TTFT), with which the prompt is put through, and
    ``each`` the time of each token after it (TPOT); None where there is no other. p50, p90 and p99
    are of single times between two tokens: the median, and upper 95 % bounds of the other two, None
    below 29 and 299 of them.
    """

    first: TokenTime
    each: Optional[TokenTime] = None
    p50_s: Optional[float] = None
    p90_s: Optional[float] = None
    p99_s: Optional[float] = None


@dataclass(frozen=True)
class Timing:
    """The visits of one case and what is drawn from them; times in seconds.

    The interval is a 95 % one: over visits where there are three or more, for the time that another
    run would find; else over the samples of one process, for that process alone (``interval`` says
    which). ``noisy`` says that it is wider than was asked for, or unknown. ``between_s`` and
    ``within_s`` are standard deviations between visits and of the samples within one.
    ``drift`` is the fraction by which the machine was slower than its usual speed, as far as that
    was taken out of ``median_s``: 0.05 where the samples themselves are 5 % higher; None where
    nothing was taken out. p90 and p99 are upper 95 % bounds of these percentiles, None below 29 and
    299 samples. ``phases`` are the times of forward, backward and optimizer step by name, in
    generation of prefill and decode; ``tokens`` are generation's times by token.
    """

    visits: tuple[Visit, ...]
    median_s: float
    ci_low_s: Optional[float]
    ci_high_s: Optional[float]
    min_s: float
    mean_s: float
    std_s: float
    p90_s: Optional[float]
    p99_s: Optional[float]
    noisy: bool
    interval: str = "samples"
    between_s: Optional[float] = None
    within_s: Optional[float] = None
    drift: Optional[float] = None
    phases: dict[str, float] = field(default_factory=dict)
    tokens: Optional[TokenTimes] = None

    def __post_init__(self) -> None:
        if not self.visits or not _are_times((self.median_s,)):
            raise ValueError("a timing has no visits, or a median that is no time")
        low, high = self.ci_low_s, self.ci_high_s
        if low is not None and high is not None and not 0 < low <= high:
            raise ValueError("the ends of an interval are no times, or in the wrong order")

    @property
    def samples(self) -> tuple[float, ...]:
        """The samples of all visits, in order."""
        return tuple(sample for visit in self.visits for sample in visit.samples)

    @property
    def n(self) -> int:
        """How many samples there are."""
        return sum(len(visit.samples) for visit in self.visits)

    @property
    def throttle(self) -> Optional[tuple[str, ...]]:
        """Why the GPU's clock was lowered in any visit, each reason once; None where unknown."""
        states = [state for visit in self.visits for state in visit.gpu_states]
        known = [state.throttle for state in states if state.throttle is not None]
        return tuple(dict.fromkeys(reason for each in known for reason in each)) if known else None

    @property
    def throttled(self) -> Optional[bool]:
        """Whether the GPU's clock was lowered; None where that is unknown."""
        return None if self.throttle is None else bool(self.throttle)

    @property
    def recompilations(self) -> Optional[int]:
        """How often code was compiled amid the samples, over all visits; None where unknown."""
        known = [v.recompilations for v in self.visits if v.recompilations is not None]
        return sum(known) if known else None

    def compile_s(self, kind: str) -> Optional[float]:
        """How much longer the first call took than others, where it compiled; None without one.

        ``kind`` is "cold" or "warm"; of several visits the median counts.
        """
        taken = sorted(v.first_call_s - self.median_s for v in self.visits if v.compiled == kind)
        return max(taken[len(taken) // 2], 0.0) if taken else None

    @property
    def first_call_s(self) -> float:
        """The first call of the first visit."""
        return self.visits[0].first_call_s

    @property
    def calls_s(self) -> float:
        """The time of all calls of all visits."""
        return sum(visit.calls_s for visit in self.visits)
