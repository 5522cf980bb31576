"""The largest size that fits, between one that does and one that does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SIZE = 2**20
"""What does not run out of memory at this size does not hold what it is asked for."""

_CONFIRMED = 3
"""How many runs of the size that is found must fit: it is found, and confirmed twice."""

_MAX_STRIDE = 8
"""How many times as large as what fits a size on the line may be, while all have fitted."""

_DOUBT = 0.02
"""Where a size fits in one run and not in another, sizes nearer than so are as doubtful; each time
that this is found, twice as far."""


@dataclass(frozen=True)
class Tried:
    """A run of a size: whether it fitted, and the bytes that it held at most, where known."""

    size: int
    fits: bool
    peak: int | None = None


class Bracket:
    """Which size to try next, by those that were tried.

    ``limit`` is what peaks are compared with, in bytes, and None where that is not known: a line
    through the last two peaks says where the next size may be. Without such a line sizes double.
    ``takes`` is the most that the model takes.
    """

    def __init__(self, first: int) -> None:
        self.tried: list[Tried] = []
        self.limit: int | None = None
        self.takes = MAX_SIZE
        self._first, self._guess, self._doubtful = first, 0, MAX_SIZE + 2
        self._at_the_edge = False
        self._excess, self._doubt = 0, _DOUBT / 2

    def guess(self, size: int) -> None:
        """Have this size be tried next, if nothing that was tried speaks against it."""
        self._guess = size

    def add(self, tried: Tried) -> None:
        """Count a run; where a size fits in one and not in another, the largest is just below."""
        before = [each.peak or 0 for each in self.tried if each.size == tried.size]
        if not tried.fits and before:
            self._doubtful = min(tried.size, self._doubtful)
            self._doubt = 2 * self._doubt
            if tried.peak is not None:
                self._excess = max(self._excess, tried.peak - max(before))
        self.tried.append(tried)
        if not tried.fits and before:
            self._guess = self._on_line() or self._top(tried.size)

    def _has_fitted(self, tried: Tried) -> bool:
        """Whether a run fits, even if measuring holds as much more as it has been seen to."""
        if tried.peak is None or self.limit is None:
            return tried.fits
        return tried.fits and tried.peak + self._excess <= self.limit

    def _top(self, fails: int) -> int:
        """The largest size that may be found below one that does not fit."""
        return fails - (max(1, int(fails * self._doubt)) if fails == self._doubtful else 1)

    @property
    def fails(self) -> int | None:
        """The smallest size that does not fit, or that the model does not take, if any."""
        failed = [each.size for each in self.tried if not self._has_fitted(each)]
        known = [*failed, *([self.takes + 1] if self.takes < MAX_SIZE else [])]
        return min(known, default=None)

    @property
    def fits(self) -> int:
        """The largest size that fits in every run of it; 0 where none is known."""
        below = self.fails or MAX_SIZE + 1
        fitted = (each.size for each in self.tried if self._has_fitted(each))
        return max((size for size in fitted if size < below), default=0)

    def next(self) -> int | None:
        """The size to try; None when the largest is found, or that none fits."""
        low, high = self.fits, self.fails
        if not self.tried:
            return min(self._first, self.takes)
        if low == 0:
            return None if high in (None, 1) else (high or 2) // 2
        top = self._top(high or MAX_SIZE + 1)
        if low >= top:
            runs = sum(1 for each in self.tried if each.size == low)
            return low if runs < _CONFIRMED else None
        known, self._guess = self._guess, 0
        guess = known or self._on_line()
        if high is None:
            top = min(top, top if known else _MAX_STRIDE * low)
            return min(max(guess or 2 * low, low + 1), top)
        if low < guess <= top and (known or guess < top or not self._at_the_edge):
            self._at_the_edge = guess == top
            return guess
        if guess == low and not self._at_the_edge:  # found, if one more does not fit
            self._at_the_edge = True
            return min(low + 1, top)
        self._at_the_edge = False
        return min((low + high) // 2, top)

    def _on_line(self) -> int:
        """Where a line through the peaks of the two largest sizes meets the limit; 0 if nowhere."""
        peaks = {t.size: t.peak for t in self.tried if t.fits and t.peak is not None}
        if self.limit is None or len(peaks) < 2:
            return 0
        (a, low), (b, high) = sorted(peaks.items())[-2:]
        if high <= low:
            return 0
        return int(b + (self.limit - self._excess - high) * (b - a) // (high - low))
