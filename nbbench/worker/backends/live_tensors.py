"""Counts the tensors that are there while PyTorch runs, and the work that its operations do.

Every operation passes a dispatch mode, which notes each new storage and, by a weak reference, its
end. What an operation holds inside itself, and what the allocator keeps, is not seen: the count is
the same in every run, on real tensors and on fake ones. torch.distributed's MemTracker counts in
the same way.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..collector import without_collector
from ..prediction import CallCount
from .torch_bytes import bytes_moved, size_of
from .torch_dispatch import dispatch_mode
from .torch_flops import flops_of, formula_of
from .torch_tensors import plain_tensors

CUDA_BLOCK = 512
"""Bytes that CUDA's caching allocator rounds sizes up to."""


_UNSAFE_VIEWS = frozenset(("_unsafe_view", "unsafe_split", "unsafe_split_with_sizes"))
"""Views by what they do, which their schemas do not call so; a matrix product ends with one."""


@dataclass(frozen=True)
class Peak:
    """The most bytes that were there at a time, and the phase and the operation in which."""

    bytes: int
    phase: str
    operation: str


class LiveTensors:
    """The storages of a process's tensors over some calls.

    ``held`` are tensors that are there before; ``block`` is what sizes are rounded up to.
    ``without_formula`` names an operation whose floating point operations are not counted, if any.
    """

    def __init__(self, torch: Any, held: Iterable[Any], block: int = 1) -> None:
        self._torch, self._block = torch, block
        self._live: dict[int, tuple[int, Any]] = {}
        self._sizes: list[int] = []
        self._changes: list[int] = []
        self._moments: list[tuple[int, str, Any]] = []
        self.phase = ""
        self.operations = self.flops = self.moved = 0
        self.without_formula = ""
        self._read: dict[int, int] = {}
        for tensor in held:
            self._note(tensor)
        self.at_first = set(range(len(self._sizes)))

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is asked of the framework meanwhile; no collector frees anything amid it."""
        self._mode = dispatch_mode(self._run)
        with without_collector(), self._mode:
            yield

    def omit(self, tensors: Iterable[Any]) -> None:
        """Count these tensors, which were there before, as if they had never been."""
        omitted = self.numbers_of(tensors)
        self.at_first -= omitted
        for number in omitted:
            self._sizes[number] = 0

    def numbers_of(self, tensors: Iterable[Any]) -> set[int]:
        """The numbers that the storages of these tensors have here, if they are still there."""
        found = set()
        for tensor in tensors:
            for part in plain_tensors(tensor):
                entry = self._live.get(part.untyped_storage()._cdata)
                if entry is not None:
                    found.add(entry[0])
        return found

    def bytes_of(self, numbers: Iterable[int]) -> int:
        """Bytes of the storages with these numbers."""
        return sum(self._sizes[number] for number in numbers)

    def peak(self, but: Iterable[int] = ()) -> Peak:
        """The most bytes that were there at a time; storages whose numbers are in ``but`` aside."""
        omitted = set(but)
        there = most = self.bytes_of(self.at_first - omitted)
        at = 0
        for moment, change in enumerate(self._changes):
            number = abs(change) - 1
            if number in omitted or (change > 0 and number in self.at_first):
                continue
            there += self._sizes[number] if change > 0 else -self._sizes[number]
            if there > most:
                most, at = there, moment
        reached = bisect_right([moment[0] for moment in self._moments], at)
        phase, operation = self._moments[reached - 1][1:] if reached else ("", None)
        name = "" if operation is None else operation.overloadpacket.__name__
        return Peak(most, phase, name)

    def count(self) -> CallCount:
        """All that was counted."""
        read = sum(self._read.values())
        return CallCount(self.peak().bytes, self.operations, self.flops, self.moved, read)

    def _run(self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if _is_composed(self._torch, operation):  # of others, each of which comes here then
            with self._mode:
                return operation.decompose(*arguments, **named)
        result = operation(*arguments, **named)
        if operation.namespace == "prim":  # which asks for a tensor's device
            return result
        outputs = list(_tensors_in(self._torch, result))
        before = len(self._changes)
        for tensor in outputs:
            self._note(tensor)
        if len(self._changes) > before:
            self._moments.append((before, self.phase, operation))
        if not _is_view(operation):
            self._count_work(operation, arguments, named, result, outputs)
        return result

    def _count_work(
        self,
        operation: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
        outputs: list[Any],
    ) -> None:
        inputs = list(_tensors_in(self._torch, (arguments, list(named.values()))))
        flops = flops_of(operation, arguments, named, result)
        if flops is None:
            self.without_formula = self.without_formula or operation.overloadpacket.__name__
        self.operations += 1
        self.flops += flops or 0
        self.moved += bytes_moved(operation, inputs, outputs)
        if flops:
            for tensor in inputs:
                entry = self._live.get(tensor.untyped_storage()._cdata)
                if entry is not None and entry[0] in self.at_first:
                    self._read.setdefault(entry[0], size_of(tensor))

    def _note(self, tensor: Any) -> None:
        for part in plain_tensors(tensor):
            storage = part.untyped_storage()
            key = storage._cdata
            if key in self._live:
                continue
            number = len(self._sizes)
            self._sizes.append(-(-storage.nbytes() // self._block) * self._block)
            self._changes.append(number + 1)
            self._live[key] = number, weakref.ref(storage, self._forget(key, number))

    def _forget(self, key: int, number: int) -> Callable[[Any], None]:
        def forget(_: Any) -> None:
            if self._live.get(key, (None,))[0] == number:
                del self._live[key]
            self._changes.append(-number - 1)

        return forget


def _tensors_in(torch: Any, value: Any) -> Iterator[Any]:
    """The tensors among the arguments or the results of an operation."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors_in(torch, each)


@cache
def _is_view(operation: Any) -> bool:
    """Whether an operation makes another view of a tensor, and moves nothing."""
    name = operation.overloadpacket.__name__
    return bool(getattr(operation, "is_view", False)) or name in _UNSAFE_VIEWS


@cache
def _is_composed(torch: Any, operation: Any) -> bool:
    """Whether an operation is made of others alone, as a linear layer is of a matrix product.

    Under inference mode it arrives as a whole, and what it holds between the others is not seen.
    """
    if formula_of(operation) is not None or operation.namespace != "aten":
        return False
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operation.name(), key))
