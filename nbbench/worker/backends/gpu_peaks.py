"""The peak of calls on a GPU, by its allocator, without that of what runs between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

from ..measure import Call


class PeakOfCalls:
    """The most bytes that an allocator has given out since `start`, but for what is done apart.

    ``held`` is what it has given out now, ``peak`` the most since ``reset`` was called.
    """

    def __init__(
        self, held: Callable[[], int], peak: Callable[[], int], reset: Callable[[], object]
    ) -> None:
        self._held, self._peak, self._reset = held, peak, reset
        self._before = self._left = 0
        self._kept: Optional[Call] = None

    def start(self) -> None:
        """Forget what was before."""
        self._before = 0
        self._reset()

    def so_far(self) -> int:
        """The peak since `start`, in bytes."""
        return max(self._before, self._peak() - self._left)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is given out and taken back meanwhile counts for no peak."""
        self._before = self.so_far()
        try:
            yield
        finally:
            self._reset()

    def kept_apart(self, make: Callable[[], Call]) -> Call:
        """A call that stays for as long as this does; what it holds counts for no peak either."""
        if self._kept is None:
            with self.apart():
                before = self._held()
                self._kept = make()
                self._left = self._held() - before
        return self._kept
