"""A model in PyTorch with the inputs of its case: one of Transformers, or the user's own."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Optional

from ..backend import Device, Unsupported, library_of
from ..case import Case
from ..heads.describe import describe_case
from ..heads.head import ModelClass
from ..heads.labels import loss_of
from ..measure import Call, WallMarks
from ..prediction import CallCount
from .kept_tensors import forget_kept_tensors
from .live_tensors import CUDA_BLOCK, LiveTensors
from .own_torch import OwnCalls, tensors_in
from .real_inputs import refuse_padded_prompts, refuse_padding, rows_of, with_length, with_padding
from .refused_training import refusal
from .torch_compilation import Compilation, compiled
from .torch_errors import first_sentence, is_out_of_memory
from .torch_generation import Generation
from .torch_inputs import TorchInputs
from .torch_positions import read_positions
from .torch_tensors import no_gradients, part_here, storage_bytes


class TorchModel:
    """A model and the inputs of its case: one of Transformers, or with ``own`` the user's.

    ``chosen`` is the class that inputs and labels are made for; None where the user makes them.
    ``inner`` is the model that the inputs are for, where another one is wrapped around it.
    """

    def __init__(
        self,
        torch: Any,
        model: Any,
        case: Case,
        device: Device,
        chosen: Optional[ModelClass],
        own: Optional[OwnCalls] = None,
        inner: Optional[Any] = None,
        note: str = "",
    ) -> None:
        self._torch, self._model, self._case = torch, model, case
        self._device, self._marks = device.name, getattr(device, "marks", WallMarks)
        notes = ["" if chosen is None else chosen.note, note]
        self._chosen, self.note = chosen, "; ".join(filter(None, notes))
        self._own, self._inner = own, model if inner is None else inner
        self.architecture = type(model).__name__
        self.execution = "eager" if case.execution == "default" else case.execution
        self.library = library_of(model)
        self._run, self.compilation = model, None
        self.keeps_compiled = self.execution == "compile"
        if self.execution == "compile":
            self._run, self.compilation = compiled(torch, model, case), Compilation(torch)
        self.parameter_count = sum(p.numel() for p in model.parameters())
        self.parameter_bytes = storage_bytes(itertools.chain(model.parameters(), model.buffers()))
        dtype = model.dtype if own is None else own.dtype
        self.dtype = str(dtype).replace("torch.", "")
        self.modalities, self.quantization = "", case.quantization
        self._inputs: dict[str, Any] = {}
        self._by_position: tuple[Any, ...] = ()
        self.real_tokens: Optional[int] = None
        self.padded_to: Optional[int] = None
        self.generation: Optional[Generation] = None
        self._optimizer: Any = None
        self._loss: Any = None

    @property
    def _is_quantized(self) -> bool:
        """Whether operations run inside tensors or layers of another library."""
        own = getattr(self._model, "quantization_method", None)
        return self.quantization != "none" or own is not None

    @property
    def module(self) -> Any:
        """The model itself."""
        return self._model

    def described_inputs(self) -> tuple[dict[str, Any], Optional[int]]:
        """The inputs of a forward pass by name, and its tokens; for a class of Transformers."""
        if self._chosen is None:
            raise Unsupported(f"{self.architecture} is no class of Transformers")
        tokens = self._prepare_described(self._chosen)
        return self._inputs, tokens

    def run_as(self, divide: Callable[[Any], Any]) -> None:
        """Have the model run as what ``divide`` makes of it for one of several processes."""
        self._run = divide(self._model)
        held = itertools.chain(self._model.parameters(), self._model.buffers())
        self.parameter_bytes = storage_bytes(map(part_here, held))

    def with_case(self, case: Case) -> TorchModel:
        """The same model for the inputs of another case of it, which have yet to be prepared."""
        other = copy.copy(self)
        other._case, other._inputs, other.generation = case, {}, None
        return other

    def let_go(self) -> None:
        """Forget the model, whose memory is then free."""
        self._model = self._inner = self._run = None

    def prepare(self) -> tuple[Call, Optional[int]]:
        """A forward pass under inference mode, a training step, or a generation; seeded inputs."""
        if self._chosen is None:
            if self._case.mode == "generation":
                raise Unsupported("generation is for models of Transformers, and this one is not")
            tokens = self._prepare_own()
        else:
            tokens = self._prepare_described(self._chosen)
        if self._case.mode == "training":
            forget_kept_tensors(self._model)
            if self._case.optimizer:
                self._optimizer = self._torch.optim.AdamW(self._model.parameters(), lr=1e-6)
            return self._step, tokens
        if self._case.mode == "generation":
            self.generation = Generation(
                self._torch, self._model, self._run, self._inputs, self._case, self._marks
            )
            return self.generation, None
        return self._inference(), tokens

    def _prepare_own(self) -> Optional[int]:
        """Make the inputs as the user has them; the tokens of a call."""
        assert self._own is not None
        refuse_padding(self._case)
        made = self._own.inputs(self._device)
        self._by_position, self._inputs = made.by_position, made.by_name
        return made.tokens

    def _prepare_described(self, chosen: ModelClass) -> Optional[int]:
        """Make the inputs that a class of Transformers takes; the tokens of a call."""
        torch, inner = self._torch, self._inner
        read_positions(torch, inner)
        if self._case.mode == "generation":
            refuse_padded_prompts(self._case)
        rows = rows_of(inner.config, self._case)
        case = with_length(self._case, rows)
        parameters = inspect.signature(inner.forward).parameters
        inputs = describe_case(parameters, inner.config, case, chosen)
        self.modalities = inputs.modalities
        generator = torch.Generator().manual_seed(case.seed)
        make = TorchInputs(torch, inner.dtype, self._device, generator)
        made = {spec.name: make(spec) for spec in inputs.tensors}
        if rows is not None:
            self.real_tokens, self.padded_to = rows.real_tokens, rows.length
            rows.check(made, self.modalities, case.model)
        self._inputs = with_padding(
            made, rows, lambda tensor: tensor.tolist(),
            lambda lists, tensor: torch.tensor(lists, dtype=tensor.dtype, device=tensor.device),
        )  # fmt: skip
        return inputs.tokens

    def _inference(self) -> Call:
        """One forward pass; what has to be traced is traced in the first."""
        torch, inputs, by_position = self._torch, self._inputs, self._by_position

        def forward() -> object:
            with no_gradients(torch, self._inner):
                return self._run(*by_position, **inputs)

        def traced() -> object:
            if self._run is self._model:
                try:
                    run = self._trace()
                except RuntimeError as error:
                    if is_out_of_memory(torch, error):
                        raise
                    forward()  # what fails untraced, too, says so itself
                    raise self._untraceable(error) from error
                self._run = lambda *first, **given: run(*first, *given.values())
            return forward()

        return traced if self.execution == "torchscript" else forward

    def _trace(self) -> Any:
        """The model as TorchScript, which takes the inputs in their order."""
        torch, inputs, by_position = self._torch, self._inputs, self._by_position
        with torch.no_grad():  # what is traced in inference mode runs in no other
            return torch.jit.trace(
                _tensors_alone(torch, self._model, len(by_position), list(inputs)),
                (*by_position, *inputs.values()),
                check_trace=False,
            )

    def _untraceable(self, error: RuntimeError) -> Unsupported:
        """That tracing is what fails, to be raised."""
        return Unsupported(
            f"PyTorch {self._torch.__version__} cannot trace {self.architecture} of the installed "
            f"Transformers ({first_sentence(error)}); give executions eager or compile"
        )

    def training_phases(self) -> list[tuple[str, Call]]:
        """Forward, backward and, where there is one, the optimizer's step."""
        phases: list[tuple[str, Call]] = [("forward", self._forward), ("backward", self._backward)]
        if self._optimizer is not None:
            phases.append(("optimizer", self._optimizer.step))
        return phases

    def gradient_bytes(self) -> Optional[int]:
        """Bytes of the gradients that the parameters hold."""
        return int(sum(g.numel() * g.element_size() for g in self.gradients()))

    def gradients(self) -> Iterator[Any]:
        """The gradients that the parameters hold."""
        return (part_here(p.grad) for p in self._model.parameters() if p.grad is not None)

    def make_optimizer_state(self) -> None:
        """Have the optimizer make what its first step makes, without a step before it."""
        if self._optimizer is None:
            return
        for parameter in self._model.parameters():
            if parameter.requires_grad:
                parameter.grad = self._torch.empty_like(parameter)
        try:
            for group in self._optimizer.param_groups:  # which a step does first, for all of them
                self._optimizer._init_group(group, [], [], [], [], [], [])
        except (AttributeError, TypeError):  # a version whose step does it otherwise
            self._optimizer.step()
        self._model.zero_grad(set_to_none=True)

    def optimizer_states(self) -> tuple[list[Any], list[Any]]:
        """The optimizer's tensors, of parameters that have a gradient and of those without one."""
        found: tuple[list[Any], list[Any]] = ([], [])
        if self._optimizer is not None:
            for parameter, state in self._optimizer.state.items():
                found[parameter.grad is None].extend(tensors_in(self._torch, list(state.values())))
        return found

    def input_tensors(self) -> list[Any]:
        """The tensors that a call is given."""
        return list(tensors_in(self._torch, [*self._by_position, *self._inputs.values()]))

    def held_tensors(self) -> list[Any]:
        """The tensors that are there before a call, and stay."""
        cached = [] if self.generation is None else self.generation.cache_tensors()
        return [
            *self._model.parameters(), *self._model.buffers(), *self.input_tensors(),
            *itertools.chain(*self.optimizer_states()), *cached,
        ]  # fmt: skip

    def count(self, call: Call) -> Optional[CallCount]:
        """What one call does and holds by its tensors; None where not all of that is known."""
        if self.execution != "eager" or self._is_quantized:
            return None
        block = CUDA_BLOCK if self._device.startswith("cuda") else 1
        live = LiveTensors(self._torch, self.held_tensors(), block)
        with live.counting():
            call()
        count = live.count()
        return replace(count, flops=None) if live.without_formula else count

    def _step(self) -> None:
        self._forward()
        self._backward()
        if self._optimizer is not None:
            self._optimizer.step()

    def _forward(self) -> None:
        """Free the last step's gradients, and run the model to its loss."""
        self._model.zero_grad(set_to_none=True)
        if self._own is None:
            loss = self._loss_of_transformers()
        else:
            loss = self._own.loss(self._run(*self._by_position, **self._inputs))
        self._loss = loss if loss.dim() == 0 else loss.mean()

    def _loss_of_transformers(self) -> Any:
        """Run the model to its loss; raises `Unsupported` where it refuses to be trained."""
        try:
            return loss_of(self._run(**self._inputs), self.architecture)
        except Exception as error:
            refused = refusal(error, self._inner)
            if refused is None:
                raise
            raise refused from error

    def _backward(self) -> None:
        loss, self._loss = self._loss, None
        loss.backward()


def _tensors_alone(torch: Any, model: Any, unnamed: int, names: list[str]) -> Any:
    """A module that takes all inputs in order, the last of them the named ones.

    It returns the output's tensors in a tuple: more than tensors a trace cannot return.
    """

    class Traceable(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            named = dict(zip(names, tensors[unnamed:]))
            return tuple(tensors_in(torch, self.model(*tensors[:unnamed], **named)))

    return Traceable()
