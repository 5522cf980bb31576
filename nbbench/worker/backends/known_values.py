"""Fake tensors whose values are known where they follow from a model's inputs alone.

A fake tensor of PyTorch has a shape, a dtype and a device, and no numbers. Some models ask for
numbers all the same: whether a mask is all ones, where a text has its image. They follow from
masks, ids and positions, which are small, so that these are computed beside the fake ones. What
follows from weights is not known.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from .fake_forms import form_of
from .torch_dispatch import dispatch_mode

MAX_NUMBERS, MAX_REAL_NUMBERS = 1 << 22, 1 << 16
"""Larger tensors are not known: of whole numbers or truth values, and of real numbers."""

_WITHOUT_VALUES = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")


_OF_SHAPES = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
_FILLING = ("ones", "zeros", "full")
_UNIFORM = (*_OF_SHAPES, "_to_copy", "clone", "all", "any", "amax", "amin", "sum")
"""Operations whose result is one number all over where their tensors are, beside pointwise ones."""

_RESIZING = ("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")
"""Operations that, like views, give the same number where there is but one."""

_LIKE_SECOND = ("expand_as", "view_as", "reshape_as", "type_as")
"""Operations that ask for the shape and the dtype of a tensor, and not for its numbers."""

_IN_PLACE = (
    "add_", "addcdiv_", "addcmul_", "copy_", "div_", "fill_", "lerp_", "mul_", "normal_", "sub_",
    "uniform_", "zero_",
)  # fmt: skip
"""Operations that write into their first argument and leave its shape: where that has no numbers,
there is nothing to do. An optimizer is made of them, and so is the drawing of weights."""

_LARGEST_DRAW = 1 - 2**-24

_CHOOSING = ("topk", "argmax")
"""Operations whose indices follow from weights, as of the experts that a token goes to."""


@contextmanager
def fake_tensors(torch: Any, spread: bool = False) -> Iterator[None]:
    """Have every tensor that is made meanwhile be a fake one.

    With ``spread`` what is chosen by numbers that are not known is taken to be spread evenly.
    """
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    fake = FakeTensorMode(allow_non_fake_inputs=True)
    lists = patch.object(FakeTensor, "tolist", _listed, create=True)  # its own is for compilers
    arrays = patch.object(FakeTensor, "numpy", _array, create=True)
    with lists, arrays, fake, dispatch_mode(_KnownValues(torch, fake, spread).run):
        yield


class TooLarge(Exception):
    """A number was asked for that follows from more numbers than are computed."""


class _KnownValues:
    """Runs operations on fake tensors, and on what is known of them."""

    def __init__(self, torch: Any, fake: Any, spread: bool) -> None:
        from torch._subclasses import fake_tensor
        from torch.utils._python_dispatch import _disable_current_modes

        self._torch, self._fake, self._spread = torch, fake, spread
        self._fake_class = fake_tensor.FakeTensor
        self._writes: dict[int, int] = {}
        self._device_of = torch.ops.prim.device.default
        self._depends_on_values = (
            fake_tensor.DataDependentOutputException,
            fake_tensor.DynamicOutputShapeException,
        )
        self._without_modes: Callable[[], Any] = _disable_current_modes

    def run(self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The operation's result: fake, and known where its arguments are."""
        if operation is self._device_of and isinstance(arguments[0], self._fake_class):
            return arguments[0].fake_device  # which is asked for at every turn
        known = self._known_arguments(operation, arguments, named)
        if known is None and operation.overloadpacket.__name__ in _IN_PLACE:
            self._forget(operation, arguments, named)
            return arguments[0]
        try:
            result = self._fake_result(operation, arguments, named)
        except self._depends_on_values:
            if known is None:
                self._refuse_large(arguments)
                return self._by_positions(operation, arguments, named)
            return self._as_fake(self._computed(operation, *known))
        values = None if known is None else self._values(operation, known, result)
        if values is not None:
            self._keep(result, values)
        else:
            if known is not None or self._comes_of_large(arguments):
                self._mark_large(arguments, result)
            self._forget(operation, arguments, named)
            if self._spread and operation.overloadpacket.__name__ in _CHOOSING:
                self._choose_evenly(result, *arguments)
        return result

    def _choose_evenly(self, result: Any, among: Any, *arguments: Any) -> None:
        """Have each index be chosen equally often, and by neighbours another one."""
        indices = list(self._fakes_in(result))[-1]
        if not self._is_small(indices):
            return
        dim = -1 if not isinstance(result, (list, tuple)) else next(iter(arguments[1:2]), -1)
        choices = among.shape[dim] if among.dim() else 1
        with self._without_modes():
            shape = list(indices.shape)
            values = self._torch.arange(indices.numel()) % max(choices, 1)
            if indices.dim():
                shape.append(shape.pop(dim))
                values = values.reshape(shape).movedim(-1, dim).contiguous()
            else:
                values = values[0]
        self._keep(indices, values)

    def _values(self, operation: Any, known: Any, result: Any) -> Any:
        """The values of a result; None where they are too many to be computed."""
        given = [t for t in _leaves(known) if isinstance(t, self._torch.Tensor)]
        if operation._schema.is_mutable and any(map(_repeats, given)):
            return None  # one number of it is all of them
        if self._is_small(result) and all(t.numel() <= MAX_NUMBERS for t in given):
            return self._computed(operation, *known)
        name, is_one = operation.overloadpacket.__name__, isinstance(result, self._fake_class)
        with self._without_modes():
            if not is_one or not all(_is_uniform(tensor) for tensor in given):
                return None
        keeps = getattr(operation, "is_view", False) or name in _RESIZING
        if keeps and len(given) == 1:
            value = given[0]
        elif name in _FILLING or name in _UNIFORM or self._torch.Tag.pointwise in operation.tags:
            arguments, named = known
            if name in _FILLING:
                arguments = ([1], *arguments[1:])
            elif name in ("new_ones", "new_zeros", "new_full"):
                arguments = (arguments[0], [1], *arguments[2:])
            value = self._computed(operation, *self._shrunk((arguments, named)))
            if name == "sum":
                with self._without_modes():
                    value = value * (given[0].numel() // max(result.numel(), 1))
        else:
            return None
        with self._without_modes():
            return value.as_strided((), ()).expand(result.shape)

    def _shrunk(self, value: Any) -> Any:
        """Arguments with one number for each tensor that is the same all over."""
        if isinstance(value, self._torch.Tensor):
            with self._without_modes():
                return value.as_strided([1] * value.dim(), [0] * value.dim())
        if isinstance(value, dict):
            return {name: self._shrunk(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._shrunk(each) for each in value)
        return value

    def _mark_large(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Note of tensors that they would be known if there were fewer numbers to follow."""
        marked = [*self._fakes_in(arguments), *self._fakes_in(result)]
        counts = [t.__dict__.get("numbers_not_followed", t.numel()) for t in marked]
        if max(counts, default=0) > MAX_REAL_NUMBERS:
            for tensor in self._fakes_in(result):
                tensor.__dict__["numbers_not_followed"] = max(counts)

    def _comes_of_large(self, arguments: tuple[Any, ...]) -> bool:
        fakes = list(self._fakes_in(arguments))
        return bool(fakes) and all(
            "known_values" in each.__dict__ or "numbers_not_followed" in each.__dict__
            for each in fakes
        )

    def _refuse_large(self, arguments: tuple[Any, ...]) -> None:
        """Raise `TooLarge` where what is asked for would be known of fewer numbers."""
        for tensor in self._fakes_in(arguments):
            count = tensor.__dict__.get("numbers_not_followed")
            if count is not None and not tensor.is_floating_point():
                raise TooLarge(f"{count:,}")

    def _fake_result(
        self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        form = form_of(operation)
        if form is None:
            return operation(*arguments, **named)
        try:
            return form(self._torch, self._numbers, arguments, named)
        except KeyError:
            return operation(*arguments, **named)  # which raises, and says what it needs

    def _numbers(self, tensor: Any) -> Any:
        values = self._known(tensor)
        with self._without_modes():
            return values.tolist()

    def _known_arguments(
        self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """The arguments with known values in place of fake tensors; None where one is not known."""
        name = operation.overloadpacket.__name__
        if name in _WITHOUT_VALUES:
            return None
        if name in _OF_SHAPES:
            named = {"dtype": arguments[0].dtype, **named}
            arguments = (self._without_numbers(arguments[0]), *arguments[1:])
        elif name in _LIKE_SECOND:
            arguments = (arguments[0], self._without_numbers(arguments[1]))
        try:
            return (
                tuple(self._known(each) for each in arguments),
                {name: self._known(each) for name, each in named.items()},
            )
        except KeyError:
            return None

    def _without_numbers(self, tensor: Any) -> Any:
        """A tensor of this shape, for what asks no more of it."""
        with self._without_modes():
            return self._torch.empty((), dtype=tensor.dtype).expand(tensor.shape)

    def _known(self, value: Any) -> Any:
        if isinstance(value, self._fake_class):
            values = value.__dict__["known_values"]
            if self._writes and value.__dict__["known_since"] != self._writes_into(value):
                raise KeyError("known_values")
            return values
        if isinstance(value, (list, tuple)):
            return type(value)(self._known(each) for each in value)
        return value

    def _is_small(self, result: Any) -> bool:
        """Whether a result is small enough to be computed, and not drawn from real numbers."""
        for tensor in self._fakes_in(result):
            is_real = tensor.is_floating_point() or tensor.is_complex()
            if tensor.numel() > (MAX_REAL_NUMBERS if is_real else MAX_NUMBERS):
                return False
        return True

    def _computed(self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What an operation gives for known values.

        One number drawn is the largest: layers that are dropped where it is small are there.
        """
        if named.get("device") is not None:
            named = {**named, "device": self._torch.device("cpu")}
        with self._without_modes():
            values = operation(*arguments, **named)
            is_draw = operation.overloadpacket.__name__ == "rand"
            return values.fill_(_LARGEST_DRAW) if is_draw and values.numel() == 1 else values

    def _keep(self, result: Any, values: Any) -> None:
        """Keep the values of a result, which has the same structure."""
        if isinstance(result, self._fake_class):
            result.__dict__.update(known_values=values, known_since=self._writes_into(result))
        elif isinstance(result, (list, tuple)):
            for each, its in zip(result, values):
                self._keep(each, its)

    def _forget(self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Forget the values of tensors that an operation has written into, and of their views."""
        if not operation._schema.is_mutable:
            return
        schema = operation._schema.arguments
        given = [*arguments, *(named.get(each.name) for each in schema[len(arguments) :])]
        for parameter, value in zip(schema, given):
            if parameter.alias_info is not None and parameter.alias_info.is_write:
                for tensor in self._fakes_in(value):
                    key = tensor.untyped_storage()._cdata
                    self._writes[key] = self._writes.get(key, 0) + 1

    def _writes_into(self, tensor: Any) -> int:
        """How often numbers that are not known were written into a tensor's storage."""
        return self._writes.get(tensor.untyped_storage()._cdata, 0) if self._writes else 0

    def _by_positions(
        self, operation: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Select by masks that are known from a tensor that is not: by their positions."""
        name = operation.overloadpacket.__name__
        if name == "masked_select":
            tensor, mask = arguments[:2]
            shape = self._torch.broadcast_shapes(tensor.shape, mask.shape)
            return tensor.expand(shape)[self._positions(mask, shape)]
        if name == "index":
            tensor, indices = arguments[:2]
            found: list[Any] = []
            for each in indices:
                is_mask = each is not None and each.dtype is self._torch.bool
                found += self._positions(each) if is_mask else [each]
            return operation(tensor, found)
        return operation(*arguments, **named)  # which raises again

    def _positions(self, mask: Any, shape: Any = None) -> Any:
        """Where a known mask, broadcast to a shape, is true: a tensor for each dimension."""
        try:
            values = self._known(mask)
        except KeyError:
            return mask.nonzero(as_tuple=True)  # which raises
        with self._without_modes():
            values = values.expand(values.shape if shape is None else shape)
            found = values.nonzero(as_tuple=True)
        return self._as_fake(found)

    def _as_fake(self, values: Any) -> Any:
        """Fake tensors of known values; what is no tensor stays as it is."""
        if isinstance(values, self._torch.Tensor):
            fake = self._fake.from_tensor(values)
            self._keep(fake, values)
            return fake
        if isinstance(values, (list, tuple)):
            return type(values)(self._as_fake(each) for each in values)
        return values

    def _fakes_in(self, value: Any) -> Iterator[Any]:
        if isinstance(value, self._fake_class):
            yield value
        elif isinstance(value, (list, tuple)):
            for each in value:
                yield from self._fakes_in(each)


def _listed(tensor: Any) -> Any:
    """The numbers of a tensor as lists, asked for one by one."""
    return [_listed(each) for each in tensor.unbind()] if tensor.dim() else tensor.item()


def _array(tensor: Any, **_: Any) -> Any:
    """The numbers of a tensor as an array."""
    numpy = importlib.import_module("numpy")
    return numpy.array(_listed(tensor), dtype=str(tensor.dtype).rpartition(".")[-1])


def _leaves(value: Any) -> Iterator[Any]:
    """What is in arguments, at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _repeats(tensor: Any) -> bool:
    return any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride()))


def _is_uniform(tensor: Any) -> bool:
    """Whether a tensor is one number all over, by how it is stored or by its numbers."""
    if all(size <= 1 or stride == 0 for size, stride in zip(tensor.shape, tensor.stride())):
        return True
    first = tensor[(0,) * tensor.dim()] if tensor.numel() else None
    return 0 < tensor.numel() <= MAX_NUMBERS and bool((tensor == first).all())
