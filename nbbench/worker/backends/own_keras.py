"""Keras models of the user's own: how they are made, and what they are called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..inputs.own import OwnInput, OwnInputs, cannot_make, described_inputs
from ..own_code import OwnCode

Given = tuple[Any, Optional[int]]
"""What the model is called with, and the tokens that puts through."""


def build_own(keras: Any, code: OwnCode, case: Case) -> Any:
    """The model that the user's factory returns."""

    def is_model(made: Any) -> bool:
        return isinstance(made, keras.Model)

    def is_torch(made: Any) -> bool:
        return type(made).__module__.startswith("torch.") or hasattr(made, "named_parameters")

    made = code.make(lambda made: is_model(made) or is_torch(made), "a Keras model")
    if not is_model(made):
        raise Unsupported(
            f"{code.label} makes a PyTorch module; measure it with frameworks pytorch"
        )
    return made


class OwnInputsOfKeras:
    """What the user's model is called with.

    It comes from the argument ``inputs``, else from the function of that name beside the factory,
    else from the inputs that the model itself declares: their first side that is open is the
    batch, others are the length.
    """

    def __init__(self, keras: Any, model: Any, code: OwnCode, case: Case) -> None:
        self._keras, self._model, self._code, self._case = keras, model, code, case

    def made(self) -> Given:
        """The inputs of one call, and its tokens."""
        case = self._case
        if case.inputs or self._code.inputs is None:
            described = case.inputs or self._declared()
            inputs = described_inputs(described, case)
            return self._in_form(self._drawn_all(inputs)), inputs.tokens
        tokens = case.batch_size * case.sequence_length if case.sequence_length else None
        return self._as_tensors(self._code.made_inputs(case)), tokens

    def _declared(self) -> dict[str, Any]:
        """Symbolic shapes of a functional model's inputs."""
        declared = getattr(self._model, "inputs", None) or []
        if not declared:
            raise cannot_make(self._code.label, ())
        return {each.name: self._described(each) for each in declared}

    def _described(self, declared: Any) -> dict[str, Any]:
        shape: list[Any] = ["batch"]
        shape += ["length" if side is None else int(side) for side in declared.shape[1:]]
        dtype = str(self._keras.backend.standardize_dtype(declared.dtype))
        is_whole = "int" in dtype
        return {"shape": shape, "dtype": dtype, "below": self._vocabulary() if is_whole else None}

    def _vocabulary(self) -> int:
        """How many rows the model's first embedding has; 2 where it has none."""
        layers = self._model._flatten_layers()
        sizes = (
            each.input_dim for each in layers if isinstance(each, self._keras.layers.Embedding)
        )
        return next(sizes, 2)

    def _drawn_all(self, inputs: OwnInputs) -> dict[str, Any]:
        return {each.name: self._drawn(each) for each in inputs.tensors}

    def _drawn(self, each: OwnInput) -> Any:
        keras, seed = self._keras, self._case.seed % 2**31
        dtype = each.dtype or str(self._model.compute_dtype)
        if each.below is not None:
            whole = "int32" if dtype == "bool" else dtype
            drawn = keras.random.randint(each.shape, 0, each.below, whole, seed=seed)
            return keras.ops.cast(drawn, dtype)
        if "int" in dtype:
            return keras.ops.ones(each.shape, dtype)
        return keras.ops.cast(keras.random.normal(each.shape, seed=seed), dtype)

    def _in_form(self, drawn: dict[str, Any]) -> Any:
        """Inputs by name as the model takes them: one alone, a list, or a dict."""
        values = list(drawn.values())
        if len(values) == 1:
            return values[0]
        if not getattr(self._model, "inputs", None):  # a subclass, which gets them by name
            return drawn
        return drawn if isinstance(self._model.input, Mapping) else values

    def _as_tensors(self, value: Any) -> Any:
        """What the user's ``inputs`` returned, arrays as tensors of the framework."""
        if isinstance(value, Mapping):
            return {name: self._as_tensors(each) for name, each in value.items()}
        if isinstance(value, (tuple, list)):
            tensors = [self._as_tensors(each) for each in value]
            return tensors[0] if len(tensors) == 1 else tensors
        return self._keras.ops.convert_to_tensor(value)
