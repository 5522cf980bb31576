"""What is known of a result's quantities: a value, and the interval that it surely lies in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..plan.result import Result
from ..worker.timing import Timing, TokenTime
from .verdict import MEMORY_CHANCE_BYTES, PROCESSES_DIFFER


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; both ends are the value where it is known exactly."""

    value: float
    low: float
    high: float

    def meets(self, other: Estimate) -> bool:
        """Whether the intervals have a point in common, so that neither is surely less."""
        return self.low <= other.high and other.low <= self.high

    def times(self, factor: float) -> Estimate:
        """The estimate of a multiple."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def per(self, dividend: float) -> Estimate:
        """The estimate of ``dividend`` over it, whose ends change sides."""
        return Estimate(dividend / self.value, dividend / self.high, dividend / self.low)


def exactly(value: float) -> Estimate:
    """An estimate without an interval."""
    return Estimate(value, value, value)


Estimator = Callable[[Result], Estimate | None]


def latency(result: Result) -> Estimate | None:
    """Seconds of a call; in generation of the whole call, prompt and all tokens."""
    timing = result.outcome.timing
    return None if timing is None else time_of_call(timing)


def throughput(result: Result) -> Estimate | None:
    """Samples per second."""
    time = latency(result)
    return None if time is None else time.per(result.case.batch_size)


def memory(result: Result) -> Estimate | None:
    """Bytes at the peak; on the CPU, where peaks differ by chance, by so much."""
    profile = result.outcome.memory
    if profile is None or profile.peak is None or profile.peak <= 0:
        return None
    chance = MEMORY_CHANCE_BYTES / 2 if result.outcome.device.startswith("cpu") else 0.0
    return Estimate(profile.peak, max(profile.peak - chance, 0.0), profile.peak + chance)


def first_token(result: Result) -> Estimate | None:
    """Seconds to the first token of generation."""
    timing = result.outcome.timing
    tokens = None if timing is None else timing.tokens
    return None if timing is None or tokens is None else _time(tokens.first, timing.interval)


def each_token(result: Result) -> Estimate | None:
    """Seconds of each token after the first."""
    timing = result.outcome.timing
    tokens = None if timing is None else timing.tokens
    if timing is None or tokens is None or tokens.each is None:
        return None
    return _time(tokens.each, timing.interval)


def decoded_per_second(result: Result) -> Estimate | None:
    """Tokens that generation makes in a second, after the first one."""
    each = each_token(result)
    return None if each is None else each.per(result.case.batch_size)


def cost_per_million_tokens(result: Result, price_per_hour: float | None) -> Estimate | None:
    """Money for a million tokens: those read, without padding; in generation those decoded."""
    outcome, time, count = result.outcome, latency(result), result.outcome.real_tokens_per_call
    if result.case.mode == "generation":
        time, count = each_token(result), result.case.batch_size
    elif count is None:
        count = outcome.tokens_per_call
    return None if time is None or not count else _cost(time, 1e6 / count, price_per_hour)


def cost_per_thousand_samples(result: Result, price_per_hour: float | None) -> Estimate | None:
    """Money for a thousand samples."""
    time = latency(result)
    return None if time is None else _cost(time, 1e3 / result.case.batch_size, price_per_hour)


def _cost(time: Estimate, calls: float, price_per_hour: float | None) -> Estimate | None:
    return None if price_per_hour is None else time.times(calls * price_per_hour / 3600)


def time_of_call(timing: Timing) -> Estimate:
    """The time of a call with its interval."""
    return _time(timing, timing.interval)


def _time(time: Timing | TokenTime, over: str) -> Estimate:
    """A time with its interval, which is drawn ``over`` visits or samples.

    Samples say nothing of other processes, so theirs is wider by as much as those differ; without
    an interval a time is known as far as that alone.
    """
    median_s, low, high = time.median_s, time.ci_low_s, time.ci_high_s
    if low is None or high is None or low <= 0:
        low = high = median_s
        over = "samples"
    low, high = min(low, median_s), max(high, median_s)
    if over == "visits":
        return Estimate(median_s, low, high)
    return Estimate(median_s, low / PROCESSES_DIFFER, high * PROCESSES_DIFFER)
