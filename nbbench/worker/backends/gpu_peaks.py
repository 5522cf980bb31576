"""The peak of calls on a GPU, by its allocator, without that of what runs between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

from ..measure import Call


class PeakOfCalls:
    """The most bytes that an allocator has given out since `start`, but for what is done apart.

    ``held`` is what it has given out now, ``peak`` the most since ``reset`` was called, and
    ``reserved`` what it has of the device now. ``reserved_apart`` is what it reserved for what is
    done apart.
    """

    def __init__(
        self,
        held: Callable[[], int],
        peak: Callable[[], int],
        reset: Callable[[], object],
        reserved: Callable[[], int] = lambda: 0,
    ) -> None:
        self._held, self._peak, self._reset, self._reserved = held, peak, reset, reserved
        self._before = self._left = self.reserved_apart = 0
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
        """What is given out meanwhile counts for no peak, nor what of it stays: workspaces, say."""
        self._before = self.so_far()
        held, reserved = self._held(), self._reserved()
        try:
            yield
        finally:
            self._left += max(self._held() - held, 0)
            self.reserved_apart += max(self._reserved() - reserved, 0)
            self._reset()

    def kept_apart(self, make: Callable[[], Call]) -> Call:
        """A call that stays for as long as this does; what it holds counts for no peak either."""
        if self._kept is None:
            with self.apart():
                self._kept = make()
        return self._kept
