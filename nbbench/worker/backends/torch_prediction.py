"""What a case will hold and do in PyTorch, from its model's own code on fake tensors.

The case is built and called as it is when it is measured, but for its tensors, which have no
memory. So it costs a second or two, whatever the model's size, and needs neither its memory nor
its GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from ..backend import Unsupported
from ..case import Case
from ..collector import without_collector
from ..measure import Call
from ..prediction import CallCount, Prediction
from .fake_models import as_if_real, without_drawing
from .known_values import TooLarge, fake_tensors
from .live_tensors import CUDA_BLOCK, LiveTensors
from .torch_errors import first_sentence
from .torch_generation import Generation
from .torch_model import TorchModel
from .torch_tensors import storage_bytes

SPREAD = "predicted with what tokens choose by weights, as experts, spread evenly"


MAX_COUNT = 2**63
"""What no column of whole numbers holds."""

_TOO_MUCH = (
    "it holds or does more than can be counted, 2^63 bytes or operations; lower batch_sizes or "
    "sequence_lengths"
)

_WINDOWS = ("sliding_window", "attention_chunk_size")
"""What configurations name a window of attention by, beyond which nothing is kept."""


class Builds(Protocol):
    """What makes a case's model."""

    torch: Any

    def build(self, case: Case, device: Any) -> TorchModel:
        """The model on a device."""


@dataclass(frozen=True)
class FakeDevice:
    """A device of which no more than the name is needed; nothing is drawn for its weights."""

    name: str
    draws: Callable[[], AbstractContextManager[Any]]


def predict(backend: Builds, case: Case) -> Prediction:
    """Predict a case as it is executed eagerly.

    Raises `Unsupported` where it cannot be: where weights are quantized, and where the model asks
    for numbers that follow from weights, as of which expert a token goes to.
    """
    if case.quantization != "none":
        raise Unsupported(
            f"what quantization {case.quantization} needs cannot be predicted; give none"
        )
    if case.config.get("quantization_config"):
        raise Unsupported(
            "what a configuration of quantized weights needs cannot be predicted; measure it, or "
            "give it without quantization_config"
        )
    begin, notes = time.perf_counter(), []
    if case.execution not in ("default", "eager"):
        notes.append(f"predicted as executed eagerly, not as {case.execution}")
    case = replace(case, execution="eager", threads=None)
    with _explained(backend.torch):
        try:
            found = _predicted(backend, case)
        except _depends_on_numbers(backend.torch):  # perhaps on no more than who goes where
            found = _predicted(backend, case, spread=True)
            notes.append(SPREAD)
    call = found.call
    if max(call.peak, call.flops or 0, call.moved) >= MAX_COUNT:
        raise Unsupported(_TOO_MUCH)
    notes.append(found.note)
    return replace(found, note="; ".join(filter(None, notes)), seconds=time.perf_counter() - begin)


def _predicted(backend: Builds, case: Case, spread: bool = False) -> Prediction:
    """Predict a case; with ``spread`` what it chooses by its weights is spread evenly."""
    torch = backend.torch
    name, block = _device(torch, case.device)
    device = FakeDevice(name, partial(without_drawing, torch, name))
    predictor = _Predictor(backend, device, block)
    with without_collector(), as_if_real(torch), fake_tensors(torch, spread):
        if case.mode == "generation":
            return predictor.of_generation(case)
        if case.mode == "training":
            return predictor.of_training(case)
        return predictor.of_inference(case)


def _device(torch: Any, wanted: str) -> tuple[str, int]:
    """The device of the fake tensors, and what its allocator rounds sizes up to.

    Without the driver of a GPU, PyTorch asks for it at some fake tensors: then they are the CPU's.
    """
    is_there = torch.cuda.is_available()
    is_gpu = wanted.startswith("cuda") or (wanted == "auto" and is_there)
    return ("cuda:0" if is_gpu and is_there else "cpu"), (CUDA_BLOCK if is_gpu else 1)


@contextmanager
def _explained(torch: Any) -> Iterator[None]:
    """Raise `Unsupported` for what fake tensors cannot do."""
    from torch._subclasses import fake_tensor

    try:
        yield
    except TooLarge as error:
        raise Unsupported(
            f"it cannot be predicted, since it asks for numbers of a mask or of positions, and "
            f"{error} are too many to follow; lower batch_sizes or sequence_lengths"
        ) from error
    except _depends_on_numbers(torch) as error:
        raise Unsupported(
            f"it cannot be predicted, since what it does depends on numbers that follow from its "
            f"weights ({first_sentence(error)}); measure it"
        ) from error
    except fake_tensor.UnsupportedFakeTensorException as error:
        raise Unsupported(
            f"it cannot be predicted, since an operation of it has no form without memory "
            f"({first_sentence(error)}); measure it"
        ) from error
    except RuntimeError as error:
        if "overflow" in str(error):
            raise Unsupported(_TOO_MUCH) from error
        raise


def _depends_on_numbers(torch: Any) -> tuple[type[Exception], ...]:
    """What fake tensors raise where a result depends on numbers that they do not have."""
    from torch._subclasses import fake_tensor

    return fake_tensor.DataDependentOutputException, fake_tensor.DynamicOutputShapeException


class _Predictor:
    """Predicts cases of each mode under fake tensors."""

    def __init__(self, backend: Builds, device: FakeDevice, block: int) -> None:
        self._backend, self._device, self._block = backend, device, block

    def of_inference(self, case: Case) -> Prediction:
        """One forward pass."""
        model = self._backend.build(case, self._device)
        call, _ = model.prepare()
        live = self._counted(model, [("forward", call)])
        return self._prediction(model, [live], live.count())

    def of_training(self, case: Case) -> Prediction:
        """One step, with an optimizer that has its state already.

        Parameters that get no gradient have no state: it is known only after the step, whose.
        """
        model = self._backend.build(case, self._device)
        model.prepare()
        model.make_optimizer_state()
        live = self._counted(model, model.training_phases())
        gradients = list(model.gradients())
        state, never_made = model.optimizer_states()
        live.omit(never_made)
        found = self._prediction(model, [live], live.count(), gradients)
        return replace(
            found,
            gradients=storage_bytes(gradients),
            optimizer=storage_bytes(state) if case.optimizer else None,
        )

    def of_generation(self, case: Case) -> Prediction:
        """A prompt, and the first and the last of the tokens after it: between them all grows."""
        model = self._backend.build(case, self._device)
        model.prepare()
        generation, later = _generation_of(model), int(case.new_tokens or 1) - 1
        prefill = generation.phases()[:1]
        if case.cache == "static":
            prefill[0][1]()  # makes the cache, which is kept from call to call
        steps = [self._counted(model, prefill)]
        if later:
            steps.append(self._counted(model, [("decode", generation.decode_once)]))
        if later > 1:
            if case.cache != "static":
                model = self._before_last_token(case, later, model)
                generation = _generation_of(model)
            steps.append(self._counted(model, [("decode", generation.decode_once)]))
        cache = generation.cache_tensors()
        count = _whole_count([each.count() for each in steps], later)
        found = self._prediction(model, steps, count, cache)
        return replace(found, cache=generation.cache_bytes())

    def _before_last_token(self, case: Case, later: int, model: TorchModel) -> TorchModel:
        """The model with its cache as it is before the last of these tokens is put through.

        A cache is the same whether its positions came with the prompt or one by one. But one that
        slides is a part of what it was made of: of the whole prompt, or of one more than it holds.
        """
        prompt, after = case.sequence_length, later - 1
        slides = _slides(model.module.config.to_dict())
        longer = (
            prompt if _generation_of(model).is_pair or prompt is None else prompt + after - slides
        )
        late = replace(case, sequence_length=longer, new_tokens=1 + slides)
        model = model.with_case(late)
        model.prepare()
        generation = _generation_of(model)
        generation.put_through(later - slides)
        if slides:
            generation.decode_once()
        return model

    def _counted(self, model: TorchModel, parts: Iterable[tuple[str, Call]]) -> LiveTensors:
        """What is counted while these parts of a call run, by their names."""
        live = LiveTensors(self._backend.torch, model.held_tensors(), self._block)
        with live.counting():
            for live.phase, part in parts:
                result = part()  # which is there until its part has ended
                del result
        return live

    def _prediction(
        self,
        model: TorchModel,
        counted: list[LiveTensors],
        call: CallCount,
        kept: Iterable[Any] = (),
    ) -> Prediction:
        """What was counted in parts of a call, with ``kept`` what stays beside activations."""
        left = list(kept)
        highest = max(counted, key=lambda live: live.peak().bytes)
        peak = highest.peak()
        return Prediction(
            call=replace(call, peak=peak.bytes),
            weights=model.parameter_bytes,
            inputs=storage_bytes(model.input_tensors()),
            activations=max(
                live.peak(but=live.at_first | live.numbers_of(left)).bytes for live in counted
            ),
            parameter_count=model.parameter_count,
            architecture=model.architecture,
            dtype=model.dtype,
            peak_phase=peak.phase,
            peak_operation=peak.operation,
            note=_without_formula(counted),
        )


def _without_formula(counted: list[LiveTensors]) -> str:
    """That floating point operations are not all counted, where they are not; else empty."""
    name = next((live.without_formula for live in counted if live.without_formula), "")
    return name and f"predicted without the flops of {name}, which has no formula"


def _generation_of(model: TorchModel) -> Generation:
    assert model.generation is not None  # a model that is prepared for it has one
    return model.generation


def _slides(values: Any) -> bool:
    """Whether a configuration, or a part of it, names a window of attention."""
    if isinstance(values, Mapping):
        return any((value and name in _WINDOWS) or _slides(value) for name, value in values.items())
    return False


def _whole_count(counted: list[CallCount], later: int) -> CallCount:
    """The count of a generation whose work for each token grows evenly from the first to the last.

    ``counted`` are the prompt's, the first token's and the last one's, as far as there are so many.
    """
    prefill, *tokens = counted

    def whole(name: str) -> int:
        each = sum(getattr(count, name) for count in tokens) / max(len(tokens), 1)
        return int(getattr(prefill, name) + later * each)

    return CallCount(0, whole("operations"), whole("flops"), whole("moved"), whole("read"))
