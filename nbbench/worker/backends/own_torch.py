"""PyTorch modules of the user's own: how they are built, called and trained."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..inputs.own import OwnInput, cannot_make, described_inputs, known_inputs
from ..own_code import OwnCode, OwnCodeError


def build_own(torch: Any, code: OwnCode, case: Case) -> Any:
    """The user's module in the case's dtype and mode."""
    for name, usual in (("attention", "default"), ("model_class", "auto")):
        if getattr(case, name) != usual:
            raise Unsupported(
                f"{name} {getattr(case, name)} is for models of Transformers; {code.label} builds "
                f"its own, so leave {name} at {usual}"
            )

    def is_model(made: Any) -> bool:
        return isinstance(made, torch.nn.Module)

    model = code.make(lambda made: is_model(made) or _is_keras(made), "a torch.nn.Module")
    if _is_keras(model):
        raise Unsupported(
            f"{code.label} makes a Keras model; measure it with frameworks keras, keras-jax or "
            f"keras-torch"
        )
    if case.dtype != "auto":
        model = model.to(getattr(torch, case.dtype))
    return model.train(case.mode == "training")


def _is_keras(made: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(made, keras.Model)


@dataclass(frozen=True)
class Arguments:
    """What one call takes, on the device, and how many tokens that puts through."""

    by_position: tuple[Any, ...] = ()
    by_name: dict[str, Any] = field(default_factory=dict)
    tokens: Optional[int] = None


class OwnCalls:
    """What the user's module is called with, and its loss.

    Inputs come from the argument ``inputs``, else from the function of that name beside the
    factory, else from the names of the forward method. A model of Transformers gets what any other
    one gets, unless one of the first two says otherwise.
    """

    def __init__(self, torch: Any, model: Any, code: OwnCode, case: Case) -> None:
        self._torch, self._model, self._code, self._case = torch, model, code, case
        floats = (p.dtype for p in model.parameters() if p.dtype.is_floating_point)
        self.dtype = next(floats, torch.float32)
        described = case.inputs or code.inputs is not None
        self.is_of_transformers = not described and _is_of_transformers(model)
        self._given: Any = None

    def complete(self, device: str) -> None:
        """Call a module once that has lazy layers, which have no weights before."""
        if any(map(self._torch.nn.parameter.is_lazy, self._model.parameters())):
            given = self.inputs(device)
            with self._torch.no_grad():
                self._model(*given.by_position, **given.by_name)

    def inputs(self, device: str) -> Arguments:
        """The arguments of a call, made for this case."""
        case, tokens = self._case, None
        if case.inputs or self._code.inputs is None:
            described = described_inputs(case.inputs or self._from_signature(), case)
            generator = self._torch.Generator().manual_seed(case.seed)
            made: Any = {each.name: self._drawn(each, generator) for each in described.tensors}
            tokens = described.tokens
        else:
            made = self._code.made_inputs(case)
            if case.sequence_length is not None:
                tokens = case.batch_size * case.sequence_length
        self._given = given = self._on_device(made, device)
        if isinstance(given, Mapping):
            return Arguments(by_name=dict(given), tokens=tokens)
        if isinstance(given, (tuple, list)):
            return Arguments(by_position=tuple(given), tokens=tokens)
        if isinstance(given, self._torch.Tensor):
            return Arguments(by_position=(given,), tokens=tokens)
        raise OwnCodeError(
            f"the function inputs beside {self._code.label} returned a value of type "
            f"{type(given).__name__}; it has to return a dict or a tuple of tensors"
        )

    def loss(self, output: Any) -> Any:
        """What is trained by: the user's ``loss``, the output's own, or the mean of its square."""
        if self._code.loss is not None:
            return self._code.loss(output, self._given)
        own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
        if own is not None:
            return own
        for tensor in tensors_in(self._torch, output):
            if tensor.is_floating_point():
                return tensor.float().square().mean()
        raise OwnCodeError(
            f"the model of {self._code.label} returns no tensor to make a loss of; write a "
            f"function loss(output, inputs) beside it"
        )

    def _from_signature(self) -> dict[str, Any]:
        torch, model = self._torch, self._model
        layers = list(model.modules())
        embeddings = (m.num_embeddings for m in layers if isinstance(m, torch.nn.Embedding))
        channels = (m.in_channels for m in layers if isinstance(m, torch.nn.Conv2d))
        parameters = inspect.signature(model.forward).parameters.values()
        found, unknown = known_inputs(parameters, next(embeddings, None), next(channels, None))
        if unknown or not found:
            raise cannot_make(self._code.label, unknown)
        return found

    def _drawn(self, each: OwnInput, generator: Any) -> Any:
        torch = self._torch
        dtype = getattr(torch, each.dtype) if each.dtype else self.dtype
        if each.below is not None:
            return torch.randint(each.below, each.shape, generator=generator).to(dtype)
        if not dtype.is_floating_point:
            return torch.ones(each.shape, dtype=dtype)
        return torch.randn(each.shape, generator=generator).to(dtype)

    def _on_device(self, value: Any, device: str) -> Any:
        """Tensors on the device, in the model's dtype where they are of float32; others as is."""
        torch = self._torch
        if isinstance(value, torch.Tensor):
            return value.to(device, self.dtype if value.dtype == torch.float32 else value.dtype)
        if isinstance(value, Mapping):
            return {name: self._on_device(each, device) for name, each in value.items()}
        if isinstance(value, (tuple, list)):
            return type(value)([self._on_device(each, device) for each in value])
        return value


def _is_of_transformers(model: Any) -> bool:
    transformers = sys.modules["transformers"]
    return isinstance(model, transformers.PreTrainedModel)


def tensors_in(torch: Any, output: Any) -> Iterator[Any]:
    """The tensors of an output, in order: of one, or in tuples and mappings."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from (part for part in output.values() if isinstance(part, torch.Tensor))
    elif isinstance(output, (tuple, list)):
        yield from (part for part in output if isinstance(part, torch.Tensor))
