"""PyTorch, running Hugging Face Transformers models."""

from __future__ import annotations

import inspect
import itertools
from typing import Any, Optional

from ..backend import Device, Unsupported, library_of
from ..case import ADAPTER_KEY, MODULES_KEY, Case
from ..exceptions import opening, text_of
from ..heads.describe import describe_case
from ..heads.head import ModelClass
from ..heads.labels import loss_of
from ..measure import Call, WallMarks
from ..own_code import OwnCode
from .adapters import adapted_class, with_adapter
from .kept_tensors import forget_kept_tensors
from .model_class import Library, choose_class, known_class
from .own_torch import OwnCalls, build_own, tensors_in
from .real_inputs import refuse_padded_prompts, refuse_padding, rows_of, with_length, with_padding
from .refused_training import refusal
from .remote_code import remote_class
from .sentence_models import encoder_class, sentence_architecture, sentence_model
from .torch_compilation import Compilation, compiled, keep_compiled_in
from .torch_devices import open_device
from .torch_generation import Generation
from .torch_inputs import TorchInputs
from .torch_positions import read_positions
from .torch_quantization import quantize
from .torch_tensors import storage_bytes
from .torch_weights import repeating_draws
from .transformers_models import (
    is_about_attention,
    make_config,
    name_padding,
    own_attention,
    parts,
    quieten,
)

REQUIREMENTS = ("torch>=2.4", "transformers>=4.50")
"""What must be installed; read from this source by what has not imported it."""


_EXECUTIONS = ("eager", "compile", "torchscript")


_WANTED = {"training": "model with a head to train", "generation": "model that makes tokens"}
"""What a configuration has no class for, by the mode."""


class TorchBackend:
    """The ``pytorch`` framework."""

    def load(self) -> None:
        """Import torch and transformers, quietly."""
        quieten()
        import torch
        import transformers
        import transformers.modeling_utils  # what every model needs, once for all forks

        self.torch: Any = torch
        self.transformers: Any = transformers
        self._threads: int = torch.get_num_threads()

    def environment(self) -> dict[str, Any]:
        """Versions and settings that change what PyTorch does."""
        torch = self.torch
        cudnn = None
        if torch.version.cuda and torch.backends.cudnn.is_available():
            cudnn = torch.backends.cudnn.version()
        return {
            "framework": "PyTorch",
            "framework_version": torch.__version__,
            "transformers_version": self.transformers.__version__,
            "cuda": torch.version.cuda,
            "rocm": getattr(torch.version, "hip", None),
            "cudnn": cudnn,
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        }

    def import_model(self, case: Case) -> None:
        """Import the module of the case's model class, or the user's own."""
        if case.is_own:
            self._own = OwnCode(case)
            return
        self._model_class(make_config(self.transformers, case), case)

    def open(self, case: Case) -> Device:
        """The device that the case names; ``auto`` takes a GPU where there is one."""
        if case.execution == "compile":  # what it imports is no part of the model's weights
            self.torch.compile(self.torch.nn.Identity())
        return open_device(self.torch, case.device)

    def build(self, case: Case, device: Device) -> TorchModel:
        """The model in the case's dtype, in evaluation mode, on the device."""
        torch = self.torch
        if case.execution not in ("default", *_EXECUTIONS):
            raise Unsupported(
                f"execution {case.execution} is not one that PyTorch has; use "
                f"{', '.join(_EXECUTIONS)}"
            )
        if case.execution == "torchscript" and case.mode != "inference":
            raise Unsupported(
                f"execution torchscript is for inference; for {case.mode} give eager or compile"
            )
        if torch.get_num_threads() != (case.threads or self._threads):
            torch.set_num_threads(case.threads or self._threads)
        torch.manual_seed(case.seed)
        if case.is_own:
            model = build_own(torch, self._own, case).to(device.name)
            calls = OwnCalls(torch, model, self._own, case)
            calls.complete(device.name)
            chosen = self._own_class(model) if calls.is_of_transformers else None
            note = self._quantised(model, case, device)
            return TorchModel(torch, model, case, device, chosen, calls, note=note)
        config = make_config(self.transformers, case)
        chosen = self._model_class(config, case)
        config.name_or_path = ""
        self._set_dtype(config, case.dtype)
        if "SEQUENCE_CLASSIFICATION" in chosen.tasks:
            name_padding(config)
        if case.execution == "torchscript":
            config.use_cache = False  # a trace gives tensors and no cache object
        model = self._built(chosen.type, config, case)
        return self._completed(model, case, device, chosen)

    def _built(self, model_class: Any, config: Any, case: Case) -> Any:
        """The model with random weights; raises `Unsupported` for attention that it has not."""
        asked = case.attention != "default"
        options = {"attn_implementation": case.attention} if asked else {}
        try:
            with repeating_draws(self.torch):
                return model_class._from_config(config, **options)
        except (ValueError, ImportError) as error:
            sentence = _first_sentence(error)
            if asked:  # this model has no such attention, or its package is missing
                raise Unsupported(sentence) from error
            own = own_attention(case.config)
            if own is not None and is_about_attention(error):
                raise Unsupported(
                    f"the configuration of {case.model} asks for attention {own}, and {sentence}; "
                    f"install what it needs, or give attentions sdpa or eager"
                ) from error
            if isinstance(error, ImportError):
                raise Unsupported(f"{sentence}; install it to measure {case.model}") from error
            raise

    def _completed(self, model: Any, case: Case, device: Device, chosen: ModelClass) -> TorchModel:
        """The model on the device, with what its folder adds to it."""
        torch, inner, architecture = self.torch, model, type(model).__name__
        library = library_of(model)
        if ADAPTER_KEY in case.config:
            model = with_adapter(model, case)
            architecture += f" + {case.config[ADAPTER_KEY].get('peft_type')}"
        if MODULES_KEY in case.config:
            architecture = sentence_architecture(model, case)
            inner = model = sentence_model(torch, model, case)
        model = model.train(case.mode == "training").to(device.name)
        note = self._quantised(model, case, device)
        made = TorchModel(torch, model, case, device, chosen, inner=inner, note=note)
        made.architecture, made.library = architecture, library
        return made

    def _quantised(self, model: Any, case: Case, device: Device) -> str:
        """Quantise a model in place, if the case asks for it; a sentence on what was not."""
        if case.quantization == "none":
            return ""
        return quantize(self.torch, model, case, device.name)

    def _own_class(self, model: Any) -> ModelClass:
        """What is known of the class of a user's model that is one of Transformers."""
        library = Library(self.transformers, self.transformers.PreTrainedModel)
        return known_class(library, type(model))

    def keep_compiled_in(self, folder: str) -> None:
        """Have what torch.compile makes be kept in a folder, and found there."""
        keep_compiled_in(folder)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch tells of the host's memory only by the message of a RuntimeError."""
        return _is_out_of_memory(self.torch, error)

    def _model_class(self, config: Any, case: Case) -> ModelClass:
        """The class that the config names, or the base model."""
        transformers = self.transformers
        library = Library(transformers, transformers.PreTrainedModel)
        found = remote_class(library, case) if case.trust_remote_code else None
        if found is None and MODULES_KEY in case.config:
            found = encoder_class(library, config, case)
        if found is None:
            found = adapted_class(library, config, case) or choose_class(library, config, case)
        if found is None:
            what = _WANTED.get(case.mode, "model")
            raise Unsupported(
                f"{config.model_type} has no PyTorch {what} in transformers "
                f"{transformers.__version__}"
            )
        return found

    def _set_dtype(self, config: Any, dtype: str) -> None:
        """Have every part of the model built in this dtype.

        ``auto`` is what the config names, or else the first of its parts that does, or float32.
        """
        every = parts(config)
        if dtype == "auto":
            named = (getattr(part, "dtype", None) for part in every)
            dtype = str(next(filter(None, named), "float32")).replace("torch.", "")
        version = self.transformers.__version__.split(".")
        name = "dtype" if (int(version[0]), int(version[1])) >= (4, 56) else "torch_dtype"
        for part in every:
            setattr(part, name, getattr(self.torch, dtype))


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
    def module(self) -> Any:
        """The model itself."""
        return self._model

    def described_inputs(self) -> tuple[dict[str, Any], Optional[int]]:
        """The inputs of a forward pass by name, and its tokens; for a class of Transformers."""
        if self._chosen is None:
            raise Unsupported(f"{self.architecture} is no class of Transformers")
        tokens = self._prepare_described(self._chosen)
        return self._inputs, tokens

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
            with torch.inference_mode():
                return self._run(*by_position, **inputs)

        def traced() -> object:
            if self._run is self._model:
                try:
                    run = self._trace()
                except RuntimeError as error:
                    if _is_out_of_memory(torch, error):
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
            f"Transformers ({_first_sentence(error)}); give executions eager or compile"
        )

    def training_phases(self) -> list[tuple[str, Call]]:
        """Forward, backward and, where there is one, the optimizer's step."""
        phases: list[tuple[str, Call]] = [("forward", self._forward), ("backward", self._backward)]
        if self._optimizer is not None:
            phases.append(("optimizer", self._optimizer.step))
        return phases

    def gradient_bytes(self) -> Optional[int]:
        """Bytes of the gradients that the parameters hold."""
        gradients = (p.grad for p in self._model.parameters() if p.grad is not None)
        return int(sum(g.numel() * g.element_size() for g in gradients))

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


def _is_out_of_memory(torch: Any, error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    messages = (
        "can't allocate memory",
        "not enough memory",
        "CUDA out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "Storage size calculation overflowed",
        "Cannot allocate memory",
    )
    return isinstance(error, (RuntimeError, OSError)) and any(
        part in text_of(error) for part in messages
    )


def _first_sentence(error: BaseException) -> str:
    return opening(error).partition(". ")[0]
