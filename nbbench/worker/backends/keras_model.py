"""A model of Keras, whatever lies underneath, and the inputs of its case, by Keras' names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..backend import TooLong, Unsupported, library_of
from ..case import Case
from ..inputs.text import longest_sequence
from ..measure import Call
from .keras_quantization import quantize
from .own_keras import OwnInputsOfKeras
from .real_inputs import refuse_padding, rows_of, with_length, with_padding

_IMAGES = ("images", "pixel_values")
"""What inputs of images are called."""


class KerasModel:
    """A backbone of keras-hub, or with ``own`` the user's model; ``forward`` calls it on inputs."""

    def __init__(
        self,
        keras: Any,
        model: Any,
        execution: str,
        forward: Callable[[Any], Call],
        case: Case,
        config: Any,
        own: Optional[OwnInputsOfKeras],
    ) -> None:
        self._keras, self._model, self._forward, self._case = keras, model, forward, case
        self._config, self._own = config, own
        self.architecture = type(model).__name__
        self.execution = execution
        self.library = library_of(model)
        self.real_tokens: Optional[int] = None
        self.padded_to: Optional[int] = None
        self.modalities = ""
        self.dtype = str(model.dtype_policy.name)
        self.parameter_count = int(model.count_params())
        self.quantization, self.note = case.quantization, ""
        if case.quantization != "none":
            self.note = quantize(model, case)
        variables = {id(variable): variable for variable in model.variables}.values()
        self.parameter_bytes = sum(_bytes_of(variable) for variable in variables)

    def prepare(self) -> tuple[Call, Optional[int]]:
        """One forward pass in inference mode, on seeded inputs."""
        if self._own is not None:
            refuse_padding(self._case)
            given, own_tokens = self._own.made()
            return self._forward(given), own_tokens
        rows = rows_of(self._config, self._case)
        self._case = case = with_length(self._case, rows)
        given = self._model.input
        specs = given if isinstance(given, Mapping) else {given.name: given}
        takes_length = any(name.endswith("token_ids") for name in specs)
        takes_images = any(name in _IMAGES for name in specs)
        kinds = {"text": takes_length, "image": takes_images}
        self.modalities = "+".join(kind for kind, taken in kinds.items() if taken)
        if case.modalities == "text" != self.modalities:
            raise Unsupported(
                f"{case.model} cannot do with text alone, which modalities asks for; give "
                f"modalities auto"
            )
        if takes_length:
            self._check_length()
        made: Any = {name: self._input(name, spec) for name, spec in specs.items()}
        if rows is not None:
            self.real_tokens, self.padded_to = rows.real_tokens, rows.length
            rows.check(made, self.modalities, case.model)
        ops = self._keras.ops
        made = with_padding(
            made, rows, lambda tensor: ops.convert_to_numpy(tensor).tolist(),
            lambda lists, tensor: ops.convert_to_tensor(lists, tensor.dtype),
        )  # fmt: skip
        inputs = made if isinstance(given, Mapping) else made[given.name]
        tokens = case.batch_size * (case.sequence_length or 0) if takes_length else None
        return self._forward(inputs), tokens

    def training_phases(self) -> list[tuple[str, Call]]:
        """None, since nothing is trained here."""
        return []

    def gradient_bytes(self) -> Optional[int]:
        """None, since nothing is trained here."""
        return None

    def _check_length(self) -> None:
        length, longest = self._case.sequence_length, longest_sequence(self._config)
        if length is None:
            raise Unsupported(f"{self._case.model} takes sequences; give sequence_lengths")
        if longest is not None and length > longest:
            raise TooLong(
                f"sequence length {length} is more than {self._case.model} takes ({longest}); "
                f"lower sequence_lengths",
                sequence_length=longest,
            )

    def _input(self, name: str, spec: Any) -> Any:
        """One tensor: ids below the vocabulary, a mask of ones, segments of zeros, or noise."""
        keras, seed = self._keras, self._case.seed % 2**31
        if name.endswith("token_ids"):
            bound = getattr(self._model, "vocabulary_size", None) or self._config.vocab_size
            return keras.random.randint(self._text(), 0, bound, spec.dtype, seed=seed)
        if name.endswith("padding_mask"):
            return keras.ops.ones(self._text(), spec.dtype)
        if name == "segment_ids":
            return keras.ops.zeros(self._text(), spec.dtype)
        if name in _IMAGES:
            return keras.random.normal(self._image(spec), dtype=spec.dtype, seed=seed)
        raise Unsupported(
            f"nbbench cannot make the inputs that {self._case.model} takes in Keras ({name})"
        )

    def _text(self) -> tuple[int, int]:
        return self._case.batch_size, self._case.sequence_length or 0

    def _image(self, spec: Any) -> tuple[int, ...]:
        """The input's own shape, with the configuration's size where it is open."""
        size = self._config.image_size
        return (self._case.batch_size, *(size if side is None else side for side in spec.shape[1:]))


def _bytes_of(variable: Any) -> int:
    """The size of a variable, from its shape and the bits in the name of its dtype."""
    bits = re.search(r"\d+", str(variable.dtype))
    return int(math.prod(variable.shape)) * (int(bits.group()) // 8 if bits else 1)
