"""Generation in PyTorch: a prompt is put through, then tokens are made one by one, greedily.

The loop is over the model's own forward method, as one would write it by hand: exact lengths, no
sampling, no stopping at an end token, nothing streamed. `generate` of Transformers does more around
each token, and asks the device each time whether all sequences have ended.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any, Optional

from ..backend import TooLong, Unsupported
from ..case import Case
from ..exceptions import first_line, text_of
from ..inputs.text import longest_sequence
from ..measure import Call, Marks
from .torch_caches import cache_bytes, cache_parameter, make_cache, refuse_cache, tensors_of
from .torch_compilation import captures_graphs
from .torch_tensors import no_gradients

_OF_ENCODER_ALONE = ("decoder_input_ids", "decoder_attention_mask", "decoder_input_values")
"""Inputs of a decoder's, which generation begins with its start token instead."""


_NO_ROOM = re.compile(r"must match the size|is out of bounds for dimension")
"""What tensors answer where a cache was made for other positions than a model has."""


class Generation:
    """The generation of one case: ``inputs`` are those of a forward pass, the prompt's.

    ``run`` is the model as it is executed, ``marks`` makes what notes moments in the device's work.
    Raises `Unsupported` for a model that keeps no cache that this knows, and for more positions
    than it has. ``tokens`` are those of the last call: (batch, 1) each; ``is_pair`` says whether an
    encoder is given the prompt, and its decoder a start token.
    """

    def __init__(
        self,
        torch: Any,
        model: Any,
        run: Callable[..., Any],
        inputs: dict[str, Any],
        case: Case,
        marks: Callable[[], Marks],
    ) -> None:
        self._torch, self._model, self._run, self._case = torch, model, run, case
        self._new_tokens = int(case.new_tokens or 1)
        self._parameters = inspect.signature(model.forward).parameters
        self._parameter = cache_parameter(self._parameters, type(model).__name__)
        refuse_cache(case.cache, model.config, self._parameter, type(model).__name__)
        self._captures = captures_graphs(case, model.device.type)
        if self._captures and case.cache != "static":
            raise Unsupported(
                f"a CUDA graph writes over what its last replay gave out, and a {case.cache} cache "
                f"is that; give caches static, or compile_modes default"
            )
        self._new_marks, self._marked = marks, list[Marks]()
        self.is_pair = bool(getattr(model.config, "is_encoder_decoder", False))
        self._prompt = self._as_prompt(inputs)
        self._static: Any = None
        self.tokens: list[Any] = []
        self._state: tuple[Any, Any] = (None, None)
        self._check_positions(inputs)

    @property
    def prompt_tokens(self) -> Optional[int]:
        """The tokens of all prompts; None where they are no tokens, but sounds or images alone."""
        ids = self._prompt.get("input_ids")
        return None if ids is None else int(ids.shape[0] * ids.shape[1])

    def __call__(self) -> None:
        """Make all tokens of a batch; the moments at which each was made are kept."""
        marks = self._new_marks()
        self._marked.append(marks)
        self.tokens, self._state = [], (None, None)  # else two calls' caches are there at a time
        marks.mark()
        with no_gradients(self._torch, self._model):
            cache, token = self._prefill()
            self.tokens.append(token)
            marks.mark()
            for _ in range(self._new_tokens - 1):
                cache, token = self._next(cache, token)
                self.tokens.append(token)
                marks.mark()
        self._state = cache, token

    def laps(self) -> list[list[float]]:
        """Of each call so far: the seconds to the first token, then from each to the next."""
        return [marks.seconds() for marks in self._marked]

    def phases(self) -> list[tuple[str, Call]]:
        """Prefill and decode by name, in order."""
        return [("prefill", self._keep_prefill), ("decode", self._decode)]

    def cache_bytes(self) -> int:
        """Bytes of the tensors that the last call's cache holds."""
        return cache_bytes(self._torch, self._state[0])

    def cache_tensors(self) -> list[Any]:
        """The tensors that the last call's cache holds; none before any call."""
        return list(tensors_of(self._torch, self._state[0]))

    def decode_once(self) -> None:
        """Put the last token through, and draw the next one."""
        with no_gradients(self._torch, self._model):
            self._state = self._next(*self._state)

    def put_through(self, tokens: int) -> None:
        """Put a prompt through; an encoder-decoder's decoder is given so many tokens at once."""
        if self.is_pair:
            start = self._prompt["decoder_input_ids"]
            self._prompt["decoder_input_ids"] = start.expand(-1, tokens)
        self._keep_prefill()

    def _keep_prefill(self) -> None:
        self._state = (None, None)
        with no_gradients(self._torch, self._model):
            self._state = self._prefill()

    def _decode(self) -> None:
        cache, token = self._state
        with no_gradients(self._torch, self._model):
            for _ in range(self._new_tokens - 1):
                cache, token = self._next(cache, token)
        self._state = cache, token

    def _prefill(self) -> tuple[Any, Any]:
        """Put the prompt through: the cache, and the first token of each sequence."""
        given = dict(self._prompt)
        self._repeated.pop("encoder_outputs", None)
        try:
            if self._case.cache != "dynamic":
                given[self._parameter] = self._made_cache()
            output = self._run(**given)
        except (IndexError, RuntimeError) as error:
            if self._case.cache == "dynamic" or _NO_ROOM.search(text_of(error)) is None:
                raise
            raise Unsupported(
                f"{type(self._model).__name__} does not run with a {self._case.cache} cache of "
                f"Transformers ({first_line(error)}); give caches dynamic"
            ) from error
        return self._after(output)

    def _next(self, cache: Any, token: Any) -> tuple[Any, Any]:
        """Put the last token through: the cache, and the next token."""
        given = dict(self._repeated)
        given["decoder_input_ids" if self.is_pair else "input_ids"] = token
        given[self._parameter] = cache
        try:
            output = self._run(**given)
        except ValueError as error:  # some want the image again, with every token
            raise Unsupported(
                f"{type(self._model).__name__} does not go on from its cache by token ids alone "
                f"({first_line(error)})"
            ) from error
        return self._after(output)

    def _after(self, output: Any) -> tuple[Any, Any]:
        if self.is_pair and "encoder_outputs" not in self._repeated:
            outputs = importlib.import_module("transformers.modeling_outputs")
            encoded = output.encoder_last_hidden_state
            self._repeated["encoder_outputs"] = outputs.BaseModelOutput(
                last_hidden_state=encoded.clone() if self._captures else encoded
            )
        return output[self._parameter], output.logits[:, -1:].argmax(-1)

    def _as_prompt(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What prefill is given; a mask of ones says nothing, and would have to grow."""
        prompt = {n: each for n, each in inputs.items() if n not in _OF_ENCODER_ALONE}
        prompt.pop("attention_mask", None)
        self._repeated: dict[str, Any] = {}
        if "use_cache" in self._parameters:
            prompt["use_cache"] = self._repeated["use_cache"] = True
        if "logits_to_keep" in self._parameters:
            prompt["logits_to_keep"] = 1
        if self.is_pair:
            first = next(each for each in prompt.values() if hasattr(each, "shape"))
            start = self._torch.full(
                (first.shape[0], 1), _start_token(self._model.config), device=first.device
            )
            prompt["decoder_input_ids"] = start
        return prompt

    def _made_cache(self) -> Any:
        """The cache that the case names, empty; a static one is kept from call to call."""
        if self._static is None or self._case.cache != "static":
            self._static = make_cache(
                self._case.cache, self._model.config, self._prompt_positions(), self._new_tokens
            )
            if self._captures:  # else its tensors would be made by a graph, and be written over
                self._model(**self._prompt, **{self._parameter: self._static})
                self._static.reset()
        else:
            self._static.reset()
        return self._static

    def _prompt_positions(self) -> int:
        """How many positions of each sequence the decoder sees of the prompt."""
        if not self.is_pair:
            return int(self._prompt["input_ids"].shape[1])
        return int(self._model(**self._prompt).encoder_last_hidden_state.shape[1])

    def _check_positions(self, inputs: dict[str, Any]) -> None:
        """Raise `Unsupported` where the prompt and what is made are more than the model takes."""
        longest = longest_sequence(self._model.config, decoder=self.is_pair)
        if not self.is_pair and "input_ids" not in inputs:
            raise Unsupported(f"{type(self._model).__name__} is given no token ids to continue")
        prompt = 1 if self.is_pair else int(inputs["input_ids"].shape[1])
        positions = prompt + self._new_tokens - 1  # the last token is put through no more
        if longest is not None and positions > longest and self.is_pair:
            raise TooLong(
                f"{self._new_tokens} new tokens are more positions than the decoder of "
                f"{self._case.model} has ({longest}); lower new_tokens",
                new_tokens=longest,
            )
        if longest is not None and positions > longest:
            raise TooLong(
                f"a prompt of {prompt} and {self._new_tokens} new tokens are more positions than "
                f"{self._case.model} has ({longest}); lower sequence_lengths or new_tokens",
                sequence_length=longest - self._new_tokens + 1,
                new_tokens=longest - prompt + 1,
            )


def _start_token(config: Any) -> int:
    """The token that a decoder begins with."""
    parts = (config, getattr(config, "decoder", None), getattr(config, "text_config", None))
    for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
        for part in parts:
            found = getattr(part, name, None)
            if isinstance(found, int):
                return found
    return 0
